"""Room on this host for files on their way between storage elsewhere and what works on them.

A file is there as long as somebody uses it, which a lock on it proves: a killed process leaves its
files without a lock, and the next one here removes them.
"""

import asyncio
import errno
import fcntl
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from uuid import uuid4

from contracts.errors import Unavailable
from store.uninterrupted import uninterrupted

SUFFIX: Final = ".part"
THREADS: Final = 4
WRITE_BYTES: Final = 1024 * 1024
RESERVE_BYTES: Final = 256 * 1024 * 1024
CHECK_EVERY_BYTES: Final = 16 * 1024 * 1024
FULL_RETRY_SECONDS: Final = 60.0
JUST_MADE_SECONDS: Final = 60.0
"""A file is made a moment before it is locked."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

T = TypeVar("T")


class Spooled:
    """One file.

    Attributes:
        path: where it is.
        size: bytes written.
    """

    def __init__(self, spool: "Spool", path: Path) -> None:
        self.path = path
        self.size = 0
        self._spool = spool
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._held = 0
        self._checked = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex digest of what was written."""
        return self._digest.hexdigest()

    def make(self) -> None:
        """Begin it, empty and ours."""
        with _translated():
            self.path.touch(0o600, exist_ok=False)
            self._file = self.path.open("r+b")
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def drop(self) -> None:
        """Remove it while it is still ours."""
        if self._file is not None:
            with self._file:
                self.path.unlink(missing_ok=True)

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Write all of a stream.

        Raises:
            Unavailable: ``storage_full``, there is no room on this host.
        """
        async for chunk in chunks:
            self._waiting.append(chunk)
            self._held += len(chunk)
            if self._held >= WRITE_BYTES:
                await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        waiting, self._waiting, self._held = self._waiting, [], 0
        await self._spool.in_thread(self._write, waiting)

    def _write(self, chunks: Sequence[bytes]) -> None:
        if self._file is None:
            raise RuntimeError("Written to before it was made")
        with _translated():
            for chunk in chunks:
                self._digest.update(chunk)
                self._file.write(chunk)
                self.size += len(chunk)
            self._file.flush()
        if self.size - self._checked >= CHECK_EVERY_BYTES:
            self._spool.check_room()
            self._checked = self.size


class Spool:
    """Hands out files in one folder.

    Args:
        folder: made when it is not there; shared with other processes of this host.
        reserve_bytes: room on the disk that is left to others.
    """

    def __init__(self, folder: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="voicekeep-spool")
        self._tidied = False

    @asynccontextmanager
    async def file(self) -> AsyncIterator[Spooled]:
        """An empty file, removed when the block ends, however it ends.

        Raises:
            Unavailable: ``storage_full``, or the folder cannot be written to.
        """
        spooled = Spooled(self, self._folder / f"{uuid4().hex}{SUFFIX}")
        try:
            await self.in_thread(self._make, spooled)
            yield spooled
        finally:
            # In a thread: a large file takes its time to go.
            await self.in_thread(spooled.drop)

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what killed processes left; returns how many."""
        return await self.in_thread(self._sweep, older_than_seconds)

    async def left(self, older_than_seconds: float) -> int:
        """How many files ``sweep`` would remove."""
        return await self.in_thread(lambda: len(list(self._leftovers(older_than_seconds))))

    async def in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        """Run blocking work of the spool; a cancellation is heard when it is done."""
        loop = asyncio.get_running_loop()
        return await uninterrupted(loop.run_in_executor(self._threads, call, *arguments))

    def check_room(self) -> None:
        """Raise Unavailable when the disk has less than is left to others."""
        with _translated():
            free = shutil.disk_usage(self._folder).free
        if free < self._reserve_bytes:
            raise _full()

    def close(self) -> None:
        """Let its threads end; safe to call twice."""
        self._threads.shutdown(wait=False)

    def _make(self, spooled: Spooled) -> None:
        with _translated():
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._tidied:
                self._sweep(JUST_MADE_SECONDS)
                self._tidied = True
        self.check_room()
        spooled.make()

    def _sweep(self, older_than_seconds: float) -> int:
        removed = 0
        for path in self._leftovers(older_than_seconds):
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def _leftovers(self, older_than_seconds: float) -> Iterator[Path]:
        before = time.time() - older_than_seconds
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= before and not _in_use(path):
                    yield path


def _in_use(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full() from error
        raise Unavailable(
            "The folder for files on their way cannot be used", code="storage_unavailable"
        ) from error


def _full() -> Unavailable:
    return Unavailable(
        "There is no room for files on their way",
        code="storage_full",
        retry_after=FULL_RETRY_SECONDS,
    )
