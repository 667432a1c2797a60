"""The processes of one embedded set-up: started together, kept running, stopped together."""

import asyncio
import os
import signal
import subprocess
from typing import Final

import structlog

from contracts.errors import Unavailable
from runtime.child import (
    Child,
    Command,
    Restarted,
    adopt_orphans,
    end_orphans,
    exit_of,
    reap_orphans,
    signal_group,
    start_process,
)

MOST_DEATHS: Final = 3
"""A part that dies so often before all is ready will not become ready."""

WORK_STOP_SECONDS: Final = 7.0
"""For API and worker: requests and activities in flight may finish."""

SERVER_STOP_SECONDS: Final = 1.5
"""For the Temporal server, which goes last and keeps everything in its file."""

REAP_SECONDS: Final = 0.2

log = structlog.get_logger()


class StartFailed(Unavailable):
    """A part of the set-up does not come up; its own words stand in its log."""

    code = "start_failed"


class Supervisor:
    """Starts children and short tasks, watches over them and ends them all."""

    def __init__(self) -> None:
        self._listener: Restarted | None = None
        self._children: dict[str, Child] = {}
        self._tasks: set[subprocess.Popen[bytes]] = set()
        self._reaping: asyncio.TimerHandle | None = None
        adopt_orphans()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap_soon)

    def start(self, command: Command) -> Child:
        """Start a child and keep it running.

        Raises:
            OSError: its program cannot be run.
        """
        child = Child(command, self._restarted)
        child.start()
        self._children[command.name] = child
        return child

    async def run(self, command: Command) -> None:
        """Run a short task to its end.

        Raises:
            StartFailed: it ended with a status other than 0.
        """
        process = start_process(command, command.env, command.fds)
        self._tasks.add(process)
        try:
            status = await exit_of(process)
        finally:
            if process.poll() is None:
                signal_group(process.pid, signal.SIGKILL)
                process.wait()
            self._tasks.discard(process)
        if status:
            raise StartFailed(f"{command.name} ended with status {status}; its log says why")

    def tell(self, listener: Restarted) -> None:
        """Tell of every restart from now on."""
        self._listener = listener

    async def check_lives(self) -> None:
        """Return never; raise when a child keeps dying.

        Raises:
            StartFailed: one does.
        """
        while True:
            for name, child in self._children.items():
                if child.deaths >= MOST_DEATHS:
                    raise StartFailed(f"{name} does not stay up; its log says why")
            await asyncio.sleep(0.1)

    async def stop(self, last: str) -> None:
        """End every child, the named one after the others, and everything they left behind."""
        first = [child for name, child in self._children.items() if name != last]
        await asyncio.gather(*(child.stop(WORK_STOP_SECONDS) for child in first))
        if last in self._children:
            await self._children[last].stop(SERVER_STOP_SECONDS)
        end_orphans(())

    @property
    def own_pid(self) -> int:
        """Process id of the supervisor itself."""
        return os.getpid()

    def pid(self, name: str) -> int | None:
        """Process id of a child; none when there is none of that name."""
        child = self._children.get(name)
        return None if child is None else child.pid

    def _ours(self) -> set[int]:
        return {child.pid for child in self._children.values()} | {p.pid for p in self._tasks}

    def _reap_soon(self) -> None:
        """A child ended, perhaps one of those we only adopted (ffmpeg's, for instance)."""
        if self._reaping is None:
            self._reaping = asyncio.get_running_loop().call_later(REAP_SECONDS, self._reap)

    def _reap(self) -> None:
        self._reaping = None
        reap_orphans(self._ours())

    def _restarted(self, name: str, pid: int, old_pid: int) -> None:
        if strays := end_orphans(self._ours()):
            log.info("orphans.ended", count=strays, of=name)
        if self._listener is not None:
            self._listener(name, pid, old_pid)
