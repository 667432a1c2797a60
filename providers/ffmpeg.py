"""ffmpeg as a child in a process group of its own: the only subprocess of the providers.

The command is the one measured not to leak other files (docs/security.md): a protocol and a format
whitelist, the demuxer forced to the container the first bytes name, generated names in a directory
of the job, an emptied environment and hard limits. Where bubblewrap or unshare work, the child has
no network and sees a read-only root.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from contracts.audio import AudioFacts
from contracts.errors import MediaRejected, Unavailable
from contracts.signatures import CONTAINERS

OUTPUT_RATE: Final = 16_000
OUTPUT_BYTES_PER_SECOND: Final = OUTPUT_RATE * 2
_HEADER_BYTES: Final = 4096
_SPARE_DISK_BYTES: Final = 64 << 20


class Ffmpeg:
    """Converts recordings.

    Args:
        work_root: where job directories are made; swept of those that dead processes left.
        binary: path of ffmpeg; found on PATH when none is given.
    """

    def __init__(self, work_root: Path, binary: str | None = None) -> None:
        self._work_root = work_root
        self._binary = binary
        self.spawned = 0

    async def convert(
        self,
        source: Path,
        target: Path,
        facts: AudioFacts,
        *,
        max_seconds: float,
        progress: Callable[[float], None],
    ) -> float:
        """Make a 16 kHz mono PCM WAV; see ``activities.ports.MediaTools``."""
        self._work_root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work_root) as directory:
            job = Path(directory)
            (job / "in").symlink_to(source.resolve())
            out = job / "out.wav"
            await self._run(_arguments(self._find(), job, facts, max_seconds), progress)
            seconds = (out.stat().st_size - 78) / OUTPUT_BYTES_PER_SECOND if out.exists() else 0
            if seconds <= 0:
                raise MediaRejected("Nothing could be decoded", code="audio_corrupt")
            shutil.move(out, target)
        return seconds

    def _find(self) -> str:
        found = self._binary or shutil.which("ffmpeg")
        if not found:
            raise Unavailable("ffmpeg is not installed: apt-get install ffmpeg")
        return found

    async def _run(self, command: Sequence[str], progress: Callable[[float], None]) -> None:
        self.spawned += 1
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                key, _, value = line.decode().strip().partition("=")
                if key == "out_time_us" and value.isdigit():
                    progress(int(value) / 1e6)
            if await process.wait():
                raise MediaRejected("The audio cannot be decoded", code="audio_corrupt")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _arguments(
    binary: str, job: Path, facts: AudioFacts, max_seconds: float
) -> list[str]:
    limit = int(max_seconds * OUTPUT_BYTES_PER_SECOND) + _HEADER_BYTES
    return [
        *(binary, "-nostdin", "-hide_banner", "-v", "error", "-y"),
        *("-progress", "pipe:1", "-stats_period", "1"),
        *("-protocol_whitelist", "file"),
        *("-format_whitelist", ",".join(each.demuxer for each in CONTAINERS.values())),
        *("-f", CONTAINERS[facts.container].demuxer),
        *("-i", f"file:{job}/in"),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
        *("-t", str(max_seconds), "-fs", str(limit)),
        *("-threads", "1", "-ac", "1", "-ar", str(OUTPUT_RATE), "-c:a", "pcm_s16le"),
        *("-f", "wav", f"file:{job}/out.wav"),
    ]
