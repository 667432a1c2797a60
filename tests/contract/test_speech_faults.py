"""The fault matrix of speech: every fault x every vendor's call, by one table to review.

A cell is the class of the failure. A seeded share runs always, all of it behind ``slow``.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from activities.speech_ports import Synthesizer
from contracts.errors import ProviderBroken, ProviderBusy, ProviderFailure, ProviderOut
from contracts.speech import Piece
from providers.azure_speaking import AzureSpeaking
from providers.azure_speech import AzureSpeech, SpeechCredential
from providers.gemini_client import GeminiServer
from providers.gemini_speech import GeminiSpeech
from providers.openai_speech import OpenAISpeech
from tests.fakes.azure_tts import FakeAzureSpeaking
from tests.fakes.gemini import FakeGemini
from tests.fakes.http_wire import Wire
from tests.fakes.openai import FakeOpenAI
from tests.faults.vendor_faults import (
    DATE_AHEAD,
    FAULTS,
    SECONDS_ASKED,
    VendorFault,
    elsewhere,
    sampled,
    seed,
)

SECRET: Final = "secret-key"
TEXT: Final = "The words that are to be said stand nowhere else, neither in a log nor in a failure."
TIMEOUT: Final = 0.6
MEANINGS: Final[dict[str, type[ProviderFailure]]] = {
    "busy": ProviderBusy,
    "out": ProviderOut,
    "broken": ProviderBroken,
}

_TABLE: Final = """
fault              openai  azure   gemini
429 seconds        busy    busy    busy
429 date           busy    busy    busy
429 bare           busy    busy    busy
500                busy    busy    busy
502 html           busy    busy    busy
503                busy    busy    busy
504                busy    busy    busy
refused            busy    busy    busy
no such host       busy    busy    busy
no tls             busy    busy    busy
connect time-out   busy    busy    busy
read time-out      busy    busy    busy
one byte a second  busy    busy    busy
reset in the body  busy    busy    busy
wrong length       busy    busy    busy
chunked abort      busy    busy    busy
empty 200          broken  broken  broken
broken json        broken  broken  broken
missing fields     broken  broken  broken
bad utf-8          broken  broken  broken
100 MB             broken  broken  broken
gzip bomb          broken  broken  broken
redirect           broken  broken  broken
401                out     out     out
402                out     out     out
403                out     out     out
413                broken  broken  broken
415                broken  broken  broken
"""
"""``wrong types``, ``nan`` and ``duplicate keys`` are faults of JSON; these answers are sound."""

EXPECTED: Final = {
    row.split("  ")[0].strip(): row.split()[-3:] for row in _TABLE.strip().splitlines()[1:]
}
CALLS: Final = ("openai", "azure", "gemini")
ROWS: Final = [fault for fault in FAULTS if fault.name in EXPECTED]
CELLS: Final = [(fault, call) for fault in ROWS for call in CALLS]


class Vendors:
    """The stand-ins, and an engine for each."""

    def __init__(self) -> None:
        self.wires: dict[str, Wire] = {
            "openai": FakeOpenAI(SECRET),
            "azure": FakeAzureSpeaking(SECRET),
            "gemini": FakeGemini(SECRET),
        }

    def engine(self, call: str, url: str | None, *, quick: bool) -> Any:
        timeout, place = (TIMEOUT if quick else 20.0), url or self.wires[call].url
        if call == "openai":
            return OpenAISpeech(
                api_key=SECRET, base_url=f"{place}/v1", timeout=timeout, connect_seconds=TIMEOUT
            )
        if call == "gemini":
            server = GeminiServer(SECRET, place)
            return GeminiSpeech(server, model="tts", timeout=timeout, connect_seconds=TIMEOUT)
        credential = SpeechCredential("north", "north", place, SECRET)
        speech = AzureSpeech([credential], api_version="x", timeout=timeout)
        return AzureSpeaking(speech, lambda _: place, timeout=timeout, connect_seconds=TIMEOUT)


@pytest.fixture(scope="module")
async def vendors() -> AsyncIterator[Vendors]:
    vendors = Vendors()
    for wire in vendors.wires.values():
        await wire.start()
    yield vendors
    for wire in vendors.wires.values():
        await wire.aclose()


def test_every_fault_of_an_answer_has_its_row() -> None:
    json_alone = {"wrong types", "nan", "duplicate keys"}
    assert {fault.name for fault in FAULTS} - json_alone == set(EXPECTED)


@pytest.mark.parametrize(("fault", "call"), sampled(CELLS, seed()))
async def test_a_fault_means_what_the_table_says(
    fault: VendorFault, call: str, vendors: Vendors, tmp_path: Path
) -> None:
    wire, target = vendors.wires[call], tmp_path / "part"
    with ExitStack() as stack, capture_logs() as logs:
        url = stack.enter_context(elsewhere(fault.place)) if fault.place else None
        if not fault.place:
            wire.fault(**fault.wire)
        engine = vendors.engine(call, url, quick=fault.slow)
        failure = await failing(engine, call, target)
        await engine.aclose()
        wire.faults.clear()
        wire.release()
    assert type(failure) is MEANINGS[EXPECTED[fault.name][CALLS.index(call)]]
    if fault.name == "429 seconds":
        assert failure.retry_after == SECONDS_ASKED
    if fault.name == "429 date":
        assert 1 <= (failure.retry_after or 0) <= DATE_AHEAD
    said = f"{failure} {failure.extra} {logs}"
    assert SECRET not in said
    assert "stand nowhere else" not in said


async def failing(engine: Synthesizer, call: str, target: Path) -> ProviderFailure:
    voice = {"openai": "nova", "azure": "en-US-AvaNeural", "gemini": "Kore"}[call]
    piece = Piece(text=TEXT, voice=voice, model="tts-1", language="en-US")
    with pytest.raises(ProviderFailure) as caught:
        await engine.synthesize(piece, target)
    return caught.value
