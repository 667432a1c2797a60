"""Azure's fast tiers in a memo: another region when busy, converted when refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.memo import MemoJob, MemoResult
from store.migrations import upgrade
from tests.fakes.azure import FakeAzure
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site, local_server

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
        return [(one.tier, one.outcome, one.error_code) for one in found]


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with local_server() as environment:
        yield environment


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
