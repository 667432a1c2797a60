"""One supervised child process: started, restarted when it dies, stopped with all it started.

Each child has a process group of its own (a Ctrl-C in the terminal is ours to pass on) and is
killed by the kernel when the supervisor dies. Linux only, as the embedded set-up is.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

import psutil
import structlog

from runtime.notify import READY_FD

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 10.0
"""A child that has lived this long is restarted at once again when it dies."""

_libc: Final = ctypes.CDLL(None, use_errno=True)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a child is started.

    Attributes:
        name: what it is called in events and logs.
        env: its whole environment.
        fds: descriptors it inherits beside the standard ones.
        stdout: where its output goes: our stderr, a descriptor, a file.
    stderr: likewise.
        announces: it says itself when it is ready (``runtime.notify``).
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    fds: tuple[int, ...] = ()
    stdout: int | IO[bytes] = 2
    stderr: int | IO[bytes] = 2
    announces: bool = False


Restarted = Callable[[str, int, int], None]
"""Told the child's name, its new and its old pid."""


@dataclass(slots=True)
class Child:
    """A child that is kept running from ``start`` to ``stop``."""

    command: Command
    restarted: Restarted
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _keeper: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        """Process id of its present life."""
        if self._process is None:
            raise RuntimeError(f"{self.command.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it and keep it running."""
        process = self._spawn()
        self._keeper = asyncio.create_task(self._keep(process))

    async def stop(self, seconds: float) -> None:
        """Ask it to end; after so many seconds, end it and its whole process group."""
        self._stopping.set()
        if self._keeper is None or self._process is None:
            return
        signal_group(self._process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._keeper)
        except TimeoutError:
            log.warning("child.killed", name=self.command.name, pid=self._process.pid)
            signal_group(self._process.pid, signal.SIGKILL)
            await self._keeper

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.ready.clear()
        env, fds = dict(self.command.env), self.command.fds
        reader = writer = None
        if self.command.announces:
            reader, writer = os.pipe()
            env[READY_FD] = str(writer)
            fds = (*fds, writer)
        try:
            process = start_process(self.command, env, fds)
        finally:
            if writer is not None:
                os.close(writer)
        if reader is not None:
            asyncio.get_running_loop().add_reader(reader, self._hear, reader)
        self._process = process
        return process

    def _hear(self, reader: int) -> None:
        """The child said something, or its end of the pipe closed."""
        asyncio.get_running_loop().remove_reader(reader)
        if os.read(reader, 16):
            self.ready.set()
        os.close(reader)

    async def _keep(self, process: subprocess.Popen[bytes]) -> None:
        pause = 0.0
        while True:
            born = time.monotonic()
            status = await exit_of(process)
            # What it left behind in its group goes with it.
            signal_group(process.pid, signal.SIGKILL)
            if self._stopping.is_set():
                return
            self.deaths += 1
            log.warning("child.died", name=self.command.name, pid=process.pid, status=status)
            steady = time.monotonic() - born >= STEADY_SECONDS
            pause = FIRST_PAUSE_SECONDS if steady or not pause else pause
            if await _set_within(self._stopping, pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            old, process = process.pid, self._spawn()
            self.restarted(self.command.name, process.pid, old)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def start_process(
    command: Command, env: Mapping[str, str], fds: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """Start a child in a group of its own that dies with us.

    Raises:
        OSError: the program cannot be run.
    """
    parent = os.getpid()

    def tie_to_parent() -> None:
        # In the child, between fork and exec. The second look is for a parent that died just now.
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        list(command.argv),
        env=dict(env),
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        stdout=command.stdout,
        stderr=command.stderr,
        process_group=0,
        preexec_fn=tie_to_parent,  # noqa: PLW1509 - no other thread runs in the supervisor
    )


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end, without a thread; returns its exit status."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group a child leads; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be ended."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(ours: Collection[int]) -> None:
    """Let go of those that our children left behind and that have ended since."""
    for child in psutil.Process().children():
        if child.pid not in ours:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


def end_orphans(ours: Collection[int]) -> int:
    """End every child process but these, and whatever becomes our child by that; counts them."""
    ended = 0
    while strays := [child for child in psutil.Process().children() if child.pid not in ours]:
        for stray in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(stray.pid, 0)
            ended += 1
    return ended
