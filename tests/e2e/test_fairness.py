"""One user's many memos do not delay another user's single one.

What is compared is an order, never a time: how many of the first user's memos went to the vendor
before the second user's did. Everything is queued before the worker comes, which does little at
once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts import ids
from contracts.memo import MemoJob
from runtime.temporal_jobs import TemporalJobs
from store.migrations import upgrade
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site, local_server

pytestmark = pytest.mark.e2e

MANY = 24
LONGER = 3
SMALL = {
    "WORKER_ACTIVITIES": 2,
    "WORKER_WORKFLOW_TASKS": 2,
    "WORKER_MEDIA_SLOTS": 1,
    "TRANSCRIPTION_TIERS": "openai",
}

Start = Callable[[MemoJob], Awaitable[object]]


@pytest.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """A server to itself: what one test leaves queued is in nobody's way."""
    async with local_server() as environment:
        yield environment


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Site]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Site(environment.client, tmp_path, vendor)
    yield site
    await site.close()


async def calls_before(site: Site, start: Start, many: int) -> int:
    """How many memos of the user who came first, with many, went to the vendor before the other's.

    The vendor knows the other's one by its length.
    """
    anna, audio = str(uuid4()), make(site.folder / "audio.wav", 1)
    async with site.database.write() as tx:
        await tx.credits.grant(anna, "test", 10 * many, "enough")
    for _ in range(many):
        await start(await site.memo(audio, user_id=anna, claimed_seconds=1))
    single = await site.memo(make(site.folder / "longer.wav", LONGER), claimed_seconds=LONGER)
    await start(single)
    async with site.working(**SMALL):
        result = await site.client.get_workflow_handle(single.job_id).result()
    assert result["state"] == "completed"
    heard = [call["seconds"] for call in site.vendor.calls if "seconds" in call]
    return next(number for number, seconds in enumerate(heard) if seconds > LONGER - 1)


def keyed(site: Site) -> Start:
    """As the API starts a memo."""
    jobs = TemporalJobs(site.client)

    async def start(job: MemoJob) -> None:
        request = job.model_dump(mode="json")
        assert await jobs.start(ids.MEMO, job.job_id, job.user_id, request)

    return start


async def test_a_single_memo_does_not_wait_for_another_users_many(site: Site) -> None:
    assert await calls_before(site, keyed(site), MANY) < MANY / 3


async def test_without_the_fairness_key_it_would_wait_for_most_of_them(site: Site) -> None:
    assert await calls_before(site, site.start, MANY) > MANY / 2


@pytest.mark.slow
async def test_a_single_memo_does_not_wait_for_another_users_thousand(site: Site) -> None:
    assert await calls_before(site, keyed(site), 1000) < 50
