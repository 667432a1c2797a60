"""The folder of one embedded set-up: what is where in it, and that only one `up` runs on it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contracts.errors import Conflict
from contracts.values import Value

LOCK_WAIT_SECONDS: Final = 3.0
"""The processes of an `up` that was killed hold its lock until they are gone too."""


RUN_FILE: Final = "run.json"


class Running(Value):
    """Where the parts of a running set-up are; the content of ``run.json``."""

    pid: int
    api: str
    ui: str | None
    temporal: str
    namespace: str


class DataFolder:
    """Paths below one folder, which is made when it is not there.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.temporal_database = self.root / "temporal.db"
        self.logs = self.root / "logs"
        self._lock = self.root / "up.lock"
        self._run = self.root / RUN_FILE

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the folder; gives the lock's descriptor.

        A process that inherits the descriptor holds the lock as well: whoever starts after a crash
        waits until the last process of the crashed set-up is gone.

        Raises:
            Conflict: ``already_running``; another `up` holds the folder.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._acquire(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                running = read_running(self.root)
                if running is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                holder = f" (process {running.pid})" if running else ""
                raise Conflict(
                    f"voicekeep up runs on {self.root} already{holder}; stop it first, or choose "
                    "another folder with --data",
                    code="already_running",
                ) from None
            return

    def announce(self, running: Running) -> None:
        """Write down where everything is, in one move."""
        draft = self._run.with_suffix(".draft")
        draft.write_text(running.model_dump_json(indent=2) + "\n")
        draft.replace(self._run)

    def withdraw(self) -> None:
        """Nothing runs here any more."""
        self._run.unlink(missing_ok=True)


def read_running(root: Path) -> Running | None:
    """Where the parts are, when an `up` of this folder has said so and is still there."""
    try:
        running = Running.model_validate_json((root / RUN_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return running if _alive(running.pid) else None


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
