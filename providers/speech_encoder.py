"""Speech made one file while it is spoken: samples go in as they come, bytes of a format come out.

One encoder runs from the first sample to the last, so there is one header and nothing between two
parts. It does not know how long the speech will be: WAV and FLAC say so in their headers, as
streams do; Ogg is written in small pages.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Final

from contracts.errors import Unavailable
from contracts.speech import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE, SpeechFormat
from providers.ffmpeg import Ffmpeg, Piped
from providers.ffmpeg_isolation import Limits
from providers.job_directories import JobDirectories
from providers.speech_join import SAMPLES, encoding

STILL_SECONDS: Final = 60.0
_CHUNK_BYTES: Final = 64 << 10
_LIMITS: Final = Limits(cpu_seconds=1800, file_bytes=1 << 20)
"""Twice what the longest text takes at the lowest speed; it writes to a pipe, and no file."""
_PAGE_MICROSECONDS: Final = "100000"
_UNKNOWN: Final = 0xFFFFFFFF


class SpeechEncoder:
    """Implements ``api.ports.SpeechEncoder``.

    Args:
        work_root: where encoders have their directories.
        most: of them at once; 0 keeps formats that need one from being made here.
        ffmpeg: the ffmpeg to run, a name on PATH or a path.
        still_seconds: after which one that writes nothing, though it has samples, is given up.
    """

    def __init__(
        self,
        work_root: Path,
        *,
        most: int,
        ffmpeg: str = "ffmpeg",
        still_seconds: float = STILL_SECONDS,
    ) -> None:
        self._still_seconds = still_seconds
        self._directories = JobDirectories(work_root)
        self._ffmpeg = Ffmpeg(self._directories, ffmpeg)
        self._slots = asyncio.Semaphore(most)

    async def encode(
        self, samples: AsyncIterator[bytes], form: SpeechFormat, *, tempo: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a file as the samples come; WAV and PCM need no process for it."""
        if tempo == 1 and form in {SpeechFormat.PCM, SpeechFormat.WAV}:
            head = _wav_head() if form is SpeechFormat.WAV else b""
            async for chunk in samples:
                yield head + chunk
                head = b""
            return
        if self._slots.locked():
            raise Unavailable("Every encoder is at work")
        async with self._slots, self._ffmpeg.piped(arguments(form, tempo), _LIMITS) as ffmpeg:
            feeding = _Feeding(ffmpeg, samples, self._still_seconds)
            try:
                while chunk := await feeding.next():
                    yield chunk
                await feeding.done()
            finally:
                await feeding.stop()

    async def aclose(self) -> None:
        """Remove the work folder; safe to call twice."""
        await asyncio.to_thread(self._directories.close)


class _Feeding:
    """Hands samples to ffmpeg, no faster than it takes them, while somebody takes what it made."""

    def __init__(self, ffmpeg: Piped, samples: AsyncIterator[bytes], still_seconds: float) -> None:
        self._still_seconds = still_seconds
        self._ffmpeg = ffmpeg
        self._samples = samples
        self._fed = 0
        self._hungry = True
        self._task = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        try:
            async for chunk in self._samples:
                self._hungry = False
                self._fed += 1
                self._ffmpeg.samples.write(chunk)
                await self._ffmpeg.samples.drain()
                self._hungry = True
            self._hungry = False
            self._ffmpeg.samples.close()
        except ConnectionError:  # it has ended, and says why by its status
            self._hungry = False
        except BaseException:
            # No regular end: what was made so far is not a file.
            self._ffmpeg.kill()
            raise

    async def next(self) -> bytes:
        """Bytes as soon as there are some; none at the end. Raises Unavailable."""
        reading = asyncio.create_task(self._ffmpeg.made.read(_CHUNK_BYTES))
        try:
            while not reading.done():
                before = self._hungry, self._fed
                await asyncio.wait({reading}, timeout=self._still_seconds)
                if not reading.done() and before == (False, self._fed) and not self._hungry:
                    raise Unavailable(f"ffmpeg wrote nothing for {self._still_seconds:.0f} s")
            return reading.result()
        finally:
            reading.cancel()

    async def done(self) -> None:
        """Return when all was encoded. Raises what the samples raised, or Unavailable."""
        await self._task
        await self._ffmpeg.ended()

    async def stop(self) -> None:
        """End it, however far it is."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def arguments(form: SpeechFormat, tempo: float) -> list[str]:
    """What ffmpeg is told: samples from its standard input, the format to its standard output."""
    return [
        *("-nostdin", "-hide_banner", "-v", "error"),
        *("-protocol_whitelist", "pipe", "-probesize", "32", "-analyzeduration", "0"),
        *(*SAMPLES, "-i", "pipe:0", *encoding(form, tempo)),
        *(("-page_duration", _PAGE_MICROSECONDS) if form is SpeechFormat.OPUS else ()),
        *("-flush_packets", "1", "pipe:1"),
    ]


def _wav_head() -> bytes:
    """Header of a WAV whose length nobody knows yet."""
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, BYTES_PER_SECOND, SAMPLE_BYTES, 16)
    riff = b"RIFF" + struct.pack("<I", _UNKNOWN) + b"WAVE"
    fmt = b"fmt " + struct.pack("<I", len(form)) + form
    return riff + fmt + b"data" + struct.pack("<I", _UNKNOWN)
