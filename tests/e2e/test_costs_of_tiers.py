"""What a memo costs on Temporal by the way it takes through the tiers, exactly.

A number that grows here is a decision: say why in the commit that changes it, and in the table of
``docs/performance.md``.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts.costs import NOTHING, audio, tokens
from contracts.jobs import Step
from contracts.tiers import Attempt, AttemptOutcome
from store.migrations import upgrade
from tests import azurite as published
from tests.azurite import Azurite
from tests.counts import count
from tests.fakes.azure import FakeAzure
from tests.fakes.gemini import FakeGemini
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

LARGEST_PAYLOAD: Final = 32_768
FAST: Final = "azure-fast,azure-fast-other-region,azure-fast-converted,azure-batch,openai"


class Way(NamedTuple):
    """One way through the tiers.

    Attributes:
        tiers: TRANSCRIPTION_TIERS.
        ends: the tier that serves, or the code of the failure, or ``silence``.
        events: of a recording in chunks the most, as some of them end at the same time.
        faults: of the first region, the second, and OpenAI: fields of `Fault`.
        audio: suffix and seconds of the recording; ``silence`` has nothing in it.
        settings: further ones.
        micros: what the calls that transcribed are estimated to cost, by the default prices.
    """

    tiers: str
    ends: str
    actions: int
    events: int
    faults: tuple[Mapping[str, Any], ...] = ()
    audio: tuple[str, float] = ("wav", 70)
    silence: bool = False
    settings: Mapping[str, Any] = {}
    micros: int | None = 7_000


CHUNKS: Final = "16 chunks"
DOWN: Final = {"status": 503, "undone": True, "times": 99}
WAYS: Final = {
    "fast, first try": Way(FAST, "azure-fast", 7, 26),
    "another region": Way(FAST, "azure-fast-other-region", 9, 32, (DOWN,)),
    "converted": Way(
        FAST, "azure-fast-converted", 9, 39, ({"status": 415, "undone": True},), ("flac", 70)
    ),
    "batch": Way("azure-batch", "azure-batch", 11, 38, micros=3_500),
    "OpenAI": Way("openai", "openai", 7, 26),
    "Gemini": Way("gemini", "gemini", 7, 26, micros=None),
    "silence, local": Way("local", "silence", 7, 32, audio=("wav", 8), silence=True, micros=0),
    CHUNKS: Way(
        "openai",
        "openai",
        25,
        140,
        audio=("mp3", 430),
        settings={"OPENAI_TRANSCRIPTION_MAX_MB": 1},
        micros=None,
    ),
    "all tiers fail": Way(
        "azure-fast,azure-fast-other-region,openai",
        "provider_busy",
        10,
        31,
        (DOWN, DOWN, DOWN),
        micros=0,
    ),
}


class Vendors(NamedTuple):
    north: FakeAzure
    south: FakeAzure
    openai: FakeOpenAI
    gemini: FakeGemini


@pytest.fixture
async def vendors() -> AsyncIterator[Vendors]:
    found = Vendors(FakeAzure(), FakeAzure(), FakeOpenAI(), FakeGemini())
    for vendor in found:
        await vendor.start()
    yield found
    for vendor in found:
        await vendor.aclose()


def environment_of(way: Way, vendors: Vendors, azurite: Azurite) -> dict[str, Any]:
    return {
        "TRANSCRIPTION_TIERS": way.tiers,
        "AZURE_SPEECH_KEY_1": "one",
        "AZURE_SPEECH_REGION_1": "north",
        "AZURE_SPEECH_ENDPOINT_1": vendors.north.url,
        "AZURE_SPEECH_KEY_2": "two",
        "AZURE_SPEECH_REGION_2": "south",
        "AZURE_SPEECH_ENDPOINT_2": vendors.south.url,
        "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
        "AZURE_BLOB_ENDPOINT": azurite.url,
        "AZURE_BATCH_POLL_SECONDS": 0.2,
        "GEMINI_API_KEY": "three",
        "GEMINI_BASE_URL": vendors.gemini.url,
        "TIER_BACKOFF_SECONDS": 0.1,
        **way.settings,
    }


@pytest.mark.parametrize("name", WAYS)
async def test_a_way_through_the_tiers_costs_what_the_table_says(
    environment: WorkflowEnvironment,
    vendors: Vendors,
    azurite: Azurite,
    tmp_path: Path,
    name: str,
) -> None:
    way = WAYS[name]
    for vendor, fault in zip(vendors, way.faults, strict=False):
        vendor.fault(**fault)
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Site(environment.client, tmp_path, vendors.openai)
    suffix, seconds = way.audio
    source = "anullsrc=sample_rate=16000" if way.silence else "sine=frequency=300"
    audio = make(tmp_path / f"audio.{suffix}", seconds, source)
    job = await site.memo(audio, heartbeat_seconds=60, claimed_seconds=seconds)
    async with site.working(**environment_of(way, vendors, azurite)):
        handle = await site.start(job)
        try:
            result = await handle.result()
            ended = result.tier or "silence"
        except WorkflowFailureError as failure:
            ended = str(getattr(failure.cause, "type", failure.cause))
        counts = count(await handle.fetch_history())
    async with site.database.read() as tx:
        calls = await tx.attempts.list(job.job_id, job.user_id)
    await site.database.close()
    check_bills(way, vendors, [call for call in calls if call.step == Step.TRANSCRIBE], seconds)
    assert ended == way.ends
    assert counts.actions == way.actions
    assert counts.events == way.events or (name == CHUNKS and counts.events < way.events)
    assert counts.largest_payload <= LARGEST_PAYLOAD


def check_bills(way: Way, vendors: Vendors, calls: Sequence[Attempt], seconds: float) -> None:
    """Seconds as they were sent, tokens as the vendor reported them, nothing for a refusal."""
    refused = [call for call in calls if call.outcome is AttemptOutcome.FAILED]
    heard = [call for call in calls if call.outcome is not AttemptOutcome.FAILED]
    assert all(call.units == NOTHING and call.cost_micros == 0 for call in refused)
    sent = [call.audio_milliseconds or 0 for call in heard]
    if way.ends == "gemini":
        [told] = [call["usage"] for call in vendors.gemini.calls if "bytes" in call]
        read, wrote = told["promptTokenCount"], told["candidatesTokenCount"]
        [only] = heard
        assert only.units == audio(seconds).over(tokens(read, wrote))
        assert only.cost_micros == math.floor(read * 1.5 + wrote * 9 + 0.5)
    elif way.micros is None:  # chunks overlap where they had to be cut in the middle of speech
        assert seconds * 1000 <= sum(sent) <= seconds * 1000 + 4000 * len(sent)
        assert [call.cost_micros for call in heard] == [math.floor(ms / 10 + 0.5) for ms in sent]
    else:
        assert sent in ([], [seconds * 1000])
        assert sum(call.cost_micros or 0 for call in heard) == way.micros
