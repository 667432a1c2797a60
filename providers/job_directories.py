"""Directories that live no longer than a job, whatever ends it."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

_PREFIX: Final = "worker-"
_LOCK: Final = "alive"


class JobDirectories:
    """Hands out directories below one of its own, which a lock on an open file proves to be in use.

    A killed process cannot tidy up, but its lock goes with it: the next one to start removes what
    it left. The lock holds across containers that share the folder, where process ids do not.

    Args:
        root: made when it is not there.

    Attributes:
        root: the folder that is shared with other processes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._own: Path | None = None
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Remove what dead processes left, then make a folder of our own; once is enough."""
        if self._own is not None:
            return
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in self.root.glob(f"{_PREFIX}*"):
            _remove_abandoned(folder)
        self._own, self._lock = _claim(self.root)

    @asynccontextmanager
    async def job(self) -> AsyncIterator[Path]:
        """A new directory, removed with all that is in it when the block ends, however it ends."""
        directory = await asyncio.to_thread(self._make)
        try:
            yield directory
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    def _make(self) -> Path:
        self.open()
        return Path(tempfile.mkdtemp(dir=self._own))

    def close(self) -> None:
        """Remove our own folder; safe to call twice."""
        if self._own is None or self._lock is None:
            return
        shutil.rmtree(self._own, ignore_errors=True)
        self._lock.close()
        self._own = self._lock = None


def _claim(root: Path) -> tuple[Path, IO[bytes]]:
    """A folder whose lock we hold; another sweep may take one away between making and locking."""
    while True:
        own = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root)).resolve()
        lock = (own / _LOCK).open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (own / _LOCK).exists():
            return own, lock
        lock.close()


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder unless its lock is held; one without a lock file may be about to get it."""
    with suppress(FileNotFoundError), (folder / _LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(folder, ignore_errors=True)


def free_bytes(directory: Path) -> int:
    """Bytes an unprivileged writer still has on the directory's disk."""
    stats = os.statvfs(directory)
    return stats.f_bavail * stats.f_frsize
