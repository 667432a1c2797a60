"""Kokoro as a synthesizer: the mapping by a stand-in for its module, and what can be missing."""

import array
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.speech_ports import Synthesizer
from contracts.errors import ProviderBroken, ProviderFailure, ProviderOut
from contracts.speech import SAMPLE_RATE, Piece, Spoken
from providers.kokoro import LANGUAGES, Kokoro, KokoroModel
from providers.process_pool import ProcessPool
from tests.fakes import kokoro_engine

FAKE = kokoro_engine.__name__
TEXT = "The keeper counted ships."


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(workers=1)
    yield pool
    await pool.aclose()


def engine_of(pool: ProcessPool, model: str = "kokoro.onnx", engine: str = FAKE) -> Synthesizer:
    return Kokoro(pool, KokoroModel(model, "voices.bin"), engine=engine)


async def said(
    engine: Synthesizer, target: Path, *, voice: str = "af_heart", text: str = TEXT, **more: object
) -> tuple[Spoken, "array.array[int]"]:
    spoken = await engine.synthesize(Piece(text=text, voice=voice).model_copy(update=more), target)
    samples = array.array("h", target.read_bytes())
    assert len(samples) == spoken.samples
    return spoken, samples


def pitch_of(samples: "array.array[int]") -> float:
    """Of a tone, by how often it rises through zero."""
    rises = sum(a < 0 <= b for a, b in itertools.pairwise(samples))
    return rises * SAMPLE_RATE / len(samples)


async def test_samples_are_those_of_the_engine_and_the_speed_is_its_own(
    pool: ProcessPool, tmp_path: Path
) -> None:
    engine = engine_of(pool)
    normal, samples = await said(engine, tmp_path / "part")
    assert normal.seconds == pytest.approx(len(TEXT) * kokoro_engine.SECONDS_OF_CHARACTER)
    assert (normal.speed, normal.units.characters) == (1.0, len(TEXT))
    assert max(samples) == pytest.approx(16_383, abs=9)
    quick, _ = await said(engine, tmp_path / "part", speed=2.0)
    assert (quick.speed, quick.samples) == (2.0, normal.samples // 2)


@pytest.mark.parametrize(
    ("language", "phonemes"),
    [
        *LANGUAGES.items(),
        ("en-US", "en-us"),
        ("en-GB", "en-gb"),
        ("en-AU", "en-gb"),
        ("pt_PT", "pt-br"),
        (None, "en-us"),
    ],
)
async def test_each_language_is_spoken_by_its_own_phonemes(
    language: str | None, phonemes: str, pool: ProcessPool, tmp_path: Path
) -> None:
    _, samples = await said(engine_of(pool), tmp_path / "part", language=language)
    wanted = 100 * (1 + kokoro_engine.LANGUAGES.index(phonemes))
    assert pitch_of(samples) == pytest.approx(wanted, abs=2)


async def test_what_is_too_loud_for_samples_is_clipped_and_does_not_turn_over(
    pool: ProcessPool, tmp_path: Path
) -> None:
    _, samples = await said(engine_of(pool, "loud"), tmp_path / "part")
    assert (samples[0], max(samples), min(samples)) == (0, 32_767, -32_767)
    assert pitch_of(samples) == pytest.approx(100, abs=2)


@pytest.mark.parametrize(
    ("model", "engine", "voice", "failure"),
    [
        ("kokoro.onnx", "no_such_module", "af_heart", ProviderOut),
        ("missing", FAKE, "af_heart", ProviderOut),
        ("kokoro.onnx", FAKE, "zf_nobody", ProviderOut),
        ("broken", FAKE, "af_heart", ProviderBroken),
        ("dying", FAKE, "af_heart", ProviderBroken),
        ("silent", FAKE, "af_heart", ProviderBroken),
        ("slow", FAKE, "af_heart", ProviderBroken),
    ],
)
async def test_what_is_missing_or_breaks_is_a_failure_of_its_class_that_quotes_nothing(
    *,
    model: str,
    engine: str,
    voice: str,
    failure: type[ProviderFailure],
    pool: ProcessPool,
    tmp_path: Path,
) -> None:
    with pytest.raises(failure) as raised:
        await said(engine_of(pool, model, engine), tmp_path / "part", voice=voice)
    assert type(raised.value) is failure
    assert "keeper" not in str(raised.value)
