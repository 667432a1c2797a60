"""Samples of many parts, in order, as one file: joined first, encoded once.

Joining encoded bytes breaks files: every part brings its own header, priming and padding. Samples
have none of them, so nothing is lost, doubled or heard between two parts.
"""

import asyncio
import shutil
import wave
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from contracts.errors import MediaRejected, Unavailable
from contracts.speech import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE, SpeechFormat
from providers.ffmpeg import Errand, Ffmpeg
from providers.ffmpeg_isolation import Limits
from providers.job_directories import free_bytes

COPY_BYTES: Final = 1 << 20
_SPARE_DISK_BYTES: Final = 64 << 20
_CPU_SECONDS: Final = 60
_CPU_SHARE: Final = 0.2
_WALL_SECONDS: Final = 60.0
_MOST_TEMPO: Final = 2.0
"""Of one ``atempo``; further ones in a row keep the sound smooth (ffmpeg 5.1 skips above it)."""

SAMPLES: Final = ("-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1")
"""What the input is."""

_CODECS: Final = MappingProxyType(
    {
        SpeechFormat.MP3: ("-c:a", "libmp3lame", "-b:a", "96k", "-f", "mp3"),
        SpeechFormat.OPUS: ("-c:a", "libopus", "-b:a", "48k", "-f", "ogg"),
        SpeechFormat.AAC: ("-c:a", "aac", "-b:a", "96k", "-f", "adts"),
        SpeechFormat.FLAC: ("-c:a", "flac", "-sample_fmt", "s16", "-f", "flac"),
        SpeechFormat.WAV: ("-c:a", "pcm_s16le", "-fflags", "+bitexact", "-f", "wav"),
        SpeechFormat.PCM: ("-c:a", "pcm_s16le", "-f", "s16le"),
    }
)


class SpeechJoiner:
    """Implements ``activities.speech_ports.Joiner``.

    Args:
        workspace: gives a directory in which files are put together, gone after it.
    """

    def __init__(
        self, ffmpeg: Ffmpeg, workspace: Callable[[], AbstractAsyncContextManager[Path]]
    ) -> None:
        self._ffmpeg = ffmpeg
        self._workspace = workspace

    async def join(
        self,
        parts: Sequence[Path],
        target: Path,
        form: SpeechFormat,
        *,
        tempo: float = 1.0,
        progress: Callable[[float], None],
    ) -> float:
        """Join samples and encode them, once; returns the seconds of the result."""
        size = await asyncio.to_thread(_size, parts)
        if not size:
            raise MediaRejected("There is nothing to join", code="audio_corrupt")
        seconds = size / BYTES_PER_SECOND / tempo
        async with self._workspace() as folder:
            samples = folder / "samples"
            await asyncio.to_thread(_concatenate, parts, samples, size)
            if tempo == 1 and form is SpeechFormat.PCM:
                await asyncio.to_thread(shutil.move, samples, target)
            elif tempo == 1 and form is SpeechFormat.WAV:
                await asyncio.to_thread(_write_wav, samples, target)
            else:
                await self._encode(
                    samples, target, form, tempo=tempo, seconds=seconds, progress=progress
                )
        return seconds

    async def _encode(
        self,
        samples: Path,
        target: Path,
        form: SpeechFormat,
        *,
        tempo: float,
        seconds: float,
        progress: Callable[[float], None],
    ) -> None:
        most = int(seconds * BYTES_PER_SECOND) + (1 << 20)
        errand = Errand(
            arguments=lambda job: arguments(job, form, tempo),
            limits=Limits(cpu_seconds=int(_CPU_SECONDS + seconds * _CPU_SHARE), file_bytes=most),
            disk_bytes=most,
            wall_seconds=_WALL_SECONDS + seconds * _CPU_SHARE,
        )
        await self._ffmpeg.run(samples, errand, lambda job: _collect(job, target), progress)


def arguments(job: Path, form: SpeechFormat, tempo: float = 1.0) -> list[str]:
    """What ffmpeg is told: read samples from ``in`` of the job's directory, write its ``out``."""
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-y"),
        *("-progress", "pipe:1", "-stats_period", "1"),
        *("-protocol_whitelist", "file"),
        *(*SAMPLES, "-i", f"file:{job}/in"),
        *(*encoding(form, tempo), f"file:{job}/out"),
    ]


def encoding(form: SpeechFormat, tempo: float) -> list[str]:
    """What makes a format of samples, as fast as they are to be heard."""
    filters = [] if tempo == 1 else ["-af", ",".join(f"atempo={each:.6f}" for each in steps(tempo))]
    chosen = ("-map", "0:a:0", "-map_metadata", "-1", "-threads", "1")
    return [*chosen, *filters, *_CODECS[form]]


def steps(tempo: float) -> list[float]:
    """Factors between a half and two that make the tempo together.

    >>> steps(4.0), steps(0.25), steps(1.5)
    ([2.0, 2.0], [0.5, 0.5], [1.5])
    """
    if 1 / _MOST_TEMPO <= tempo <= _MOST_TEMPO:
        return [tempo]
    first = _MOST_TEMPO if tempo > 1 else 1 / _MOST_TEMPO
    return [first, *steps(tempo / first)]


def _size(parts: Sequence[Path]) -> int:
    """Bytes of all parts; half a sample means that one is broken."""
    sizes = [part.stat().st_size for part in parts]
    if any(size % SAMPLE_BYTES for size in sizes):
        raise MediaRejected("A part ends in the middle of a sample", code="audio_corrupt")
    return sum(sizes)


def _concatenate(parts: Sequence[Path], target: Path, size: int) -> None:
    if free_bytes(target.parent) < 2 * size + _SPARE_DISK_BYTES:
        raise Unavailable(f"The disk has no room for {2 * size >> 20} MiB of speech")
    with target.open("wb") as joined:
        for part in parts:
            with part.open("rb") as samples:
                shutil.copyfileobj(samples, joined, COPY_BYTES)


def _write_wav(samples: Path, target: Path) -> None:
    with samples.open("rb") as source, wave.open(str(target), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(SAMPLE_BYTES)
        wav.setframerate(SAMPLE_RATE)
        wav.setnframes(samples.stat().st_size // SAMPLE_BYTES)
        while block := source.read(COPY_BYTES):
            wav.writeframesraw(block)


def _collect(job: Path, target: Path) -> None:
    """Take the file away; ffmpeg can exit 0 with nothing written."""
    out = job / "out"
    if not out.exists() or not out.stat().st_size:
        raise Unavailable("ffmpeg wrote nothing")
    shutil.move(out, target)
