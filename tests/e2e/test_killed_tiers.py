"""Workers that die while a vendor works, or after it has answered: what is bought again is counted.

Real server, real worker process; the vendors are stand-ins over real sockets that count their calls
and outlive the worker.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.memo import MemoJob, MemoResult
from store.migrations import upgrade
from tests import azurite as published
from tests.azurite import Azurite
from tests.e2e.mortal import Mortal
from tests.fakes.azure import FakeAzure
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

SECONDS = 70
"""Costs three credits."""
NOWHERE = ("no step", "before")
"""Nothing kills this worker but the test."""


class Tiers(Mortal):
    """A site with Azure in two regions and a worker that dies."""

    def __init__(self, site: Site, north: FakeAzure, south: FakeAzure) -> None:
        super().__init__(site.client, site.folder, site.vendor)
        self.north = north
        self.south = south

    def use(self, tiers: str, **settings: str) -> None:
        self.settings_of_worker = {
            "TRANSCRIPTION_TIERS": tiers,
            "AZURE_SPEECH_KEY_1": "one",
            "AZURE_SPEECH_REGION_1": "north",
            "AZURE_SPEECH_ENDPOINT_1": self.north.url,
            "AZURE_SPEECH_KEY_2": "two",
            "AZURE_SPEECH_REGION_2": "south",
            "AZURE_SPEECH_ENDPOINT_2": self.south.url,
            "TIER_BACKOFF_SECONDS": "0.1",
            **settings,
        }

    def use_batch(self, azurite: Azurite) -> None:
        self.use(
            "azure-batch,openai",
            AZURE_STORAGE_ACCOUNT_NAME=published.ACCOUNT,
            AZURE_STORAGE_ACCOUNT_KEY=published.KEY,
            AZURE_BLOB_ENDPOINT=azurite.url,
            AZURE_BATCH_POLL_SECONDS="0.2",
        )
        # One resource, so that every call of it is in one list.
        for name in ("KEY", "REGION", "ENDPOINT"):
            del self.settings_of_worker[f"AZURE_SPEECH_{name}_2"]

    async def attempts(self, job: MemoJob) -> list[tuple[str, str | None]]:
        async with self.database.read() as tx:
            found = await tx.attempts.list(job.job_id, job.user_id)
        assert all(one.outcome is not None for one in found)
        return [(one.tier, one.error_code) for one in found if one.tier != "local"]

    async def charged_once(self, job: MemoJob, result: MemoResult) -> None:
        assert (result.state, result.charged) == (JobState.COMPLETED, 3)
        async with self.database.read() as tx:
            balance = await tx.credits.balance(job.user_id)
        assert (balance.credits, balance.held, balance.total_spent) == (147, 0, 3)
        assert await self.broken() == []


def asked(fake: FakeAzure) -> Counter[str]:
    """How often each operation was called."""
    return Counter(str(call.get("operation")) for call in fake.calls)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a format that every vendor takes."""
    return make(tmp_path_factory.mktemp("audio") / "tone.wav", SECONDS)


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Tiers]:
    north, south, openai = FakeAzure(), FakeAzure(), FakeOpenAI()
    for vendor in (north, south, openai):
        await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Tiers(Site(environment.client, tmp_path, openai), north, south)
    yield site
    await site.close()
    await north.aclose()
    await south.aclose()


async def test_a_worker_killed_during_the_second_tier_makes_that_call_again_alone(
    site: Tiers, recording: Path
) -> None:
    site.use("azure-fast,azure-fast-other-region,openai")
    site.north.fault(status=503, undone=True, times=9)
    site.south.fault(hang=True)
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker(*NOWHERE):
        handle = await site.start(job)
        async with asyncio.timeout(120):
            while not site.south.calls:
                await asyncio.sleep(0.05)
            site.kill()
            result = await handle.result()
    site.south.release()
    assert (len(site.north.calls), len(site.south.calls), len(site.vendor.calls)) == (2, 2, 0)
    assert await site.attempts(job) == [
        ("azure-fast", "provider_busy"),
        ("azure-fast", "provider_busy"),
        ("azure-fast-other-region", "worker_lost"),
        ("azure-fast-other-region", None),
    ]
    await site.charged_once(job, result)


async def test_a_worker_killed_while_a_batch_is_waited_for_submits_nothing_again(
    site: Tiers, azurite: Azurite, recording: Path
) -> None:
    site.use_batch(azurite)
    site.north.batch.running = 10_000
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker(*NOWHERE):
        handle = await site.start(job)
        async with asyncio.timeout(120):
            while asked(site.north)["status"] < 2:
                await asyncio.sleep(0.05)
            site.kill()
            while not site.deaths:
                await asyncio.sleep(0.05)
            site.north.batch.running = 0
            result = await handle.result()
    calls = asked(site.north)
    del calls["status"]  # as often as it takes
    # Looked for once before it is submitted, and once to be deleted.
    assert calls == {"list": 2, "submit": 1, "files": 1, "content": 2, "delete": 1}
    assert await site.attempts(job) == [("azure-batch", None)]
    assert not site.north.batch.jobs
    assert not site.vendor.calls
    await site.charged_once(job, result)


@pytest.mark.parametrize("when", ["recording", pytest.param("after", marks=pytest.mark.slow)])
async def test_a_batch_job_whose_worker_died_before_recording_it_is_found_not_bought_again(
    site: Tiers, azurite: Azurite, recording: Path, when: str
) -> None:
    site.use_batch(azurite)
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker("submit_batch", when):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert site.deaths == 1
    calls = asked(site.north)
    assert (calls["submit"], calls["list"], calls["delete"]) == (1, 3, 1)
    assert await site.attempts(job) == [("azure-batch", "worker_lost"), ("azure-batch", None)]
    await site.charged_once(job, result)


@pytest.mark.slow
async def test_results_that_were_fetched_and_not_recorded_are_fetched_again_not_bought(
    site: Tiers, azurite: Azurite, recording: Path
) -> None:
    site.use_batch(azurite)
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker("collect_batch", "inside"):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert site.deaths == 1
    calls = asked(site.north)
    assert (calls["submit"], calls["files"], calls["content"]) == (1, 2, 4)
    assert await site.attempts(job) == [("azure-batch", None)]
    await site.charged_once(job, result)


async def test_a_fast_answer_that_was_not_recorded_is_bought_again_once_and_both_are_seen(
    site: Tiers, recording: Path
) -> None:
    site.use("azure-fast,openai")
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker("transcribe", "recording"):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert site.deaths == 1
    assert (len(site.north.calls), len(site.vendor.calls)) == (2, 0)
    assert await site.attempts(job) == [("azure-fast", "worker_lost"), ("azure-fast", None)]
    await site.charged_once(job, result)


@pytest.mark.slow
async def test_a_recorded_answer_is_never_bought_again(site: Tiers, recording: Path) -> None:
    site.use("azure-fast,openai")
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker("transcribe", "after"):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert site.deaths == 1
    assert await site.attempts(job) == [("azure-fast", None)]
    assert len(site.north.calls) == 1
    await site.charged_once(job, result)


@pytest.mark.slow
async def test_a_chunk_that_was_not_recorded_is_bought_again_alone(
    site: Tiers, recording: Path
) -> None:
    site.use("openai", OPENAI_TRANSCRIPTION_MAX_MB="1")
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker("transcribe_chunk", "recording"):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert site.deaths == 1
    async with site.database.read() as tx:
        attempts = await tx.attempts.list(job.job_id, job.user_id)
    chunks = [one for one in attempts if one.chunk is not None]
    lost = [one for one in chunks if one.error_code is not None]
    # Those that were under way when the worker died are lost with it; each is made again once.
    assert {one.error_code for one in lost} == {"worker_lost"}
    assert len({one.chunk for one in lost}) == len(lost)
    calls = [call for call in site.vendor.calls if "transcriptions" in call["path"]]
    assert len(calls) <= len(chunks)
    assert len([one for one in chunks if one.error_code is None]) == len({o.chunk for o in chunks})
    await site.charged_once(job, result)


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["answer", "head", "body"])
async def test_an_answer_lost_on_the_wire_is_bought_again_once_and_both_are_seen(
    site: Tiers, recording: Path, cut: str
) -> None:
    site.use("azure-fast,openai")
    site.north.fault(cut=cut)
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker(*NOWHERE):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert (len(site.north.calls), len(site.vendor.calls)) == (2, 0)
    assert await site.attempts(job) == [("azure-fast", "provider_busy"), ("azure-fast", None)]
    await site.charged_once(job, result)


@pytest.mark.parametrize("tries", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_a_submission_whose_answer_was_lost_is_found_even_when_it_was_the_last_try(
    site: Tiers, azurite: Azurite, recording: Path, tries: int
) -> None:
    site.use_batch(azurite)
    site.settings_of_worker["TIER_TRIES"] = str(tries)
    site.north.fault(call=":submit", cut="answer")
    job = await site.memo(recording, heartbeat_seconds=8)
    async with site.worker(*NOWHERE):
        result = await asyncio.wait_for((await site.start(job)).result(), 120)
    assert asked(site.north)["submit"] == 1
    assert result.tier == "azure-batch"
    assert not site.north.batch.jobs
    await site.charged_once(job, result)
