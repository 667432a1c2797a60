"""What our care adds to ffmpeg: isolation, limits, progress, measuring what was written."""

import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from benchmarks.audio import repeated, tone
from benchmarks.measure import (
    Round,
    Row,
    difference_row,
    megabytes,
    milliseconds,
    p50,
    ratio_row,
)
from providers.ffmpeg import arguments
from providers.media_tools import MediaTools
from runtime.child import adopt_orphans

MINUTES: Final = 10
LONG_MINUTES: Final = 240
MAX_SECONDS: Final = 12 * 3600.0
MOST_MEMORY: Final = 5_000_000


class Spent(NamedTuple):
    """Seconds of processor time and of wall time."""

    cpu: float
    wall: float


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="voicekeep-bench-") as name:
        folder = Path(name)
        pairs = asyncio.run(_conversions(folder, rounds))
        what = f"conversion of {MINUTES} min of AAC"
        cpu = [Round([bare.cpu], [ours.cpu]) for bare, ours in pairs]
        wall = [Round([bare.wall], [ours.wall]) for bare, ours in pairs]
        return [
            ratio_row(f"{what}, processor time", cpu, p50, milliseconds, most=1.03),
            difference_row(f"{what}, wall time", wall, p50, milliseconds, most=0.020),
            _memory(folder),
        ]


async def _conversions(folder: Path, rounds: int) -> list[tuple[Spent, Spent]]:
    recording = await asyncio.to_thread(tone, folder / "recording.m4a", MINUTES * 60)
    adopt_orphans()
    tools = MediaTools(folder / "work")
    await tools.start()
    facts = await tools.probe(recording)
    job = folder / "bare"
    job.mkdir()
    (job / "in").symlink_to(recording)
    command = [shutil.which("ffmpeg") or "ffmpeg", *arguments(job, facts, MAX_SECONDS)]

    async def bare() -> None:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={}
        )
        if await process.wait():
            raise ChildProcessError(command)

    async def ours() -> None:
        await tools.convert(
            recording,
            folder / "audio.wav",
            facts,
            max_seconds=MAX_SECONDS,
            progress=lambda _: None,
        )

    await bare()
    await ours()
    helpers = set(psutil.Process().children())
    pairs = [(await _spent(bare, helpers), await _spent(ours, helpers)) for _ in range(rounds)]
    await tools.aclose()
    return pairs


async def _spent(work: Callable[[], Awaitable[None]], helpers: set[psutil.Process]) -> Spent:
    cpu, begun = _cpu(), time.perf_counter()
    await work()
    wall = time.perf_counter() - begun
    # What bubblewrap leaves behind has ffmpeg's time on its account, and comes to us.
    for orphan in set(psutil.Process().children()) - helpers:
        orphan.wait()
    return Spent(_cpu() - cpu, wall)


def _cpu() -> float:
    """Seconds of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _memory(folder: Path) -> Row:
    """Peak of a process that probes, converts and stores, after 1 min and after 4 h of audio."""
    minute = tone(folder / "minute.mp3", 60, "-b:a", "32k")
    short = _peak(minute)
    long = _peak(repeated(minute, folder / "long.mp3", LONG_MINUTES))
    return Row(
        f"memory of the worker, {LONG_MINUTES // 60} h of audio instead of 1 min",
        megabytes(long),
        megabytes(short),
        f"{megabytes(long - short)} more",
        f"≤ {megabytes(MOST_MEMORY)} more",
        long - short <= MOST_MEMORY,
    )


def _peak(recording: Path) -> int:
    """Most bytes that were resident."""
    command = [sys.executable, "-m", "benchmarks.convert_once", str(recording)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(said)
