"""Probe and conversion, behind one port."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts.audio import AudioFacts
from providers.ffmpeg import Ffmpeg
from providers.media_probe import MediaProbe
from providers.process_pool import ProcessPool

PROBE_MEMORY_BYTES: Final = 1 << 30
PROBE_WORKERS: Final = 2


class MediaTools:
    """Implements ``activities.ports.MediaTools``; see there.

    Args:
        work_root: where conversions have their directories.
        ffmpeg: path of the binary; found on PATH when none is given.
    """

    def __init__(self, work_root: Path, *, ffmpeg: str | None = None) -> None:
        self._pool = ProcessPool(
            workers=PROBE_WORKERS, memory_bytes=PROBE_MEMORY_BYTES, warm=("av",)
        )
        self._probe = MediaProbe(self._pool)
        self.ffmpeg = Ffmpeg(work_root, ffmpeg)

    async def probe(self, path: Path) -> AudioFacts:
        """Look into a file, in a child process."""
        return await self._probe.probe(path)

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
        """End every child."""
        await self._pool.aclose()
