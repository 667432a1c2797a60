"""Probe and conversion, behind one port."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from contracts.audio import AudioFacts
from providers.ffmpeg import Ffmpeg, FfmpegStatus
from providers.job_directories import JobDirectories
from providers.media_probe import MediaProbe
from providers.process_pool import ProcessPool

PROBE_MEMORY_BYTES: Final = 1 << 30
PROBE_WORKERS: Final = 2


class MediaTools:
    """Implements ``activities.ports.MediaTools``; see there.

    Args:
        work_root: where conversions have their directories; what killed workers left there is
            removed.
        ffmpeg: the ffmpeg to run, a name on PATH or a path.

    Attributes:
        ffmpeg: counts the processes it starts.
    """

    def __init__(self, work_root: Path, *, ffmpeg: str = "ffmpeg") -> None:
        self._directories = JobDirectories(work_root)
        self._pool = ProcessPool(
            workers=PROBE_WORKERS, memory_bytes=PROBE_MEMORY_BYTES, warm=("av",)
        )
        self._probe = MediaProbe(self._pool)
        self.ffmpeg = Ffmpeg(self._directories, ffmpeg)

    @property
    def work_folder(self) -> Path:
        """Where conversions have their directories."""
        return self._directories.root

    async def start(self) -> None:
        """Sweep the work folder now rather than at the first conversion."""
        await asyncio.to_thread(self._directories.open)

    async def status(self) -> FfmpegStatus:
        """Which ffmpeg runs, and how it is kept apart, for ``doctor``.

        Raises:
            Unavailable: there is no ffmpeg; the message says how to get one.
        """
        return await self.ffmpeg.status()

    async def probe(self, path: Path) -> AudioFacts:
        """Look into a file, in a child process."""
        return await self._probe.probe(path)

    def workspace(self) -> AbstractAsyncContextManager[Path]:
        """A directory for one activity; what a killed worker left is removed by the next one."""
        return self._directories.job()

    async def convert(
        self,
        source: Path,
        target: Path,
        facts: AudioFacts,
        *,
        max_seconds: float,
        progress: Callable[[float], None],
    ) -> float:
        """Make a 16 kHz mono PCM WAV; returns its measured seconds."""
        return await self.ffmpeg.convert(
            source, target, facts, max_seconds=max_seconds, progress=progress
        )

    async def aclose(self) -> None:
        """End every child and remove the work folder; safe to call twice."""
        await self._pool.aclose()
        await asyncio.to_thread(self._directories.close)
