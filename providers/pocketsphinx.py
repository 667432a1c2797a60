"""pocketsphinx: the local floor under every other tier. English, no key, no network.

Word error rate about 0.28 on read speech, 0.17 x real time (measured with 5.1.1 and its own en-us
model). The audio is read in parts of 20 to 30 seconds that end in silence; each part is one call
in a child process, so that a resumed attempt hears exactly what an unbroken one would have.
"""

import array
import re
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from contracts.audio import AudioFacts
from contracts.errors import FormatNotTaken, NoSpeech, ProviderBroken, ProviderBusy
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart, Utterance, Word
from providers.process_pool import ChildLost, ProcessPool

LOCALE: Final = "en-US"
RATE: Final = 16_000
CAPABILITIES: Final = Capabilities(
    containers=frozenset({"wav"}),
    codecs=frozenset({"pcm_s16le"}),
    sample_rate=RATE,
    channels=1,
    languages=frozenset({"en"}),
    word_times=True,
    free=True,
)
PART_SECONDS: Final = 20.0
MAX_PART_SECONDS: Final = 30.0
MAX_SILENT_SECONDS: Final = 300.0
CALL_SECONDS: Final = 300.0

_WINDOW_SECONDS: Final = 0.3
_CUT_SEARCH_SECONDS: Final = 8.0
_MILLISECONDS_PER_FRAME: Final = 10
_NO_WORD: Final = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
_PRONUNCIATION: Final = re.compile(r"\(\d+\)$")
_PERSON: Final = re.compile(r"^i(?=$|')")


class Heard(NamedTuple):
    """One part as a child gives it.

    Attributes:
        end: seconds.
        last: whether the audio ends here.
        speech: seconds of speech in it.
        utterances: of (start ms, end ms, words as (text, start ms, duration ms)).
    """

    end: float
    last: bool
    speech: float
    utterances: list[tuple[int, int, list[tuple[str, int, int]]]]


class Pocketsphinx:
    """Transcriber over pocketsphinx, and voice activity detection.

    Args:
        pool: children that have ``pocketsphinx``; about 120 MB each.
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
        languages: Sequence[str],  # noqa: ARG002 - it has one
        diarization: bool,  # noqa: ARG002 - it has none
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Yield what is heard, part by part, from ``after`` seconds on.

        Raises:
            FormatNotTaken: not a 16 kHz mono PCM WAV.
            NoSpeech: voice activity detection finds no speech in the whole audio.
            ProviderBroken: the engine crashed.
            ProviderBusy: the engine took too long.
        """
        if not CAPABILITIES.takes_format(facts):
            raise FormatNotTaken("pocketsphinx reads 16 kHz mono PCM WAV only")
        start, speech, last = after, 0.0, False
        while not last:
            heard = await self._hear(audio, start)
            last, speech = heard.last, speech + heard.speech
            if heard.end > start:
                yield _part(start, heard)
            start = heard.end
        if not speech and not after:
            raise NoSpeech("No speech was found in the audio")

    async def _hear(self, audio: Path, start: float) -> Heard:
        try:
            return await self._pool.run(hear, str(audio), start, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("pocketsphinx did not live to answer") from error

    async def speech_seconds(self, wav: Path) -> float:
        """Seconds of speech in a 16 kHz mono WAV."""
        return await self._pool.run(speech_seconds, str(wav), seconds=CALL_SECONDS)


def _part(start: float, heard: Heard) -> TranscriptPart:
    utterances, words = [], []
    for begin, end, spoken in heard.utterances:
        text = " ".join(word for word, _, _ in spoken)
        utterances.append(Utterance(text=text, offset=begin, duration=end - begin, locale=LOCALE))
        words += [Word(text=word, offset=at, duration=lasts) for word, at, lasts in spoken]
    return TranscriptPart(
        start=start, end=heard.end, utterances=tuple(utterances), words=tuple(words)
    )


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder  # noqa: PLC0415 - 100 MB that only a child holds

    return Decoder(samprate=RATE, loglevel="FATAL")


def hear(name: str, start: float) -> Heard:
    """Transcribe one part in a child process."""
    with Path(name).open("rb") as file:
        end, last, segments = _segments(file, start)
    utterances = []
    for begin, pcm in segments:
        spoken = _words(pcm, round(begin * 1000))
        if spoken:
            first, final = spoken[0], spoken[-1]
            utterances.append((first[1], final[1] + final[2], spoken))
    speech = sum(len(pcm) for _, pcm in segments) / (2 * RATE)
    return Heard(end, last, speech, utterances)


def _words(pcm: bytes, offset: int) -> list[tuple[str, int, int]]:
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return [
        (
            _PERSON.sub("I", _PRONUNCIATION.sub("", segment.word)),
            offset + segment.start_frame * _MILLISECONDS_PER_FRAME,
            (segment.end_frame - segment.start_frame + 1) * _MILLISECONDS_PER_FRAME,
        )
        for segment in decoder.seg() or ()
        if not _NO_WORD.fullmatch(segment.word)
    ]


def _segments(file: BinaryIO, start: float) -> tuple[float, bool, list[tuple[float, bytes]]]:
    """Read on from ``start`` until a part is full; returns its end, whether all is read, speech."""
    from pocketsphinx import Endpointer  # noqa: PLC0415 - only a child loads it

    offset, length = wav_data(file)
    first = min(round(start * RATE) * 2, length)
    file.seek(offset + first)
    left = length - first
    ear = Endpointer(window=_WINDOW_SECONDS, sample_rate=RATE)
    size, step = ear.frame_bytes, ear.frame_length
    segments: list[tuple[float, bytes]] = []
    current: list[bytes] = []
    now, began = 0.0, 0.0
    while left >= size:
        frame = file.read(size)
        if len(frame) < size:
            break
        left -= size
        now += step
        spoken = ear.process(frame)
        if spoken is not None:
            if not current:
                began = ear.speech_start
            current.append(spoken)
        if current and not ear.in_speech:
            segments.append((start + began, b"".join(current)))
            current = []
        since = now - (segments[0][0] - start if segments else began if current else now)
        if not current and (since >= PART_SECONDS or now >= MAX_SILENT_SECONDS):
            return start + now - _WINDOW_SECONDS, False, segments
        if current and since >= MAX_PART_SECONDS:
            pcm = b"".join(current)
            cut = _quietest(pcm)
            segments.append((start + began, pcm[:cut]))
            return start + began + cut / (2 * RATE), False, segments
    if current:
        segments.append((start + began, b"".join(current)))
    return (offset and length / (2 * RATE)), True, segments


def _quietest(pcm: bytes) -> int:
    """Byte place of the quietest 30 ms in the last seconds of a stretch of speech."""
    step = RATE * 2 * 3 // 100
    begin = max(0, len(pcm) - int(_CUT_SEARCH_SECONDS * RATE) * 2) // step * step

    def loudness(at: int) -> int:
        return sum(map(abs, array.array("h", pcm[at : at + step])))

    places = range(begin, len(pcm) - step, step)
    return min(places, key=loudness, default=len(pcm) - step) + step // 2


def speech_seconds(name: str) -> float:
    """Measure speech in a child process."""
    from pocketsphinx import Vad  # noqa: PLC0415 - only a child loads it

    vad = Vad(mode=Vad.STRICT, sample_rate=RATE)
    spoken = 0
    with Path(name).open("rb") as file:
        offset, length = wav_data(file)
        file.seek(offset)
        for _ in range(length // vad.frame_bytes):
            frame = file.read(vad.frame_bytes)
            if len(frame) < vad.frame_bytes:
                break
            spoken += vad.is_speech(frame)
    return spoken * float(vad.frame_length)


def wav_data(file: BinaryIO) -> tuple[int, int]:
    """Place and length of the samples in a WAV, in bytes; the length is what is really there."""
    file.seek(12)
    size = file.seek(0, 2)
    at = 12
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return at + 8, min(length, size - at - 8) // 2 * 2
        at += 8 + length + length % 2
    raise ProviderBroken("The WAV has no samples")
