"""Joined speech: as long as its parts, every word of them in order, in each format."""

import array
import math
import random
import subprocess
import wave
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.errors import MediaRejected
from contracts.speech import SAMPLE_RATE, Piece, SpeechFormat
from providers.espeak import Espeak
from providers.media_tools import MediaTools
from providers.process_pool import ProcessPool
from providers.speech_join import SpeechJoiner
from tests.media.words import SPEED, VOICE, heard_words

EXACT = (SpeechFormat.WAV, SpeechFormat.PCM, SpeechFormat.FLAC)
SAID = ("computer, university, elephant", "monday, banana", "potato, umbrella, telephone, chicago")


@pytest.fixture
def joiner(tools: MediaTools) -> SpeechJoiner:
    return SpeechJoiner(tools.ffmpeg, tools.workspace)


@pytest.fixture(scope="module")
async def spoken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Path]]:
    """Parts that say words, each its own."""
    folder, pool = tmp_path_factory.mktemp("spoken"), ProcessPool(workers=1)
    paths = []
    for number, words in enumerate(SAID):
        paths.append(folder / f"{number}.pcm")
        piece = Piece(text=f"{words}.", voice=VOICE, language="en-US", speed=SPEED)
        await Espeak(pool).synthesize(piece, paths[-1])
    yield paths
    await pool.aclose()


def nothing(_: float) -> None:
    """Progress nobody looks at."""


def decoded(path: Path, form: SpeechFormat, rate: int = SAMPLE_RATE) -> bytes:
    """Samples of a file, by ffmpeg."""
    raw = ("-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1") if form is SpeechFormat.PCM else ()
    command = ("ffmpeg", "-nostdin", "-v", "error", *raw, "-i", str(path))
    target = ("-f", "s16le", "-ac", "1", "-ar", str(rate), "-")
    return subprocess.run([*command, *target], check=True, capture_output=True).stdout


def seconds(path: Path, form: SpeechFormat) -> float:
    return len(decoded(path, form)) / 2 / SAMPLE_RATE


@pytest.mark.parametrize("form", SpeechFormat)
async def test_every_word_of_every_part_is_heard_in_order(
    form: SpeechFormat, joiner: SpeechJoiner, spoken: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / f"speech.{form}"
    told = await joiner.join(spoken, target, form, progress=nothing)
    whole = sum(path.stat().st_size for path in spoken) / 2 / SAMPLE_RATE
    assert told == pytest.approx(whole)
    assert seconds(target, form) == pytest.approx(whole, abs=0.02 if form in EXACT else 0.1)
    assert heard_words(decoded(target, form, 16_000)) == ", ".join(SAID).split(", ")


@pytest.mark.parametrize("form", EXACT)
async def test_lossless_formats_hold_the_very_samples_of_the_parts(
    form: SpeechFormat, joiner: SpeechJoiner, tmp_path: Path
) -> None:
    draw = random.Random(7)
    parts = []
    for number in range(12):
        parts.append(tmp_path / str(number))
        parts[-1].write_bytes(draw.randbytes(2 * draw.randint(1, 9000)))
    target = tmp_path / "speech"
    await joiner.join(parts, target, form, progress=nothing)
    assert decoded(target, form) == b"".join(part.read_bytes() for part in parts)


async def test_a_wav_says_how_long_it_is(joiner: SpeechJoiner, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(bytes(48_000))
    await joiner.join([part, part], tmp_path / "speech.wav", SpeechFormat.WAV, progress=nothing)
    with wave.open(str(tmp_path / "speech.wav")) as wav:
        assert wav.getparams()[:4] == (1, 2, SAMPLE_RATE, 48_000)


@pytest.mark.parametrize("tempo", [0.25, 0.8, 3.7])
async def test_another_tempo_keeps_the_pitch(
    tempo: float, joiner: SpeechJoiner, tmp_path: Path
) -> None:
    part, target = tmp_path / "part", tmp_path / "speech"
    part.write_bytes(tone(4 * SAMPLE_RATE))
    told = await joiner.join([part], target, SpeechFormat.PCM, tempo=tempo, progress=nothing)
    assert told == pytest.approx(4 / tempo)
    samples = array.array("h", target.read_bytes())
    assert len(samples) / SAMPLE_RATE == pytest.approx(4 / tempo, abs=0.1)
    crossings = sum(a < 0 <= b for a, b in pairwise(samples))
    assert crossings / (len(samples) / SAMPLE_RATE) == pytest.approx(440, rel=0.06)


def tone(samples: int) -> bytes:
    turn = math.tau * 440 / SAMPLE_RATE
    return array.array("h", (int(9000 * math.sin(turn * n)) for n in range(samples))).tobytes()


async def test_a_part_that_ends_within_a_sample_is_no_part(
    joiner: SpeechJoiner, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"\0\0\0")
    with pytest.raises(MediaRejected):
        await joiner.join([part], tmp_path / "speech", SpeechFormat.WAV, progress=nothing)


async def test_nothing_is_no_speech(joiner: SpeechJoiner, tmp_path: Path) -> None:
    with pytest.raises(MediaRejected):
        await joiner.join([], tmp_path / "speech", SpeechFormat.MP3, progress=nothing)
    assert not (tmp_path / "speech").exists()
