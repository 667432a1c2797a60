"""A running `voicekeep up`, as a script or another suite sees it: a process and its lines."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parents[1]
CLI = (sys.executable, "-P", "-m", "cli")
ANY_PORTS = ("--port", "0", "--temporal-port", "0", "--ui-port", "0")
START_SECONDS = 90.0
"""Far beyond what a start takes, on a machine that runs everything else at the same time."""


def clean_environment(**changes: str) -> dict[str, str]:
    """The process's environment without settings of this machine's user."""
    ours = ("TEMPORAL_", "VOICEKEEP_", "OPENAI_", "DATABASE_", "DATA_DIR", "PORT", "EMBEDDED_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"ENV_FILE": ""} | changes


def voicekeep(
    *arguments: str, data: Path | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    folder = () if data is None else ("--data", str(data))
    return subprocess.run(
        [*CLI, *arguments, *folder],
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environment(**changes),
        check=False,
    )


class Up:
    """One `voicekeep up --json --no-sample` on a folder; stopped when the block ends."""

    def __init__(
        self,
        data: Path,
        options: Sequence[str] = ANY_PORTS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self._lines: queue.Queue[str | None] = queue.Queue()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*CLI, "up", "--json", "--no-sample", "--data", str(data), *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean_environment(**(environment or {})),
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def event(self) -> dict[str, Any]:
        """The next line of stdout."""
        line = self._lines.get(timeout=START_SECONDS)
        assert line is not None, f"it ended: {self.log.read_text()[-2000:]}"
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, as Ctrl-C or a service manager does; its promise is 10 s."""
        self.process.send_signal(number)
        return self.process.wait(timeout=10)

    def family(self) -> list[psutil.Process]:
        """Every process below it."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()


@contextmanager
def running(data: Path, **environment: str) -> Iterator[tuple[Up, dict[str, Any]]]:
    """A set-up on free ports that is ready, and its ready line."""
    with Up(data, environment=environment) as up:
        ready = up.event()
        assert ready["event"] == "ready"
        yield up, ready


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them lives, waiting a moment for the kernel to be done with them."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not [each for each in processes if lives(each)]:
            return True
        time.sleep(0.02)
    return False


def lives(process: psutil.Process) -> bool:
    """Whether a process still does anything."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pids(ready: Mapping[str, Any]) -> dict[str, int]:
    """The process id of each child that there is, by name."""
    found = {name: pid[0] if isinstance(pid, list) else pid for name, pid in ready["pids"].items()}
    return {name: pid for name, pid in found.items() if pid is not None}
