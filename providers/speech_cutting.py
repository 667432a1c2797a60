"""Where speech is in a 16 kHz mono WAV, and where it can be cut: run in child processes.

The file is read in windows of 30 ms and never held whole. Speech is told by the voice activity
detection that comes with pocketsphinx.
"""

import array
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from contracts.errors import FormatNotTaken

RATE: Final = 16_000
BYTES_PER_SECOND: Final = 2 * RATE
PART_SECONDS: Final = 20.0
"""From here on the next silence ends a part."""
MAX_PART_SECONDS: Final = 30.0
"""Here a part ends at its quietest place, silence or not."""
MAX_SILENT_SECONDS: Final = 300.0
"""So long a silence is a part of its own, so that there is a sign of life."""

_WINDOW_SECONDS: Final = 0.3  # how long speech or silence lasts before it counts
_PAUSE_SECONDS: Final = 0.05
_CUT_SEARCH_SECONDS: Final = 8.0
_SHORTEST_SECONDS: Final = 0.1  # the recogniser cannot start on less
_RIFF_HEADER_BYTES: Final = 12


class Segment(NamedTuple):
    """Speech without a pause.

    Attributes:
        start: seconds from the beginning of the audio.
        pcm: its samples.
    """

    start: float
    pcm: bytes

    @property
    def end(self) -> float:
        """Seconds from the beginning of the audio."""
        return self.start + len(self.pcm) / BYTES_PER_SECOND


class SpeechPart(NamedTuple):
    """A stretch of audio that ends in silence, where there is some.

    Attributes:
        end: seconds from the beginning of the audio; the next part starts here.
        last: whether the audio ends here.
        segments: the speech in it, in order.
    """

    end: float
    last: bool
    segments: list[Segment]


def next_part(file: BinaryIO, start: float) -> SpeechPart:
    """Read on from ``start`` seconds until a part is full.

    The same start gives the same part, whatever was read before.

    Raises:
        FormatNotTaken: the file is no WAV.
    """
    return _Reader(file, start).read()


def speech_seconds(name: str) -> float:
    """Seconds of speech in a WAV; steady noise as loud as speech counts as speech.

    Raises:
        FormatNotTaken: the file is no WAV.
    """
    from pocketsphinx import Vad  # noqa: PLC0415 - loaded in children alone

    spoken, last, start = 0.0, False, 0.0
    with Path(name).open("rb") as file:
        while not last:
            end, last, segments = _Reader(file, start, Vad.MEDIUM_STRICT).read()
            spoken += sum(segment.end - segment.start for segment in segments)
            start = end
    return spoken


def cutting_places(name: str) -> list[tuple[float, bool, float]]:
    """Every place a WAV can be cut at: ``(second, silent, seconds of speech since the last)``.

    Raises:
        FormatNotTaken: the file is no WAV.
    """
    places, last, start = [], False, 0.0
    with Path(name).open("rb") as file:
        while not last:
            part = next_part(file, start)
            spoken = sum(segment.end - segment.start for segment in part.segments)
            silent = not part.segments or part.end - part.segments[-1].end > _PAUSE_SECONDS
            places.append((part.end, silent, spoken))
            start, last = part.end, part.last
    return places


class _Reader:
    """Feeds one part to the voice activity detection."""

    def __init__(self, file: BinaryIO, start: float, mode: int | None = None) -> None:
        from pocketsphinx import Endpointer, Vad  # noqa: PLC0415 - loaded in children alone

        offset, length = wav_samples(file)
        skipped = min(round(start * RATE) * 2, length)
        file.seek(offset + skipped)
        self._file = file
        self._left = length - skipped
        self._length = length / BYTES_PER_SECOND
        self._start = start
        self._ear: Any = Endpointer(
            window=_WINDOW_SECONDS, vad_mode=Vad.LOOSE if mode is None else mode, sample_rate=RATE
        )
        self._now = start
        self._spoken: list[bytes] = []
        self._began = 0.0
        self._segments: list[Segment] = []

    def read(self) -> SpeechPart:
        size = self._ear.frame_bytes
        while self._left > size:  # the last frame, whole or not, goes to end_stream
            frame = self._file.read(size)
            self._left -= size
            self._now += self._ear.frame_length
            self._listen(self._ear.process(frame))
            if (end := self._full()) is not None:
                return SpeechPart(end, last=False, segments=self._segments)
        if self._ear.in_speech:
            self._listen(self._ear.end_stream(self._file.read(self._left)))
        self._keep()
        return SpeechPart(max(self._length, self._start), last=True, segments=self._segments)

    def _listen(self, speech: bytes | None) -> None:
        if speech is not None:
            if not self._spoken:
                self._began = self._start + self._ear.speech_start
            self._spoken.append(speech)
        if not self._ear.in_speech:
            self._keep()

    def _keep(self, stop: int | None = None) -> None:
        pcm = b"".join(self._spoken)[:stop]
        self._spoken = []
        if len(pcm) >= _SHORTEST_SECONDS * BYTES_PER_SECOND:
            self._segments.append(Segment(self._began, pcm))

    def _full(self) -> float | None:
        """Where the part ends, when it is full."""
        if not self._spoken:
            # What the ear has not made up its mind about is heard again.
            end = self._now - _WINDOW_SECONDS
            if not self._segments:
                return end if self._now - self._start >= MAX_SILENT_SECONDS else None
            full = self._now - self._segments[0].start >= PART_SECONDS
            return max(end, self._segments[-1].end) if full else None
        first = self._segments[0].start if self._segments else self._began
        if self._now - first < MAX_PART_SECONDS:
            return None
        if self._segments and self._now - self._began < _CUT_SEARCH_SECONDS:
            return self._began  # after a silence that came too early: begin the next part there
        cut = quietest(b"".join(self._spoken))
        self._keep(cut)
        return self._began + cut / BYTES_PER_SECOND


def quietest(pcm: bytes) -> int:
    """Byte place in the middle of the quietest 30 ms in the last seconds of a stretch of speech."""
    step = BYTES_PER_SECOND * 3 // 100
    begin = max(0, len(pcm) - int(_CUT_SEARCH_SECONDS * BYTES_PER_SECOND)) // step * step

    def loudness(at: int) -> int:
        return sum(map(abs, array.array("h", pcm[at : at + step])))

    return min(range(begin, len(pcm) - step, step), key=loudness, default=0) + step // 2


def wav_samples(file: BinaryIO) -> tuple[int, int]:
    """Place and length of the samples, in bytes; the length is what is there, not what is claimed.

    Raises:
        FormatNotTaken: there are none.
    """
    size = file.seek(0, 2)
    at = _RIFF_HEADER_BYTES
    while at + 8 <= size:
        file.seek(at)
        name = file.read(4)
        length = int.from_bytes(file.read(4), "little")
        if name == b"data":
            there = size - at - 8
            # A recorder that was cut off never came back to write the length.
            return at + 8, min(length or there, there) // 2 * 2
        at += 8 + length + length % 2
    raise FormatNotTaken("The file has no samples: it is not a WAV")
