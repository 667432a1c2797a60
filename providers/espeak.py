"""espeak-ng: the local floor of speech. A hundred languages, no key, no network, no vendor.

The library of the wheel `espeakng-loader`, called in a child process: it is C, has one voice per
process and no way to be interrupted. Text is never read as markup: the flags that
would do so (``espeakSSML``, ``espeakPHONEMES``) stay off.
"""

import asyncio
import ctypes
from functools import cache
from itertools import count, takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import espeakng_loader

from contracts.costs import Units
from contracts.errors import ProviderBroken, ProviderBusy, ProviderOut
from contracts.speech import (
    SAMPLE_BYTES,
    Piece,
    SpeechCapabilities,
    Spoken,
    Timing,
    TimingKind,
    primary,
)
from providers.process_pool import ChildLost, ProcessPool
from providers.spoken_samples import resampled

MAX_CHARACTERS: Final = 2_000
CALL_SECONDS: Final = 120.0
"""Bound of one part; it speaks a hundred times faster than anybody listens."""


_NORMAL_WORDS: Final = 175
_SLOWEST_WORDS: Final = 80
_FASTEST_WORDS: Final = 450
_MOST_SECONDS: Final = 1200
_SYNCHRONOUS: Final = 2
_RATE: Final = 1
_UTF8: Final = 1
_INSTALL: Final = "reinstall the package espeakng-loader"
_END_PAUSE: Final = 0x1000
_BY_CHARACTER: Final = 1
_DONT_EXIT: Final = 0x8000
_WORD: Final = 1
_SPOKEN_AS: Final = MappingProxyType({"zh": "cmn", "no": "nb", "iw": "he", "in": "id", "tl": "en"})


class EspeakVoice(NamedTuple):
    """A voice in the words of the library: ``de+f3``."""

    name: str
    words_per_minute: int


class SpokenHere(NamedTuple):
    """What a child says.

    Attributes:
        pcm: samples at ``SAMPLE_RATE``.
        words: text, start and end of each, in seconds.
    """

    pcm: bytes
    words: list[tuple[str, float, float]]


class Espeak:
    """Implements ``activities.speech_ports.Synthesizer``.

    Args:
        pool: its children load the library when they are first asked, about 20 MB each.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return "espeak"

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""
        return SpeechCapabilities(
            max_characters=MAX_CHARACTERS,
            timings=TimingKind.WORD,
            min_speed=_SLOWEST_WORDS / _NORMAL_WORDS,
            max_speed=_FASTEST_WORDS / _NORMAL_WORDS,
            languages=languages(),
            wants_language=True,
            free=True,
        )

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Speak a part in a child; word times come with it.

        Raises:
            ProviderOut: the library is not there, or has no such voice.
            ProviderBroken: it crashed, or said nothing.
            ProviderBusy: the machine is too busy for it.
        """
        voice = _voice(piece)
        try:
            said = await self._pool.run(speak, piece.text, voice, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("The synthesiser did not live to answer") from error
        await asyncio.to_thread(target.write_bytes, said.pcm)
        return Spoken(
            samples=len(said.pcm) // SAMPLE_BYTES,
            units=Units(characters=len(piece.text)),
            speed=voice.words_per_minute / _NORMAL_WORDS,
            timings=tuple(
                Timing(kind=TimingKind.WORD, text=text, start=start, end=end)
                for text, start, end in said.words
            ),
        )


def languages() -> frozenset[str]:
    """Primary subtags it speaks."""
    folder = Path(_data()) / "lang"
    spoken = {primary(path.name) for path in folder.rglob("*") if path.is_file()}
    return frozenset(spoken | {asked for asked, own in _SPOKEN_AS.items() if own in spoken})


def _voice(piece: Piece) -> EspeakVoice:
    """The library's name: a variant of the table's voice in the language of the text."""
    words = round(_NORMAL_WORDS * piece.speed)
    if piece.voice.startswith("espeak:"):
        return EspeakVoice(piece.voice.removeprefix("espeak:"), words)
    language = (piece.language or "en").lower()
    known = _SPOKEN_AS.get(primary(language))
    return EspeakVoice(f"{known or language}{piece.voice}", words)


def speak(text: str, voice: EspeakVoice) -> SpokenHere:
    """Speak in a child process.

    Raises:
        ProviderOut: no library, or no such voice.
        ProviderBroken: nothing was said, or it does not end.
    """
    library, rate = _library()
    _choose(library, voice.name)
    library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
    samples, words = bytearray(), []

    def take(wave: Any, number: int, events: Any) -> int:
        if wave and number > 0:
            samples.extend(ctypes.string_at(wave, number * SAMPLE_BYTES))
        words.extend(_words(text, events))
        return len(samples) > _MOST_SECONDS * rate * SAMPLE_BYTES

    callback = _CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode()
    library.espeak_Synth(
        encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, _UTF8 | _END_PAUSE, None, None
    )
    library.espeak_Synchronize()
    if not samples or len(samples) > _MOST_SECONDS * rate * SAMPLE_BYTES:
        raise ProviderBroken("The synthesiser said nothing, or did not end")
    return SpokenHere(resampled(bytes(samples), rate), _timed(words, len(samples), rate))


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of espeak-ng 1.51 and 1.52 (speak_lib.h)."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event)
)


def _words(text: str, events: Any) -> list[tuple[str, int]]:
    """Words that begin in this piece of sound, with the sample each begins at."""
    found = []
    listed = takewhile(lambda event: event.type, (events[number] for number in count()))
    for event in listed:
        at = event.text_position - 1
        word = text[at : at + event.length].strip()
        if event.type == _WORD and word:
            found.append((word, event.sample))
    return found


def _timed(words: list[tuple[str, int]], size: int, rate: int) -> list[tuple[str, float, float]]:
    """Each word until the next one begins."""
    borders = [*(start for _, start in words), size // SAMPLE_BYTES]
    return [
        (word, start / rate, max(start, end) / rate)
        for (word, start), end in zip(words, borders[1:], strict=True)
    ]


def _choose(library: Any, name: str) -> None:
    """The voice, or that of its language when the region is unknown to the library."""
    language, plus, variant = name.partition("+")
    for each in dict.fromkeys((language, primary(language))):
        if library.espeak_SetVoiceByName(f"{each}{plus}{variant}".encode()) == 0:
            return
    raise ProviderOut("The synthesiser has no such voice")


@cache
def _library() -> tuple[Any, int]:
    """The library, ready to speak, and its sample rate."""
    name, data = _path(), _data()
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise ProviderOut(f"libespeak-ng is not there: {_INSTALL}") from error
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT)
    if rate <= 0:
        raise ProviderOut(f"espeak-ng cannot read its voices: {_INSTALL}")
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    return library, int(rate)


def _path() -> str:
    return str(espeakng_loader.get_library_path())


def _data() -> str:
    return str(espeakng_loader.get_data_path())
