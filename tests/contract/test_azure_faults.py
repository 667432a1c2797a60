"""The fault matrix of Azure: every fault x every call, by the table in ``azure_faults``.

A seeded tenth runs always, all of it behind ``slow``.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from contracts.audio import AudioFacts
from contracts.batch import VendorJob
from contracts.errors import ProviderBusy, ProviderFailure, ProviderOut
from providers.azure_batch import AzureBatch, BatchOptions
from providers.azure_blob_staging import AzureBlobStaging
from providers.azure_fast import AzureFast, FastOptions
from providers.azure_speech import AzureSpeech, SpeechCredential
from tests import azurite as published
from tests.azurite import Azurite
from tests.contract.azure_faults import CALLS, EXPECTED, OWN, UNTOLD
from tests.fakes.azure import FakeAzure
from tests.fakes.forwarding import Forwarding
from tests.fakes.http_wire import Wire
from tests.faults.vendor_faults import (
    DATE_AHEAD,
    FAULTS,
    SECONDS_ASKED,
    VendorFault,
    elsewhere,
    filled,
    sampled,
)
from tests.media.recordings import tone, wav

TIMEOUT: Final = 0.6
"""Seconds a call may take where the fault is that it takes for ever."""
SECONDS: Final = 8.0
FACTS: Final = AudioFacts(
    container="wav",
    codec="pcm_s16le",
    seconds=SECONDS,
    sample_rate=16_000,
    channels=1,
    size=int(SECONDS * 32_000) + 44,
)
OPERATION: Final = "memo-1:azure-batch"
KEY: Final = "memo-1-azure-batch.wav"
WAITS: Final[Mapping[str, tuple[float, float]]] = {
    "429 seconds": (SECONDS_ASKED, SECONDS_ASKED),
    "429 date": (1, DATE_AHEAD),
}
MEANT: Final[Mapping[str, str]] = {
    "fast": "POST .*:transcribe$",
    "submit": "POST .*:submit$",
    "list": "GET .*/transcriptions$",
    "status": r"GET .*/transcriptions/[^/]+$",
    "files": "GET .*/files$",
    "content": r"GET /results/.*contenturl",
    "delete": "DELETE /speechtotext",
    "stage": r"PUT .*\.wav$",
    "remove": r"DELETE .*\.wav$",
}
"""The call that goes wrong, among those a step makes."""


class Stage:
    """The vendor's stand-ins, and our side of each call."""

    def __init__(self, vendor: FakeAzure, blobs: Forwarding, audio: Path, link: str) -> None:
        self.vendor = vendor
        self.blobs = blobs
        self.audio = audio
        self.link = link

    def wire(self, call: str) -> Wire:
        return self.blobs if call in {"stage", "remove"} else self.vendor

    async def job(self) -> VendorJob:
        """A job that is done and audio that is staged, made while everything works."""
        self.vendor.results_url = None
        batch = Side(self)
        job = await batch.submit()
        while not (await batch.batch.state(job)).done:
            pass
        await batch.stage_audio()
        await batch.aclose()
        return job


class Side:
    """Our side: the providers, at the vendor's address or at another one."""

    def __init__(
        self,
        stage: Stage,
        url: str | None = None,
        *,
        job: VendorJob | None = None,
        timeout: float = 20.0,
        connect: float = 10.0,
    ) -> None:
        self.stage = stage
        self.made = job or VendorJob(id="none", credential="north")
        endpoint = url or stage.vendor.url
        credential = SpeechCredential("north", "north", endpoint, "secret-key")
        self.speech = AzureSpeech(
            [credential], api_version="2025-10-15", timeout=timeout, connect_seconds=connect
        )
        place = url or stage.blobs.url
        self.batch = self.batch_with(place)
        fast = FastOptions(
            locales=("en-US",), speakers=10, phrases=(), max_bytes=10**9, max_seconds=6900
        )
        self.fast = AzureFast(self.speech, fast)
        self.staging = AzureBlobStaging(
            account_url=f"{place}/{published.ACCOUNT}",
            account=published.ACCOUNT,
            key=published.KEY,
            container="faults",
            timeout=timeout,
            connect_seconds=connect,
        )

    def batch_with(self, place: str) -> AzureBatch:
        """Fetches results from there too."""
        options = BatchOptions(locales=("en-US",), speakers=10, max_bytes=10**9, staging_url=place)
        return AzureBatch(self.speech, options)

    async def submit(self) -> VendorJob:
        link = self.stage.link
        return await self.batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)

    async def transcribe(self) -> None:
        stream = self.fast.transcribe(
            self.stage.audio, FACTS, languages=[], diarization=True, after=0
        )
        async for part in stream:
            assert part.utterances

    async def results(self) -> None:
        await self.batch.results(self.made, FACTS, languages=[])

    async def stage_audio(self) -> None:
        await self.staging.stage(KEY, self.stage.audio, media_type="audio/wav")

    def step(self, call: str) -> Callable[[], Awaitable[object]]:
        steps: Mapping[str, Callable[[], Awaitable[object]]] = {
            "fast": self.transcribe,
            "submit": self.submit,
            "list": lambda: self.batch.find(OPERATION),
            "status": lambda: self.batch.state(self.made),
            "files": self.results,
            "content": self.results,
            "delete": lambda: self.batch.delete(self.made),
            "stage": self.stage_audio,
            "remove": lambda: self.staging.remove(KEY),
        }
        return steps[call]

    async def aclose(self) -> None:
        await self.speech.aclose()
        await self.staging.aclose()


@pytest.fixture(scope="module")
async def opened(
    azurite: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    audio = tmp_path_factory.mktemp("faults") / "audio.wav"
    audio.write_bytes(wav(tone(SECONDS)))
    vendor, blobs = FakeAzure(), Forwarding(azurite.url.removesuffix(f"/{published.ACCOUNT}"))
    vendor.batch.waiting = vendor.batch.running = 0
    await vendor.start()
    await blobs.start()
    stage = Stage(vendor, blobs, audio, "")
    side = Side(stage)
    stage.link = await side.staging.stage("link.wav", audio, media_type="audio/wav")
    await side.aclose()
    yield stage
    await vendor.aclose()
    await blobs.aclose()


@pytest.fixture
def stage(opened: Stage) -> Stage:
    for wire in (opened.vendor, opened.blobs):
        wire.faults.clear()
        wire.release()
    opened.vendor.batch.jobs.clear()
    return opened


CELLS: Final = [(call, fault) for call in CALLS for fault in FAULTS]


def test_the_table_has_a_cell_for_every_fault_and_call() -> None:
    assert set(EXPECTED) == {(fault.name, call) for call, fault in CELLS}
    assert set(CALLS) == set(MEANT)


@pytest.mark.parametrize(("call", "fault"), sampled(CELLS, seed=3))
async def test_a_fault_is_one_call_of_the_class_in_the_table(
    stage: Stage, call: str, fault: VendorFault
) -> None:
    expected = EXPECTED[fault.name, call]
    job = await stage.job()
    wire = stage.wire(call)
    with ExitStack() as stack, capture_logs() as logs:
        side = _faulty_side(stage, stack, call, filled(fault, OWN), job)
        before = len(wire.calls)
        failure: ProviderFailure | None = None
        try:
            async with asyncio.timeout(15):
                await side.step(call)()
        except ProviderFailure as raised:
            failure = raised
        seen = [each for each in wire.calls[before:] if _meant(each, call)]
        wire.faults.clear()
        wire.release()
        await side.aclose()
    if expected.kind is None:
        assert failure is None
    else:
        assert failure is not None
        assert (type(failure), failure.code) == expected
        assert _is_waited_for(failure, fault.name)
    assert len(seen) == (0 if fault.place else 1)
    told = f"{failure} {logs}"
    assert not [secret for secret in UNTOLD if secret in told]
    _is_loud_when_out(failure, call, logs)
    await _nothing_is_bought_twice(stage, call, fault, seen)


def _faulty_side(
    stage: Stage, stack: ExitStack, call: str, fault: VendorFault, job: VendorJob
) -> Side:
    timeout = TIMEOUT if fault.slow else 20.0
    url = stack.enter_context(elsewhere(fault.place)) if fault.place else None
    connect = TIMEOUT / 2 if fault.place == "connect" else 10.0
    if url is None:
        stage.wire(call).fault(**{**fault.wire, "call": MEANT[call]})
    if call != "content":
        return Side(stage, url, job=job, timeout=timeout, connect=connect)
    # Results lie elsewhere than the resource: the key does not go there.
    stage.vendor.results_url = url or stage.vendor.url.replace("127.0.0.1", "localhost")
    side = Side(stage, job=job, timeout=timeout, connect=connect)
    side.batch = side.batch_with(stage.vendor.results_url)
    return side


def _meant(seen: Mapping[str, str], call: str) -> bool:
    return re.search(MEANT[call], f"{seen['method']} {seen['path']}") is not None


def _is_waited_for(failure: ProviderFailure, name: str) -> bool:
    if name not in WAITS:
        return failure.retry_after is None
    least, most = WAITS[name]
    return failure.retry_after is not None and least <= failure.retry_after <= most


def _is_loud_when_out(failure: ProviderFailure | None, call: str, logs: Sequence[object]) -> None:
    loud = "azure.credential_out" in str(logs)
    assert loud == (isinstance(failure, ProviderOut) and call not in {"stage", "remove"})


async def _nothing_is_bought_twice(
    stage: Stage, call: str, fault: VendorFault, seen: Sequence[object]
) -> None:
    """A job that was made is found, whatever became of the answer; one that was not is not."""
    side = Side(stage)
    found = await side.batch.find(OPERATION)
    made = 0 if fault.place or fault.wire.get("undone") or call != "submit" else len(seen)
    deleted = call == "delete" and not fault.place and not fault.wire.get("undone")
    assert len(found) == 1 + made - deleted
    for job in found:
        await side.batch.delete(job)
    assert not stage.vendor.batch.jobs
    await side.aclose()


async def test_a_submission_is_never_broken_once_the_vendor_may_have_made_the_job() -> None:
    """A tier that is given up while its job runs would be bought twice."""
    for (name, call), cell in EXPECTED.items():
        undone = next(fault.wire.get("undone") for fault in FAULTS if fault.name == name)
        if call == "submit" and cell.kind is not None and not undone:
            assert cell.kind is ProviderBusy, name
