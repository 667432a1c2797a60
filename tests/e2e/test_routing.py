"""Which tier a memo goes to first, and what one memo's refusal means for the next."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.memo import MemoJob
from contracts.tiers import BATCH_FROM_SECONDS
from store.migrations import upgrade
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes.azure import FakeAzure
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

FAST = "azure-fast,azure-fast-other-region,azure-fast-converted"


class Azure(Site):
    """A site with a resource in each of two regions and a storage account."""

    def __init__(self, site: Site, north: FakeAzure, south: FakeAzure) -> None:
        super().__init__(site.client, site.folder, site.vendor)
        self.north = north
        self.south = south

    def tiers(self, names: str, azurite: Azurite | None = None) -> dict[str, object]:
        wanted: dict[str, object] = {
            "TRANSCRIPTION_TIERS": names,
            "AZURE_SPEECH_KEY_1": "one",
            "AZURE_SPEECH_REGION_1": "north",
            "AZURE_SPEECH_ENDPOINT_1": self.north.url,
            "AZURE_SPEECH_KEY_2": "two",
            "AZURE_SPEECH_REGION_2": "south",
            "AZURE_SPEECH_ENDPOINT_2": self.south.url,
            "TIER_BACKOFF_SECONDS": 0.1,
            "AZURE_BATCH_POLL_SECONDS": 0.2,
        }
        if azurite is None:
            return wanted
        return wanted | {
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
            "AZURE_BLOB_ENDPOINT": azurite.url,
        }

    async def planned(self, job: MemoJob) -> list[str]:
        async with self.database.read() as tx:
            events = await tx.jobs.events_after({job.job_id: 0}, job.user_id)
        (tiers,) = [event.data["tiers"] for event in events if "tiers" in event.data]
        return list(tiers)

    async def attempts(self, job: MemoJob) -> list[tuple[str, str | None]]:
        async with self.database.read() as tx:
            found = await tx.attempts.list(job.job_id, job.user_id)
        return [(one.tier, one.error_code) for one in found if one.tier != "local"]


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Azure]:
    north, south, openai = FakeAzure(), FakeAzure(), FakeOpenAI()
    for vendor in (north, south, openai):
        await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Azure(Site(environment.client, tmp_path, openai), north, south)
    yield site
    await site.close()
    await north.aclose()
    await south.aclose()


@pytest.mark.parametrize("languages", [("de-CH",), ("en-GB", "de-AT"), ("de-de", "DE-ch")])
async def test_varieties_of_german_go_to_batch_first(
    site: Azure, azurite: Azurite, tmp_path: Path, languages: tuple[str, ...]
) -> None:
    audio = make(tmp_path / "tone.wav", 8, "sine=frequency=300:sample_rate=16000")
    job = await site.memo(audio, languages=languages, heartbeat_seconds=60)
    async with site.working(**site.tiers(f"{FAST},azure-batch,openai", azurite)):
        result = await (await site.start(job)).result()
    assert await site.planned(job) == ["azure-batch", "openai"]
    assert await site.attempts(job) == [("azure-batch", None)]
    assert result.tier == "azure-batch"
    assert not [call for call in site.north.calls if call["path"].endswith(":transcribe")]


@pytest.mark.slow
@pytest.mark.parametrize(("beyond", "first"), [(0, "azure-fast"), (1, "azure-batch")])
async def test_a_second_more_than_115_minutes_goes_to_batch_directly(
    site: Azure, azurite: Azurite, tmp_path: Path, beyond: int, first: str
) -> None:
    seconds = BATCH_FROM_SECONDS + beyond
    audio = make(tmp_path / "long.flac", seconds, "anullsrc=sample_rate=8000:channel_layout=mono")
    job = await site.memo(audio, claimed_seconds=60, heartbeat_seconds=60)
    async with site.working(**site.tiers(f"{FAST},azure-batch,openai", azurite)):
        async with site.database.write() as tx:
            await tx.credits.grant(job.user_id, "top-up", 1000, "for a long recording")
        result = await (await site.start(job)).result()
    assert (await site.planned(job))[0] == first
    assert await site.attempts(job) == [(first, None)]
    assert (result.state, result.charged) == (JobState.COMPLETED, 230 + beyond)


async def test_a_refused_key_is_out_loudly_for_the_following_memos_too(
    site: Azure, tmp_path: Path
) -> None:
    site.north.fault(status=401, undone=True, times=99)
    audio = make(tmp_path / "tone.wav", 8)
    jobs = [await site.memo(audio, heartbeat_seconds=60) for _ in range(3)]
    with capture_logs() as logs:
        async with site.working(**site.tiers(FAST)):
            for job in jobs:
                await (await site.start(job)).result()
    assert len(site.north.calls) == 1
    assert len(site.south.calls) == 3
    assert await site.attempts(jobs[0]) == [
        ("azure-fast", "credential_out"),
        ("azure-fast", None),
    ]
    assert await site.attempts(jobs[1]) == await site.attempts(jobs[2]) == [("azure-fast", None)]
    said = [entry for entry in logs if entry["event"] == "azure.credential_out"]
    assert [(entry["log_level"], entry["resource"]) for entry in said] == [("error", "north-1")]


async def test_a_key_that_was_told_to_wait_is_not_asked_by_the_next_memo_either(
    site: Azure, tmp_path: Path
) -> None:
    site.north.fault(status=429, headers={"retry-after": "301"}, undone=True)
    audio = make(tmp_path / "tone.wav", 8)
    jobs = [await site.memo(audio, heartbeat_seconds=60) for _ in range(2)]
    async with site.working(**site.tiers(FAST), TIER_TRIES=1):
        for job in jobs:
            await (await site.start(job)).result()
    assert (len(site.north.calls), len(site.south.calls)) == (1, 2)
    for job in jobs:
        assert await site.attempts(job) == [
            ("azure-fast", "provider_busy"),
            ("azure-fast-other-region", None),
        ]


async def test_a_format_that_is_not_taken_is_converted_exactly_once(
    site: Azure, azurite: Azurite, tmp_path: Path
) -> None:
    site.north.fault(call=":transcribe", status=415, undone=True, times=99)
    job = await site.memo(make(tmp_path / "tone.flac", 8), heartbeat_seconds=60)
    async with site.working(**site.tiers(f"{FAST},azure-batch", azurite)):
        handle = await site.start(job)
        result = await handle.result()
        history = await handle.fetch_history()
    assert await site.attempts(job) == [
        ("azure-fast", "format_not_taken"),
        ("azure-fast-converted", "format_not_taken"),
        ("azure-batch", None),
    ]
    begun = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert begun.count("convert") == 1
    assert result.tier == "azure-batch"
