"""One promise for every transcriber: pocketsphinx on real speech, vendors against stand-ins."""

import asyncio
import itertools
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from activities.ports import Transcriber
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
)
from contracts.transcript import Transcript, TranscriptPart
from providers.azure_fast import AzureFast, FastOptions
from providers.azure_speech import AzureSpeech, SpeechCredential
from providers.local_headline import LocalHeadline
from providers.openai_transcription import OpenAITranscription
from providers.pocketsphinx import Pocketsphinx
from providers.process_pool import ProcessPool
from tests.fakes.azure import FakeAzure
from tests.fakes.http_wire import Wire
from tests.fakes.openai import FakeOpenAI
from tests.media.hearing import Recording, heard, joined, recording
from tests.media.samples import memo_facts, read_samples, sample

TIMES = 2


@pytest.fixture(scope="module")
def memo(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The memo of the samples, read twice: two parts for whoever works in parts."""
    path = tmp_path_factory.mktemp("memo") / "memo.wav"
    return recording(path, read_samples("memo.wav") * TIMES)


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(workers=1)
    yield pool
    await pool.aclose()


@pytest.fixture(scope="module")
async def vendor() -> AsyncIterator[FakeOpenAI]:
    fake = FakeOpenAI()
    await fake.start()
    yield fake
    await fake.aclose()


@pytest.fixture(scope="module")
async def openai(vendor: FakeOpenAI) -> AsyncIterator[OpenAITranscription]:
    engine = OpenAITranscription(
        api_key="key", base_url=vendor.base_url, model="whisper-1", timeout=20
    )
    yield engine
    await engine.aclose()


@pytest.fixture(scope="module")
async def speech_resource() -> AsyncIterator[FakeAzure]:
    fake = FakeAzure()
    await fake.start()
    yield fake
    await fake.aclose()


@pytest.fixture(scope="module")
async def azure(speech_resource: FakeAzure) -> AsyncIterator[AzureFast]:
    credential = SpeechCredential("north", "north", speech_resource.url, "key")
    speech = AzureSpeech([credential], api_version="2025-10-15", timeout=20)
    options = FastOptions(
        locales=("en-US",), speakers=10, phrases=(), max_bytes=250_000_000, max_seconds=6900
    )
    yield AzureFast(speech, options)
    await speech.aclose()


@pytest.fixture(scope="module", params=["pocketsphinx", "openai", "azure"])
async def engine(
    request: pytest.FixtureRequest,
    pool: ProcessPool,
    openai: OpenAITranscription,
    azure: AzureFast,
) -> Transcriber:
    engines: dict[str, Transcriber] = {
        "pocketsphinx": Pocketsphinx(pool),
        "openai": openai,
        "azure": azure,
    }
    return engines[request.param]


@pytest.fixture(scope="module")
def wires(vendor: FakeOpenAI, speech_resource: FakeAzure) -> dict[str, Wire]:
    """The stand-ins by the name of the provider that speaks to them."""
    return {"openai": vendor, "azure": speech_resource}


@pytest.fixture(scope="module")
async def parts(engine: Transcriber, memo: Recording) -> list[TranscriptPart]:
    """What the engine hears in the memo; heard once for all tests that only look at it."""
    return await heard(engine, memo)


@pytest.fixture(scope="module")
async def spoken(pool: ProcessPool, memo: Recording) -> Transcript:
    """What pocketsphinx hears in the memo."""
    return joined(await heard(Pocketsphinx(pool), memo), memo)


# --- Every transcriber ---------------------------------------------------------------------------


async def test_parts_cover_the_audio_without_gap_or_overlap(
    parts: list[TranscriptPart], memo: Recording
) -> None:
    assert parts[0].start == 0
    assert parts[-1].end == pytest.approx(memo.facts.seconds, abs=0.01)
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))


async def test_times_count_from_the_beginning_of_the_audio_and_stay_in_their_part(
    parts: list[TranscriptPart],
) -> None:
    for part in parts:
        assert part.utterances
        spans = [(each.text, each.offset, each.duration) for each in part.utterances]
        spans += [(each.text, each.offset, each.duration) for each in part.words]
        for text, offset, duration in spans:
            assert text.strip() == text != ""
            assert part.start * 1000 - 1 <= offset
            assert 0 <= duration <= part.end * 1000 + 50 - offset


async def test_words_have_times_when_the_capability_says_so(
    engine: Transcriber, parts: list[TranscriptPart], memo: Recording
) -> None:
    transcript = joined(parts, memo)
    assert engine.capabilities.word_times
    assert len(transcript.words) == len(transcript.text.split())


async def test_every_utterance_has_its_language(
    parts: list[TranscriptPart], memo: Recording
) -> None:
    assert joined(parts, memo).languages == ("en-US",)


async def test_the_same_audio_gives_the_same_transcript(
    engine: Transcriber, parts: list[TranscriptPart], memo: Recording
) -> None:
    assert joined(await heard(engine, memo), memo).sha256 == joined(parts, memo).sha256


async def test_an_attempt_that_is_resumed_hears_what_an_unbroken_one_would(
    engine: Transcriber, parts: list[TranscriptPart], memo: Recording
) -> None:
    resumed = await heard(engine, memo, after=parts[0].end)
    assert resumed == parts[1:]


async def test_a_stream_that_is_closed_early_ends_and_keeps_what_it_gave(
    engine: Transcriber, parts: list[TranscriptPart], memo: Recording
) -> None:
    stream: Any = engine.transcribe(
        memo.path, memo.facts, languages=["en-US"], diarization=False, after=0
    )
    async with aclosing(stream):
        assert await anext(stream) == parts[0]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_call_that_is_cancelled_ends_and_the_next_one_works(
    engine: Transcriber, memo: Recording, wires: dict[str, Wire], tmp_path: Path
) -> None:
    wire = wires.get(engine.provider)
    if wire is not None:
        wire.fault(hang=True)
    call = asyncio.create_task(heard(engine, memo))
    await asyncio.sleep(0.4)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    if wire is not None:
        wire.release()
    short = recording(tmp_path / "short.wav", sample("goforward.raw").read_bytes())
    assert await heard(engine, short)


async def test_what_it_says_it_takes_covers_what_it_is_given(
    engine: Transcriber, memo: Recording
) -> None:
    assert engine.capabilities.takes_format(memo.facts)
    assert engine.provider


# --- pocketsphinx --------------------------------------------------------------------------------


async def test_real_speech_is_understood(spoken: Transcript) -> None:
    words = spoken.text.split()
    for word in memo_facts()["must_be_heard"]:
        assert words.count(word) == TIMES, word
    assert not any(mark in spoken.text for mark in "<>[]()")


async def test_spoken_words_stand_where_they_were_spoken(
    spoken: Transcript, memo: Recording
) -> None:
    """The same reading twice: the second time everything comes one reading later."""
    length = memo.facts.seconds * 1000 / TIMES
    for word in ("leisure", "selfish", "respectable"):
        first, second = (each.offset for each in spoken.words if each.text == word)
        assert second - first == pytest.approx(length, abs=150)


async def test_short_commands_are_understood(pool: ProcessPool, tmp_path: Path) -> None:
    said = recording(tmp_path / "go.wav", sample("goforward.raw").read_bytes())
    assert joined(await heard(Pocketsphinx(pool), said), said).text == "go forward ten meters"


async def test_cards_are_heard(pool: ProcessPool, tmp_path: Path) -> None:
    with wave.open(str(sample("cards/005.wav"))) as file:
        cards = recording(tmp_path / "cards.wav", file.readframes(file.getnframes()))
    words = joined(await heard(Pocketsphinx(pool), cards), cards).text.split()
    assert {"eight", "spades", "seven", "hearts"} <= set(words)


@pytest.mark.parametrize("seconds", [0, 0.01, 3])
async def test_silence_is_no_speech(pool: ProcessPool, tmp_path: Path, seconds: float) -> None:
    silence = recording(tmp_path / "silence.wav", bytes(int(seconds * 16_000) * 2))
    with pytest.raises(NoSpeech):
        await heard(Pocketsphinx(pool), silence)


async def test_a_silent_rest_of_a_resumed_attempt_is_not_no_speech(
    pool: ProcessPool, tmp_path: Path
) -> None:
    sound = recording(tmp_path / "x.wav", read_samples("memo.wav") + bytes(32_000 * 5))
    [part] = await heard(Pocketsphinx(pool), sound, after=25.5)
    assert not part.utterances
    assert part.end == sound.facts.seconds


async def test_another_format_is_not_taken(pool: ProcessPool, memo: Recording) -> None:
    for change in ({"sample_rate": 44_100}, {"channels": 2}, {"container": "mov"}):
        facts = memo.facts.model_copy(update=change)
        with pytest.raises(FormatNotTaken):
            await heard(Pocketsphinx(pool), Recording(memo.path, facts))


async def test_speech_is_measured_without_knowing_words(
    pool: ProcessPool, memo: Recording, tmp_path: Path
) -> None:
    silence = recording(tmp_path / "silence.wav", bytes(32_000 * 5))
    engine = Pocketsphinx(pool)
    assert await engine.speech_seconds(memo.path) > 0.8 * memo.facts.seconds
    assert await engine.speech_seconds(silence.path) == 0


async def test_a_headline_is_made_of_what_was_heard(pool: ProcessPool, spoken: Transcript) -> None:
    made = await LocalHeadline(pool).headline(spoken, None)
    words = set(spoken.text.lower().split())
    assert {word.lower() for word in made.title.split()} <= words
    assert {word.lower().strip(".…") for word in made.intro.split()} <= words
    assert made.engine.startswith("yake-")


async def test_nothing_said_makes_no_headline(pool: ProcessPool) -> None:
    with pytest.raises(ProviderBroken):
        await LocalHeadline(pool).headline(Transcript(text="", seconds=1), "en")
