"""What one memo costs, exactly: actions, events, payload bytes, database round trips, processes.

A number that grows here is a decision: say why in the commit that changes it.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.memo import MemoJob
from contracts.webhooks import WebhookEvent, new_secret
from store.migrations import upgrade
from tests.by_url import memo_by_url
from tests.counts import count
from tests.fakes.media_host import MediaHost
from tests.fakes.openai import FakeOpenAI
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.recordings import make
from tests.site import Site
from tests.statements import asked_of
from tests.told import memo_told_of

pytestmark = pytest.mark.e2e

LARGEST_PAYLOAD = 2_000
"""Bytes; ids and small facts. The limit to keep is 32 KB."""

spawned: list[str] = []


def _on_spawn(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        spawned.append(Path(str(arguments[0])).name)


sys.addaudithook(_on_spawn)


@dataclass(frozen=True)
class Cost:
    """Of one memo from its start to its end, the POST not included.

    Attributes:
        statements: round trips to the database, looks at the job's state left out.
        commits: transactions that wrote.
        processes: started for it; the children of the pools live longer than a memo.
    """

    actions: int
    events: int
    statements: int
    commits: int
    processes: int
    vendor_calls: int


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Site]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Site(environment.client, tmp_path, vendor)
    yield site
    await site.close()


def _is_look(statement: str) -> bool:
    """A long step looks every two seconds whether its job has ended: so often as it is long."""
    return statement.startswith("SELECT jobs.state")


async def cost_of(site: Site, job: MemoJob) -> Cost:
    before, calls = len(spawned), len(site.vendor.calls)
    with asked_of(site.database) as asked:
        handle = await site.start(job)
        await handle.result()
    counts = count(await handle.fetch_history())
    assert counts.largest_payload <= LARGEST_PAYLOAD
    return Cost(
        actions=counts.actions,
        events=counts.events,
        statements=sum(not _is_look(statement) for statement in asked.statements),
        commits=asked.commits,
        processes=len(spawned) - before,
        vendor_calls=len(site.vendor.calls) - calls,
    )


async def test_a_memo_in_a_format_the_vendor_takes(site: Site, tmp_path: Path) -> None:
    wav = make(tmp_path / "tone.wav", 70)
    async with site.working():
        await cost_of(
            site, await site.memo(wav, heartbeat_seconds=60)
        )  # children of the pools are started once
        assert await cost_of(site, await site.memo(wav, heartbeat_seconds=60)) == Cost(
            actions=7, events=26, statements=45, commits=7, processes=0, vendor_calls=1
        )


async def test_a_memo_that_has_to_be_fetched(site: Site, tmp_path: Path) -> None:
    host = MediaHost()
    url = await host.wire.start() + host.put("memo.wav", make(tmp_path / "t.wav", 70).read_bytes())
    async with site.working(EGRESS_ALLOW="127.0.0.1/32"):
        await cost_of(site, await memo_by_url(site, url, heartbeat_seconds=60))
        assert await cost_of(site, await memo_by_url(site, url, heartbeat_seconds=60)) == Cost(
            actions=8, events=32, statements=54, commits=9, processes=0, vendor_calls=1
        )
    await host.wire.aclose()


async def test_a_memo_that_has_to_be_converted(site: Site, tmp_path: Path) -> None:
    aiff = make(tmp_path / "tone.aiff", 70)
    async with site.working():
        await cost_of(site, await site.memo(aiff, heartbeat_seconds=60))
        assert await cost_of(site, await site.memo(aiff, heartbeat_seconds=60)) == Cost(
            actions=8, events=33, statements=52, commits=10, processes=1, vendor_calls=1
        )


async def test_a_memo_that_tells_of_its_end(site: Site, tmp_path: Path) -> None:
    """One webhook costs one action: it is sent inside the job."""
    receiver = WebhookReceiver(new_secret())
    await receiver.start()
    only = (WebhookEvent.MEMO_COMPLETED,)
    async with site.working(EGRESS_ALLOW="127.0.0.1/32"):
        await cost_of(
            site, await memo_told_of(site, receiver, tmp_path, only, heartbeat_seconds=60)
        )
        job = await memo_told_of(site, receiver, tmp_path, only, heartbeat_seconds=60)
        assert await cost_of(site, job) == Cost(
            actions=8, events=32, statements=49, commits=8, processes=0, vendor_calls=1
        )
    assert len(receiver.received) == 2
    await receiver.aclose()
