"""pocketsphinx: the local floor under every other tier. English, no key, no network.

Word error rate 0.30 on read speech at 0.11 x real time (pocketsphinx 5.1.1 with the en-us model of
its wheel). Each part of 20 to 30 seconds is one call in a child process that starts from
nothing but the place in the audio, so a resumed attempt hears exactly what an unbroken one would.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.audio import AudioFacts
from contracts.errors import FormatNotTaken, NoSpeech, ProviderBroken, ProviderBusy
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart, Utterance, Word
from providers.process_pool import ChildLost, ProcessPool, Result
from providers.speech_cutting import RATE, Segment, cutting_places, next_part, speech_seconds

LOCALE: Final = "en-US"
CAPABILITIES: Final = Capabilities(
    containers=frozenset({"wav"}),
    codecs=frozenset({"pcm_s16le"}),
    sample_rate=RATE,
    channels=1,
    languages=frozenset({"en"}),
    word_times=True,
    free=True,
)
CALL_SECONDS: Final = 300.0
"""Bound of one part; on a machine with nothing else to do it takes five."""

_BEAM: Final = {"maxhmmpf": 3000, "maxwpf": 20}  # half the time, not a word worse
_MILLISECONDS_PER_FRAME: Final = 10
_NO_WORD: Final = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
_PRONUNCIATION: Final = re.compile(r"\(\d+\)$")
_PERSON: Final = re.compile(r"^i(?=$|')")


class Spoken(NamedTuple):
    """One word as a child hears it; times in milliseconds from the beginning of the audio."""

    text: str
    start: int
    duration: int


class Heard(NamedTuple):
    """One part as a child hears it.

    Attributes:
        end: seconds from the beginning of the audio.
        last: whether the audio ends here.
        speech: whether there was speech, understood or not.
        utterances: the words of each stretch of speech.
    """

    end: float
    last: bool
    speech: bool
    utterances: list[list[Spoken]]


class Pocketsphinx:
    """Implements ``Transcriber`` and ``VoiceActivity`` of ``activities.ports``.

    Args:
        pool: its children load the engine when they are first asked, about 120 MB each.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return "pocketsphinx"

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""
        return CAPABILITIES

    async def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],  # noqa: ARG002 - it knows one
        diarization: bool,  # noqa: ARG002 - it cannot
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Yield what is heard, part by part, from ``after`` seconds on.

        Raises:
            FormatNotTaken: not a 16 kHz mono PCM WAV.
            NoSpeech: voice activity detection finds none in the whole audio. Speech that is not
                understood gives parts without words instead.
            ProviderBroken: the engine crashed.
            ProviderBusy: the machine is too busy for the engine.
        """
        if not CAPABILITIES.takes_format(facts):
            raise FormatNotTaken("pocketsphinx reads 16 kHz mono PCM WAV only")
        start, speech, last = after, after > 0, False
        while not last:
            heard = await self._call(hear, str(audio), start)
            last, speech = heard.last, speech or heard.speech
            if heard.end > start:
                yield _part(start, heard)
            start = heard.end
        if not speech:
            raise NoSpeech("No speech was found in the audio")

    async def speech_seconds(self, wav: Path) -> float:
        """Seconds of speech in a 16 kHz mono WAV."""
        return await self._call(speech_seconds, str(wav))

    async def cutting_places(self, wav: Path) -> Sequence[tuple[float, bool, float]]:
        """Where a 16 kHz mono WAV can be cut; see ``activities.ports.VoiceActivity``."""
        return await self._call(cutting_places, str(wav))

    async def _call(self, function: Callable[..., Result], *args: object) -> Result:
        try:
            return await self._pool.run(function, *args, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("The recogniser did not live to answer") from error


def _part(start: float, heard: Heard) -> TranscriptPart:
    return TranscriptPart(
        start=start,
        end=heard.end,
        utterances=tuple(_utterance(spoken) for spoken in heard.utterances),
        words=tuple(
            Word(text=each.text, offset=each.start, duration=each.duration)
            for spoken in heard.utterances
            for each in spoken
        ),
    )


def _utterance(spoken: list[Spoken]) -> Utterance:
    first, last = spoken[0], spoken[-1]
    return Utterance(
        text=" ".join(each.text for each in spoken),
        offset=first.start,
        duration=last.start + last.duration - first.start,
        locale=LOCALE,
    )


def hear(name: str, start: float) -> Heard:
    """Transcribe one part in a child process."""
    with Path(name).open("rb") as file:
        part = next_part(file, start)
    utterances = [_decode(segment) for segment in part.segments]
    return Heard(part.end, part.last, bool(part.segments), [each for each in utterances if each])


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder  # noqa: PLC0415 - 100 MB that only a child holds

    return Decoder(samprate=RATE, loglevel="FATAL", cmn="batch", **_BEAM)


def _decode(segment: Segment) -> list[Spoken]:
    decoder = _decoder()
    try:
        decoder.start_utt()
        decoder.process_raw(segment.pcm, full_utt=True)
        decoder.end_utt()
    except Exception:
        _decoder.cache_clear()  # it stays in the middle of an utterance and takes no other
        raise
    offset = round(segment.start * 1000)
    return [
        Spoken(
            _PERSON.sub("I", _PRONUNCIATION.sub("", each.word)),
            offset + each.start_frame * _MILLISECONDS_PER_FRAME,
            (each.end_frame - each.start_frame + 1) * _MILLISECONDS_PER_FRAME,
        )
        for each in decoder.seg() or ()
        if not _NO_WORD.fullmatch(each.word)
    ]
