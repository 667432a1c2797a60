"""Whisper as a transcriber: the mapping by a stand-in for its module, and what can be missing."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.ports import Transcriber
from contracts.audio import AudioFacts
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderFailure,
    ProviderOut,
)
from contracts.transcript import Transcript, TranscriptPart, join_parts
from providers.process_pool import ProcessPool
from providers.whisper import ENGINE, Whisper, WhisperModel
from tests.fakes import whisper_engine
from tests.media.recordings import wav
from tests.media.samples import read_samples

FAKE = whisper_engine.__name__


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(workers=1)
    yield pool
    await pool.aclose()


@pytest.fixture(scope="module")
def memo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AudioFacts]:
    """The memo of the samples, read twice."""
    path = tmp_path_factory.mktemp("memo") / "memo.wav"
    return path, written(path, read_samples("memo.wav") * 2)


def written(path: Path, pcm: bytes) -> AudioFacts:
    path.write_bytes(wav(pcm))
    return AudioFacts(
        container="wav",
        codec="pcm_s16le",
        seconds=len(pcm) / 32_000,
        sample_rate=16_000,
        channels=1,
        size=path.stat().st_size,
    )


def whisper(pool: ProcessPool, name: str = "small", engine: str = FAKE) -> Whisper:
    return Whisper(pool, WhisperModel(name, "/models"), engine=engine)


async def heard(
    engine: Transcriber,
    sound: tuple[Path, AudioFacts],
    *languages: str,
    after: float = 0,
) -> list[TranscriptPart]:
    path, facts = sound
    stream = engine.transcribe(path, facts, languages=languages, diarization=False, after=after)
    return [part async for part in stream]


async def test_parts_cover_the_audio_and_words_stand_where_they_were_spoken(
    pool: ProcessPool, memo: tuple[Path, AudioFacts]
) -> None:
    parts = await heard(whisper(pool), memo, "en-US")
    assert parts[0].start == 0
    assert parts[-1].end == pytest.approx(memo[1].seconds, abs=0.01)
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))
    transcript: Transcript = join_parts(parts, memo[1].seconds)
    assert transcript.text.split() == [word.text for word in transcript.words]
    assert len(transcript.words) > memo[1].seconds
    for part in parts:
        spans = [(each.offset, each.duration) for each in part.utterances]
        spans += [(each.offset, each.duration) for each in part.words]
        for offset, duration in spans:
            assert part.start * 1000 - 1 <= offset
            assert 0 <= duration <= part.end * 1000 + 1 - offset


async def test_a_resumed_attempt_hears_what_an_unbroken_one_would(
    pool: ProcessPool, memo: tuple[Path, AudioFacts]
) -> None:
    parts = await heard(whisper(pool), memo, "en-US")
    assert len(parts) > 1
    assert await heard(whisper(pool), memo, "en-US", after=parts[0].end) == parts[1:]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("en-US",), "en-US"),
        (("de-CH",), "de-CH"),
        ((), whisper_engine.DETECTED),
        (("en-GB", "pl-PL"), "pl-PL"),
        (("en-GB", "de-AT"), "de-AT"),
        (("fr-FR", "en-GB"), "en-GB"),
    ],
)
async def test_the_language_is_the_one_asked_for_or_the_likeliest_of_them(
    pool: ProcessPool,
    memo: tuple[Path, AudioFacts],
    asked: tuple[str, ...],
    found: str,
) -> None:
    parts = await heard(whisper(pool), memo, *asked)
    assert join_parts(parts, memo[1].seconds).languages == (found,)


@pytest.mark.parametrize(
    ("name", "engine", "kind", "said"),
    [
        ("small", "no_such_module", ProviderOut, "install voicekeep[whisper]"),
        ("missing", FAKE, ProviderOut, "FileNotFoundError"),
        ("broken", FAKE, ProviderBroken, "RuntimeError"),
        ("dying", FAKE, ProviderBroken, "did not live"),
    ],
)
async def test_what_is_missing_or_fails_is_said(
    *,
    pool: ProcessPool,
    memo: tuple[Path, AudioFacts],
    name: str,
    engine: str,
    kind: type[ProviderFailure],
    said: str,
) -> None:
    with pytest.raises(ProviderFailure) as raised:
        await heard(whisper(pool, name, engine), memo)
    assert type(raised.value) is kind
    assert said in raised.value.message
    assert "/models" not in raised.value.message
    assert await heard(whisper(pool), memo)  # the pool goes on


async def test_silence_is_no_speech_and_loads_no_model(pool: ProcessPool, tmp_path: Path) -> None:
    facts = written(tmp_path / "silence.wav", bytes(32_000 * 3))
    with pytest.raises(NoSpeech):
        await heard(whisper(pool, "missing"), (tmp_path / "silence.wav", facts))


async def test_anything_but_its_wav_is_refused(
    pool: ProcessPool, memo: tuple[Path, AudioFacts]
) -> None:
    facts = memo[1].model_copy(update={"container": "mov", "codec": "aac"})
    engine = whisper(pool)
    assert not engine.capabilities.takes_format(facts)
    with pytest.raises(FormatNotTaken):
        await heard(engine, (memo[0], facts))


def test_it_speaks_to_faster_whisper_unless_told_otherwise() -> None:
    assert ENGINE == "faster_whisper"
