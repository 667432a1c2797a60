"""Gemini as a transcriber: segments with times, uploads that are taken back, every fault."""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from contracts.audio import AudioFacts
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from contracts.transcript import TranscriptPart, join_parts
from providers import gemini_transcription
from providers.gemini_answers import SpokenSegment, TranscriptShape, part_of
from providers.gemini_client import GeminiServer
from providers.gemini_transcription import INLINE_BYTES, GeminiTranscription
from tests.fakes.gemini import FakeGemini
from tests.fakes.openai import text_of
from tests.faults.vendor_faults import FAULTS, VendorFault, elsewhere, filled, sampled
from tests.media.recordings import tone, wav

KEY: Final = "planted-gemini-key"
SECONDS: Final = 12
TIMEOUT: Final = 0.6
GENERATE: Final = "generateContent"
START: Final = "/upload/v1/files"
SEND: Final = "/upload/session/"
LOOK: Final = "GET /v1/files/"
DELETE: Final = "DELETE /v1/files/"


class Recording(NamedTuple):
    path: Path
    facts: AudioFacts


@pytest.fixture(scope="module")
async def opened() -> AsyncIterator[FakeGemini]:
    fake = FakeGemini(key=KEY)
    await fake.start()
    yield fake
    await fake.aclose()


@pytest.fixture
def vendor(opened: FakeGemini) -> FakeGemini:
    opened.release()
    opened.faults.clear()
    opened.calls.clear()
    opened.files.clear()
    return opened


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recording(tmp_path_factory.mktemp("small") / "a.wav", SECONDS)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Just too large for a request."""
    return recording(tmp_path_factory.mktemp("large") / "a.wav", INLINE_BYTES // 32_000 + 1)


def recording(path: Path, seconds: float) -> Recording:
    path.write_bytes(wav(tone(min(seconds, 1)) * max(1, int(seconds))))
    facts = AudioFacts(
        container="wav",
        codec="pcm_s16le",
        seconds=seconds,
        sample_rate=16_000,
        channels=1,
        size=path.stat().st_size,
    )
    return Recording(path, facts)


async def heard(
    url: str,
    sound: Recording,
    languages: Sequence[str] = ("en-US",),
    *,
    diarization: bool = True,
    after: float = 0,
    **options: Any,
) -> list[TranscriptPart]:
    settings: dict[str, Any] = {
        "model": "gemini-3.8-flash",
        "timeout": 20,
        "poll_seconds": 0.01,
    } | options
    engine = GeminiTranscription(GeminiServer(KEY, url), **settings)
    try:
        stream = engine.transcribe(
            sound.path, sound.facts, languages=languages, diarization=diarization, after=after
        )
        return [part async for part in stream]
    finally:
        await engine.aclose()


def paths(vendor: FakeGemini) -> list[str]:
    return [f"{call['method']} {call['path']}" for call in vendor.calls]


async def test_a_small_recording_is_one_request(vendor: FakeGemini, small: Recording) -> None:
    [part] = await heard(vendor.url, small)
    assert (part.start, part.end) == (0, SECONDS)
    transcript = join_parts([part], SECONDS)
    assert transcript.text == text_of(SECONDS)
    assert transcript.languages == ("en-US",)
    assert set(transcript.speakers) == {"1", "2"}
    assert [each.offset for each in part.utterances] == [0, 5000, 10000]
    assert len(vendor.calls) == 1
    assert vendor.calls[0]["bytes"] == small.facts.size
    assert vendor.calls[0]["temperature"] == 0
    assert "It may be in en-US." in vendor.calls[0]["user"]


async def test_speakers_are_told_only_when_asked_for(vendor: FakeGemini, small: Recording) -> None:
    [part] = await heard(vendor.url, small, diarization=False)
    assert {each.speaker for each in part.utterances} == {None}


async def test_a_large_recording_is_uploaded_waited_for_and_deleted(
    vendor: FakeGemini, large: Recording
) -> None:
    vendor.states = ["PROCESSING", "PROCESSING"]
    [part] = await heard(vendor.url, large)
    assert join_parts([part], 1).text == text_of(large.facts.seconds)
    assert paths(vendor) == [
        f"POST {START}",
        f"POST {SEND}file-1",
        f"{LOOK}file-1",
        f"{LOOK}file-1",
        f"POST /v1/models/gemini-3.8-flash:{GENERATE}",
        f"{DELETE}file-1",
    ]
    assert not vendor.files


async def test_a_file_gemini_cannot_read_is_a_format_not_taken_and_deleted(
    vendor: FakeGemini, large: Recording
) -> None:
    vendor.states = ["PROCESSING", "FAILED"]
    with pytest.raises(FormatNotTaken):
        await heard(vendor.url, large)
    assert not vendor.files


async def test_a_file_that_never_becomes_ready_is_given_up_and_deleted(
    vendor: FakeGemini, large: Recording
) -> None:
    vendor.states = ["PROCESSING"] * 1000
    with pytest.raises(ProviderBusy):
        await heard(vendor.url, large, timeout=1.5)
    vendor.states = []
    assert not vendor.files


async def test_the_key_goes_to_the_configured_host_whatever_the_vendor_names(
    vendor: FakeGemini, large: Recording
) -> None:
    vendor.fault(call=START, headers={"x-goog-upload-url": f"http://elsewhere.invalid{SEND}file-1"})
    [part] = await heard(vendor.url, large)
    assert part.utterances


async def test_no_segments_are_no_speech(vendor: FakeGemini, tmp_path: Path) -> None:
    with pytest.raises(NoSpeech):
        await heard(vendor.url, recording(tmp_path / "short.wav", 0.4))
    assert len(vendor.calls) == 1


async def test_what_was_heard_before_is_not_asked_again(
    vendor: FakeGemini, small: Recording
) -> None:
    assert await heard(vendor.url, small, after=SECONDS) == []
    assert not vendor.calls


async def test_what_it_cannot_take_is_not_sent(vendor: FakeGemini, small: Recording) -> None:
    long = small.facts.model_copy(update={"seconds": gemini_transcription.MAX_SECONDS + 1})
    with pytest.raises(TooLongForProvider):
        await heard(vendor.url, small._replace(facts=long))
    mov = small.facts.model_copy(update={"container": "mov"})
    with pytest.raises(FormatNotTaken):
        await heard(vendor.url, small._replace(facts=mov))
    assert not vendor.calls


async def test_audio_that_is_none_is_a_format_not_taken(
    vendor: FakeGemini, small: Recording, tmp_path: Path
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"no audio at all")
    with pytest.raises(FormatNotTaken):
        await heard(vendor.url, Recording(path, small.facts))


# --- Its answers ---------------------------------------------------------------------------------


def said(start: str, end: str, speaker: int = 0, language: str = "en") -> TranscriptShape:
    segment = SpokenSegment(
        start=start, end=end, speaker=speaker, language=language, text=" Hi\n. "
    )
    return TranscriptShape(segments=[segment])


@pytest.mark.parametrize(
    ("start", "end", "offset", "duration"),
    [
        ("00:05", "00:07", 5000, 2000),
        ("0:05.5", "0:07", 5500, 1500),
        ("00:00:05", "00:01:07", 5000, 62_000),
        ("5", "7.25s", 5000, 2250),
        ("00:07", "00:05", 7000, 0),
        ("00:05", "99:59", 5000, 85_000),
        ("99:58", "99:59", 90_000, 0),
    ],
)
def test_times_are_read_in_every_form_and_kept_within_the_audio(
    start: str, end: str, offset: int, duration: int
) -> None:
    part = part_of("gemini", said(start, end), 90, [], diarization=True)
    [utterance] = part.utterances
    assert (utterance.offset, utterance.duration) == (offset, duration)
    assert utterance.text == "Hi ."


@pytest.mark.parametrize("time", ["", "soon", "-1", "1:2:3:4", "NaN", "٣:٤"])
def test_a_time_that_is_none_is_no_answer(time: str) -> None:
    with pytest.raises(ProviderBroken):
        part_of("gemini", said(time, "00:01"), 90, [], diarization=True)


@pytest.mark.parametrize(
    ("language", "asked", "locale"),
    [
        ("de", ["de-CH", "en-GB"], "de-CH"),
        ("fr-FR", ["de-CH"], "fr-FR"),
        ("German!", ["de-CH"], "de-CH"),
        ("German!", ["de-CH", "en-GB"], None),
        ("", [], None),
    ],
)
def test_a_language_is_the_tag_asked_for_when_it_is_the_same(
    language: str, asked: list[str], locale: str | None
) -> None:
    part = part_of("gemini", said("0", "1", language=language), 9, asked, diarization=False)
    assert part.utterances[0].locale == locale


# --- Every fault x every call --------------------------------------------------------------------

BUSY: Final = ("429", "429 seconds", "429 date", "429 bare", "500", "502 html", "503", "504")
CUT: Final = ("read time-out", "one byte a second", "reset in the body", "chunked abort")
OUT: Final = ("401", "402", "403")
AWAY: Final = ("refused", "no such host", "no tls", "connect time-out")


def expected(call: str, fault: str) -> type[ProviderFailure] | None:
    """What a fault of a call means; none when the recording is transcribed all the same."""
    if call == DELETE or fault == "duplicate keys":
        return None  # a copy that stays behind goes by itself; of two equal keys the last counts
    if fault in {*BUSY, *CUT, *AWAY, "wrong length"}:
        return ProviderBusy
    if fault in OUT:
        return ProviderOut
    if call == START and fault in {
        *("empty 200", "broken json", "wrong types", "missing fields", "nan"),
        *("bad utf-8", "100 MB", "gzip bomb"),
    }:
        # Only the header that says where to send it counts.
        return ProviderBroken if fault in {"100 MB", "gzip bomb"} else None
    if call in {SEND, LOOK} and fault == "nan":
        return None  # in a field that nobody reads
    return {"413": TooLongForProvider, "415": FormatNotTaken}.get(fault, ProviderBroken)


OWN: Final = {
    "wrong types": {"body": '{"candidates": [7], "file": 3, "state": 5, "name": []}'},
    "nan": {"pattern": r'"(promptTokenCount|sizeBytes)": [^,}]+', "becomes": r'"\1": NaN'},
    "duplicate keys": {
        "pattern": r"^\{",
        "becomes": '{"candidates": 5, "file": 5, "name": 5, "state": 5, "uri": 5, ',
    },
}
CELLS: Final = [(call, fault) for call in (GENERATE, START, SEND, LOOK, DELETE) for fault in FAULTS]


@pytest.mark.parametrize(("call", "fault"), sampled(CELLS, seed=11))
async def test_a_fault_of_any_call_has_its_class_and_leaves_no_file(
    vendor: FakeGemini, large: Recording, call: str, fault: VendorFault
) -> None:
    wanted = expected(call, fault.name)
    fault = filled(fault, OWN)
    vendor.states = ["PROCESSING"]
    options: dict[str, Any] = {"timeout": TIMEOUT * 4 if fault.slow else 20}
    with ExitStack() as stack:
        url = vendor.url
        if fault.place is not None:
            url = stack.enter_context(elsewhere(fault.place))
            options["connect_seconds"] = TIMEOUT / 2
            wanted = ProviderBusy
        else:
            vendor.fault(**{**fault.wire, "call": call})
        if wanted is None:
            [part] = await heard(url, large, **options)
            assert part.utterances
        else:
            with pytest.raises(ProviderFailure) as raised:
                await heard(url, large, **options)
            assert type(raised.value) is wanted
            assert KEY not in raised.value.message
    made = [path for path in paths(vendor) if call in path]
    assert len(made) <= 1 if call != LOOK else len(made) <= 2
    if call not in {DELETE, SEND}:
        assert not vendor.files
