"""Kokoro on our own machine, by kokoro-onnx (the extra ``kokoro``): natural voices, no key.

The model and its voices are two files that an operator fetched; a child loads them once and may
write no file, so nothing is downloaded while serving.
"""

import asyncio
import importlib
import re
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from contracts.costs import Units
from contracts.errors import ProviderBroken, ProviderBusy, ProviderOut
from contracts.speech import (
    SAMPLE_BYTES,
    SAMPLE_RATE,
    Piece,
    SpeechCapabilities,
    Spoken,
    primary,
)
from providers.process_pool import ChildLost, ProcessPool

ENGINE: Final = "kokoro_onnx"
MEMORY_BYTES: Final = 16 << 30
"""Address space of a child; libraries reserve far more of it than they use."""
CALL_SECONDS: Final = 600.0
MAX_CHARACTERS: Final = 1_000
SLOWEST: Final = 0.5
FASTEST: Final = 2.0

LANGUAGES: Final = MappingProxyType(
    {
        "en": "en-us",
        "es": "es",
        "fr": "fr-fr",
        "hi": "hi",
        "it": "it",
        "ja": "ja",
        "pt": "pt-br",
        "zh": "cmn",
    }
)
"""Primary subtags it speaks, and what espeak's phonemes, which it reads, are called for each."""

_INSTALL: Final = "install voicekeep[kokoro]"
_BRITISH: Final = re.compile(r"en[-_](?:gb|ie|au|nz|in|za)", re.IGNORECASE)


class KokoroModel(NamedTuple):
    """What a child loads: two files."""

    model: str
    voices: str


class Kokoro:
    """Implements ``activities.speech_ports.Synthesizer``.

    Args:
        pool: of its own: ``ProcessPool(workers=1, memory_bytes=MEMORY_BYTES)``.
        engine: the module that has ``Kokoro``; a child imports it by this name.
    """

    def __init__(self, pool: ProcessPool, model: KokoroModel, *, engine: str = ENGINE) -> None:
        self._pool = pool
        self._model = model
        self._engine = engine

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return "kokoro"

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""
        return SpeechCapabilities(
            max_characters=MAX_CHARACTERS,
            min_speed=SLOWEST,
            max_speed=FASTEST,
            languages=frozenset(LANGUAGES),
            wants_language=True,
            free=True,
        )

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Speak a part in a child.

        Raises:
            ProviderOut: kokoro-onnx is not installed, or the model or the voice is not there.
            ProviderBroken: the engine crashed, or said nothing.
            ProviderBusy: the machine is too busy for the engine.
        """
        language = _language(piece.language)
        work = (self._engine, self._model, piece.text, piece.voice, language, piece.speed)
        try:
            pcm = await self._pool.run(speak, *work, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("The synthesiser did not live to answer") from error
        await asyncio.to_thread(target.write_bytes, pcm)
        return Spoken(
            samples=len(pcm) // SAMPLE_BYTES,
            units=Units(characters=len(piece.text)),
            speed=piece.speed,
        )


def _language(tag: str | None) -> str:
    if tag is not None and _BRITISH.match(tag):
        return "en-gb"
    return LANGUAGES.get(primary(tag or "en"), "en-us")


def speak(  # noqa: PLR0917 - what crosses to a child is flat
    engine: str, model: KokoroModel, text: str, voice: str, language: str, speed: float
) -> bytes:
    """Speak in a child process.

    Raises:
        ProviderOut: nothing can be loaded, or there is no such voice.
        ProviderBroken: the engine fails, or answers with something else than sound.
    """
    loaded = _loaded(engine, model)
    if voice not in loaded.get_voices():
        raise ProviderOut("Kokoro has no such voice")
    try:
        samples, rate = loaded.create(text, voice=voice, speed=speed, lang=language)
    except Exception as error:  # noqa: BLE001 - of three libraries
        raise ProviderBroken(f"Kokoro could not speak: {type(error).__name__}") from None
    return _pcm(samples, rate)


def _pcm(samples: Any, rate: int) -> bytes:
    """Floats between -1 and 1 as signed 16 bit."""
    import numpy as np  # noqa: PLC0415 - comes with the extra; a child alone needs it

    if rate != SAMPLE_RATE or not len(samples):
        raise ProviderBroken("Kokoro said nothing, or at another rate than it should")
    whole = np.clip(np.nan_to_num(samples), -1.0, 1.0) * 32767
    return bytes(whole.astype("<i2").tobytes())


@cache
def _loaded(engine: str, model: KokoroModel) -> Any:
    try:
        module = importlib.import_module(engine)
    except ImportError as error:
        raise ProviderOut(f"kokoro-onnx is not installed: {_INSTALL}") from error
    try:
        return module.Kokoro(model.model, model.voices)
    except Exception as error:  # noqa: BLE001 - of three libraries, whatever is missing
        raise ProviderOut(
            f"Kokoro's model cannot be loaded ({type(error).__name__}): look at KOKORO_MODEL and "
            "KOKORO_VOICES"
        ) from None
