"""Azure's fast tiers in a memo: another region when busy, converted when refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.memo import MemoJob, MemoResult
from store.migrations import upgrade
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes.azure import FakeAzure
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = pytest.mark.e2e


class Regions(Site):
    """A site with one resource in each of two regions."""

    def __init__(self, site: Site, first: FakeAzure, other: FakeAzure) -> None:
        super().__init__(site.client, site.folder, site.vendor)
        self.first = first
        self.other = other

    def environment(self) -> dict[str, object]:
        return {
            "TRANSCRIPTION_TIERS": "azure-fast,azure-fast-other-region,azure-fast-converted",
            "AZURE_SPEECH_KEY_1": "one",
            "AZURE_SPEECH_REGION_1": "swedencentral",
            "AZURE_SPEECH_ENDPOINT_1": self.first.url,
            "AZURE_SPEECH_KEY_2": "two",
            "AZURE_SPEECH_REGION_2": "westeurope",
            "AZURE_SPEECH_ENDPOINT_2": self.other.url,
            "TIER_BACKOFF_SECONDS": 0.1,
        }

    async def run(self, job: MemoJob) -> MemoResult:
        async with self.working(**self.environment()):
            return await (await self.start(job)).result()

    async def attempts(self, job: MemoJob) -> list[tuple[str, str | None, str | None]]:
        async with self.database.read() as tx:
            found = await tx.attempts.list(job.job_id, job.user_id)
        heard = [one for one in found if one.tier.startswith("azure-")]  # and not the headline's
        return [(one.tier, one.outcome, one.error_code) for one in heard]

    def with_batch(self, azurite: Azurite) -> dict[str, object]:
        """Of a worker whose only tier is batch, on one resource."""
        return {
            "TRANSCRIPTION_TIERS": "azure-batch",
            "AZURE_SPEECH_KEY": "one",
            "AZURE_SPEECH_ENDPOINT": self.first.url,
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
            "AZURE_BLOB_ENDPOINT": azurite.url,
            "AZURE_BATCH_POLL_SECONDS": 0.2,
        }

    def batch_jobs(self) -> int:
        """Jobs that are at the vendor now."""
        return len(self.first.batch.jobs)

    def submitted(self) -> int:
        return sum(call["path"].endswith(":submit") for call in self.first.calls)


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Regions]:
    first, other, unused = FakeAzure(), FakeAzure(), FakeOpenAI()
    for vendor in (first, other, unused):
        await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Regions(Site(environment.client, tmp_path, unused), first, other)
    yield site
    await site.close()
    await first.aclose()
    await other.aclose()


async def test_a_busy_region_leaves_the_memo_to_another_one(site: Regions, tmp_path: Path) -> None:
    site.first.fault(status=429, times=9)
    job = await site.memo(make(tmp_path / "tone.wav", 70))
    result = await site.run(job)
    assert (result.state, result.tier) == (JobState.COMPLETED, "azure-fast-other-region")
    assert await site.attempts(job) == [
        ("azure-fast", "failed", "provider_busy"),
        ("azure-fast", "failed", "provider_busy"),
        ("azure-fast-other-region", "succeeded", None),
    ]


async def test_a_refused_format_is_converted_at_once(site: Regions, tmp_path: Path) -> None:
    site.first.fault(status=415)
    job = await site.memo(make(tmp_path / "tone.flac", 70))
    result = await site.run(job)
    assert (result.state, result.tier) == (JobState.COMPLETED, "azure-fast-converted")
    assert [tier for tier, _, _ in await site.attempts(job)] == [
        "azure-fast",
        "azure-fast-converted",
    ]
    assert site.other.calls == []


async def test_a_refused_key_is_out_and_the_next_one_serves(site: Regions, tmp_path: Path) -> None:
    site.first.fault(status=401, times=9)
    job = await site.memo(make(tmp_path / "tone.wav", 70))
    result = await site.run(job)
    assert result.state is JobState.COMPLETED
    assert len(site.first.calls) == 1
    assert len(site.other.calls) == 1
    assert await site.broken() == []


async def test_batch_submits_once_waits_cheaply_and_leaves_nothing_with_the_vendor(
    site: Regions, azurite: Azurite, tmp_path: Path
) -> None:
    job = await site.memo(make(tmp_path / "tone.wav", 70))
    async with site.working(**site.with_batch(azurite)):
        handle = await site.start(job)
        result = await handle.result()
    assert (result.state, result.tier) == (JobState.COMPLETED, "azure-batch")
    assert site.submitted() == 1
    assert site.batch_jobs() == 0
    assert await site.attempts(job) == [("azure-batch", "succeeded", None)]
    # However often the vendor is asked: retries of an activity write no history.
    assert len((await handle.fetch_history()).events) == 38


async def test_a_failed_batch_job_is_a_failed_tier_and_is_deleted(
    site: Regions, azurite: Azurite, tmp_path: Path
) -> None:
    site.first.batch.fail = "InternalServerError"
    job = await site.memo(make(tmp_path / "tone.wav", 70))
    async with site.working(**site.with_batch(azurite)):
        handle = await site.start(job)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert site.batch_jobs() == 0
    (attempt,) = await site.attempts(job)
    assert attempt[:2] == ("azure-batch", "failed")


async def test_a_cancelled_memo_takes_its_batch_job_with_it(
    site: Regions, azurite: Azurite, tmp_path: Path
) -> None:
    site.first.batch.running = 10_000
    job = await site.memo(make(tmp_path / "tone.wav", 70))
    async with site.working(**site.with_batch(azurite)):
        handle = await site.start(job)
        async with asyncio.timeout(30):
            while not site.batch_jobs():
                await asyncio.sleep(0.05)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert site.batch_jobs() == 0
    async with site.database.read() as tx:
        assert await tx.jobs.state(job.job_id, job.user_id) is JobState.CANCELLED


async def test_a_submission_whose_answer_was_lost_is_found_again_not_bought_again(
    site: Regions, azurite: Azurite, tmp_path: Path
) -> None:
    site.first.fault(call=":submit", cut="answer")
    job = await site.memo(make(tmp_path / "tone.wav", 70))
    settings = {**site.with_batch(azurite), "TIER_BACKOFF_SECONDS": 0.1}
    async with site.working(**settings):
        result = await (await site.start(job)).result()
    assert result.tier == "azure-batch"
    assert site.submitted() == 1
    assert site.batch_jobs() == 0
