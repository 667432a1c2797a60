"""ffmpeg in a process group of its own: the only subprocess of the providers.

The command is the one measured not to leak other files (docs/decisions): a protocol and a format
whitelist, and the demuxer forced to the container that the first bytes name, so that the bytes
cannot talk ffmpeg into another one. Names are generated, the environment is empty.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import structlog

from contracts.audio import AudioFacts
from contracts.errors import Failure, MediaRejected, Unavailable
from contracts.signatures import CONTAINERS
from providers.ffmpeg_isolation import Isolation, Limits, available
from providers.job_directories import JobDirectories, free_bytes

RATE: Final = 16_000
BYTES_PER_SECOND: Final = RATE * 2
SPARE_SECONDS: Final = 1.0
"""How far beyond the longest allowed audio is decoded, to tell "just fits" from "too long"."""
DECODED_SHARE: Final = 0.5
"""A conversion that yields less of the measured length than this is of a corrupt file."""

_HEADER_BYTES: Final = 4096  # of a WAV, generously
_SPARE_DISK_BYTES: Final = 64 << 20
_CPU_SECONDS: Final = 60
_CPU_SHARE: Final = 0.1  # of the audio's length: twenty times what the slowest codec takes
_WALL_SECONDS: Final = 120.0
_WALL_SHARE: Final = 0.25
_DETECT_SECONDS: Final = 20.0
_SAID_BYTES: Final = 2000
_REMEDY: Final = "ffmpeg is not installed: `apt-get install ffmpeg`, or set FFMPEG_PATH"
_CANNOT_START: Final = frozenset({126, 127})
_KILLED: Final = frozenset({-signal.SIGKILL, 128 + signal.SIGKILL})
_WRAPPERS: Final = (b"bwrap: ", b"unshare: ", b"prlimit: ", b"setpriv: ")

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class FfmpegStatus(NamedTuple):
    """What ``doctor`` prints.

    Attributes:
        binary: absolute path.
        version: first line of ``ffmpeg -version``.
        isolation: what a conversion is kept away from, in a sentence.
    """

    binary: str
    version: str
    isolation: str


class Errand(NamedTuple):
    """What ffmpeg is to do, and what it may use.

    Attributes:
        arguments: of the directory it works in.
        disk_bytes: that it will write.
        wall_seconds: after which it is killed.
    """

    arguments: Callable[[Path], Sequence[str]]
    limits: Limits
    disk_bytes: int
    wall_seconds: float


class Piped(NamedTuple):
    """ffmpeg at work over pipes.

    Attributes:
        samples: what it reads; closing it ends the input.
        made: what it writes.
        complaints: the end of what it says, once it has ended.
    """

    process: asyncio.subprocess.Process
    samples: asyncio.StreamWriter
    made: asyncio.StreamReader
    complaints: "asyncio.Task[bytes]"

    def kill(self) -> None:
        """End it with all that it started; safe to call twice."""
        _kill(self.process)

    async def ended(self) -> None:
        """Return when it has ended well.

        Raises:
            Unavailable: it has not; what it was given are samples of our own, so never for them.
        """
        status, said = await self.process.wait(), await self.complaints
        if status:
            log.warning("ffmpeg.failed", status=status, said=said.decode(errors="replace"))
            raise Unavailable(f"ffmpeg ended with status {status}")


class Ffmpeg:
    """Converts recordings, each in one child process group.

    Args:
        directories: where conversions have their directories.
        binary: the ffmpeg to run, a name on PATH or a path. Debian's takes half the CPU of the
            static builds.

    Attributes:
        spawned: process groups started for conversions.
    """

    def __init__(self, directories: JobDirectories, binary: str = "ffmpeg") -> None:
        self._directories = directories
        self._binary = binary
        self._isolation: Isolation | None = None
        self._detecting = asyncio.Lock()
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
        errand = Errand(
            arguments=lambda job: arguments(job, facts, max_seconds),
            limits=_limits(facts, max_seconds),
            disk_bytes=int(facts.seconds * BYTES_PER_SECOND),
            wall_seconds=_WALL_SECONDS + facts.seconds * _WALL_SHARE,
        )
        return await self.run(
            source, errand, lambda job: _collect(job, target, facts, max_seconds), progress
        )

    async def run(
        self,
        source: Path,
        errand: Errand,
        collect: Callable[[Path], Result],
        progress: Callable[[float], None],
    ) -> Result:
        """Send ffmpeg on an errand in a directory of its own, where ``in`` is the source.

        Args:
            collect: called with the directory when ffmpeg is done; takes away what is wanted.

        Raises:
            MediaRejected: ffmpeg refuses the input.
            Unavailable: no room on the disk, no ffmpeg, or it was not done in time.
        """
        binary = self._find()
        isolation = await self._isolate(binary)
        source = await asyncio.to_thread(source.resolve)
        async with self._directories.job() as job:
            await asyncio.to_thread(_prepare, source, job, errand.disk_bytes)
            command = isolation.wrap([binary, *errand.arguments(job)], source, job, errand.limits)
            self.spawned += 1
            await _run(command, progress, errand.wall_seconds)
            return await asyncio.to_thread(collect, job)

    @asynccontextmanager
    async def piped(self, arguments: Sequence[str], limits: Limits) -> AsyncIterator[Piped]:
        """Run ffmpeg over pipes, in an empty directory of its own.

        However the block ends, nothing of it runs and no pipe is open after it.

        Raises:
            Unavailable: there is no ffmpeg, no folder to work in, or it cannot be started.
        """
        binary = self._find()
        async with AsyncExitStack() as stack:
            try:
                isolation = await self._isolate(binary)
                job = await stack.enter_async_context(self._directories.job())
            except OSError as error:
                raise Unavailable(f"ffmpeg has no folder: {error.strerror}") from error
            command = isolation.wrap([binary, *arguments], Path(binary), job, limits)
            self.spawned += 1
            process = await _start(command, stdin=asyncio.subprocess.PIPE)
            if process.stdin is None or process.stdout is None:
                raise Unavailable("ffmpeg has no pipes")
            complaints = asyncio.create_task(_tail(process.stderr))
            try:
                yield Piped(process, process.stdin, process.stdout, complaints)
            finally:
                _kill(process)
                process.stdin.close()
                # A pipe that is not read to its end stays open.
                await asyncio.gather(_tail(process.stdout), complaints, process.wait())

    async def status(self) -> FfmpegStatus:
        """Which ffmpeg runs, and how it is kept apart.

        Raises:
            Unavailable: there is none; the message says how to get one.
        """
        binary = self._find()
        _, said = await _call([binary, "-version"])
        isolation = await self._isolate(binary)
        version = said.decode(errors="replace").partition("\n")[0]
        return FfmpegStatus(binary, version, isolation.description)

    def _find(self) -> str:
        found = shutil.which(self._binary)
        if found is None:
            raise Unavailable(_REMEDY)
        return str(Path(found).resolve())

    async def _isolate(self, binary: str) -> Isolation:
        """The strictest isolation that works here, found once by running ffmpeg in it."""
        async with self._detecting:
            if self._isolation is None:
                async with self._directories.job() as job:
                    self._isolation = await _strictest(binary, job)
                log.info("ffmpeg.isolated", by=self._isolation.name)
        return self._isolation


def arguments(job: Path, facts: AudioFacts, max_seconds: float) -> list[str]:
    """What ffmpeg is told: read ``in`` of the job's directory, write its ``out.wav``."""
    return [
        *("-nostdin", "-hide_banner", "-v", "error", "-y"),
        *("-progress", "pipe:1", "-stats_period", "1"),
        *("-protocol_whitelist", "file"),
        *("-format_whitelist", ",".join(each.demuxer for each in CONTAINERS.values())),
        *("-f", CONTAINERS[facts.container].demuxer, "-i", f"file:{job}/in"),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
        *("-t", f"{max_seconds + SPARE_SECONDS:.3f}", "-fs", str(_output_bytes(max_seconds))),
        *("-threads", "1", "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le"),
        *("-f", "wav", f"file:{job}/out.wav"),
    ]


def _output_bytes(max_seconds: float) -> int:
    return int((max_seconds + SPARE_SECONDS) * BYTES_PER_SECOND) + _HEADER_BYTES


def _limits(facts: AudioFacts, max_seconds: float) -> Limits:
    # ffmpeg looks at -fs after a packet: a little more may be written.
    return Limits(
        cpu_seconds=int(_CPU_SECONDS + facts.seconds * _CPU_SHARE),
        file_bytes=_output_bytes(max_seconds) + (1 << 20),
    )


def _prepare(source: Path, job: Path, disk_bytes: int) -> None:
    """Check the disk budget, and give the recording its generated name."""
    needed = disk_bytes + _SPARE_DISK_BYTES
    if free_bytes(job) < needed:
        raise Unavailable(f"The disk has no room for the {needed >> 20} MiB of a conversion")
    (job / "in").symlink_to(source)


def _collect(job: Path, target: Path, facts: AudioFacts, max_seconds: float) -> float:
    """Measure what was written and move it to its place; ffmpeg can exit 0 with nothing written."""
    out = job / "out.wav"
    seconds = _sample_bytes(out) / BYTES_PER_SECOND
    if seconds <= 0:
        raise MediaRejected("Nothing of the audio can be decoded", code="audio_corrupt")
    if seconds < facts.seconds * DECODED_SHARE - SPARE_SECONDS:
        message = f"Only {seconds:.0f} of {facts.seconds:.0f} s of the audio can be decoded"
        raise MediaRejected(message, code="audio_corrupt")
    if seconds > max_seconds + SPARE_SECONDS / 2:
        message = f"The audio lasts more than the {max_seconds:.0f} s taken"
        raise MediaRejected(message, code="audio_too_long")
    shutil.move(out, target)
    return seconds


def _sample_bytes(wav: Path) -> int:
    """Bytes behind the header; 0 when there is no file, or no header in it."""
    if not wav.exists():
        return 0
    with wav.open("rb") as file:
        mark = file.read(_HEADER_BYTES).find(b"data")
    return max(0, wav.stat().st_size - mark - 8) if mark >= 0 else 0


async def _run(command: Sequence[str], progress: Callable[[float], None], timeout: float) -> None:  # noqa: ASYNC109 - the time-out has a meaning of its own
    process = await _start(command)
    try:
        async with asyncio.timeout(timeout):
            said, _ = await asyncio.gather(_tail(process.stderr), _follow(process.stdout, progress))
            status = await process.wait()
    except TimeoutError as error:
        raise Unavailable(f"ffmpeg was not done after {timeout:.0f} s") from error
    finally:
        await _end(process)
    if status:
        log.warning("ffmpeg.failed", status=status, said=said.decode(errors="replace"))
        raise _failure(status, said)


def _failure(status: int, said: bytes) -> Failure:
    if status in _CANNOT_START or said.startswith(_WRAPPERS):
        return Unavailable(f"ffmpeg cannot be started here (status {status})")
    if status in _KILLED:
        return Unavailable("ffmpeg was killed from outside, perhaps for want of memory")
    if b"No space left on device" in said:
        return Unavailable("The disk is full")
    return MediaRejected("The audio cannot be decoded", code="audio_corrupt")


async def _start(
    command: Sequence[str], stdin: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"ffmpeg cannot be started: {error.strerror}") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the whole group, and wait until it is gone."""
    _kill(process)
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _follow(stream: asyncio.StreamReader | None, progress: Callable[[float], None]) -> None:
    """Report the seconds written, which ffmpeg says once a second."""
    if stream is None:
        return
    async for line in stream:
        key, _, value = line.decode(errors="replace").strip().partition("=")
        if key == "out_time_us" and value.isdigit():
            progress(int(value) / 1_000_000)


async def _tail(stream: asyncio.StreamReader | None) -> bytes:
    """The last of what was said; a corrupt file has millions of complaints."""
    said = b""
    while stream and (more := await stream.read(1 << 16)):
        said = (said + more)[-_SAID_BYTES:]
    return said


async def _call(command: Sequence[str]) -> tuple[int | None, bytes]:
    """Run something short; its status (none when it did not end) and what it said."""
    process = await _start(command)
    try:
        async with asyncio.timeout(_DETECT_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        return None, b""
    finally:
        await _end(process)
    return process.returncode, said


async def _strictest(binary: str, job: Path) -> Isolation:
    for way in available():
        command = way.wrap([binary, "-version"], Path(binary), job, Limits(10, 1 << 20))
        status, said = await _call(command)
        if status == 0 and said.startswith(b"ffmpeg version"):
            return way
    raise Unavailable(f"{binary} cannot be run. {_REMEDY}")
