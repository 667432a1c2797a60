"""Files that come in pieces: ``<root>/resumable/<id>`` until the last byte, then their key.

One process writes a file at a time, whichever hosts share the disk: it holds the file's lock
(``flock``), which the kernel lets go of when the process dies. What was synced stays, whatever is
killed. How much that is says the row of the upload; bytes behind it are nobody's, and are cut off
before more are written.
"""

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from contracts.errors import Locked
from contracts.ids import is_uuid
from store.files_disk import (
    BUCKET,
    CHECK_EVERY_BYTES,
    RESERVE_BYTES,
    THREADS,
    check_room,
    folders_stay,
    in_our_words,
)
from store.folders import Folder
from store.storage_keys import names_of
from store.uninterrupted import uninterrupted

RESUMABLE: Final = "resumable"
LOCK_PAUSE_SECONDS: Final = 0.05
LIST_PAGE: Final = 500

_OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_TAKEN: Final = frozenset({errno.EAGAIN, errno.EACCES})

T = TypeVar("T")


class _Disk:
    """The folders, the room in them, and the threads they are used in."""

    def __init__(self, root: Path, reserve_bytes: int) -> None:
        self.bucket = Folder(root / BUCKET)
        self.folder = Folder(root / RESUMABLE)
        self._root = root
        self._reserve_bytes = reserve_bytes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="voicekeep-resumable")

    def check_room(self, size: int = 0) -> None:
        """Whether so many bytes more may be stored."""
        check_room(self._root, self._reserve_bytes + size)

    async def off_loop(self, call: Callable[..., T], *arguments: object) -> T:
        """Run a call in a thread; whoever is cancelled meanwhile waits for its end."""
        loop = asyncio.get_running_loop()
        return await uninterrupted(
            loop.run_in_executor(self._threads, in_our_words, call, *arguments)
        )


class ResumableFiles:
    """The unfinished files of one storage folder.

    Args:
        root: folder of the storage, as of ``DiskFiles``: a finished file moves within it.
        reserve_bytes: room on the disk that is left to others.
    """

    def __init__(self, root: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._disk = disk = _Disk(root, reserve_bytes)
        self._folder = disk.folder
        self._off_loop = disk.off_loop

    async def check_room(self, size: int) -> None:
        """Whether a file of so many bytes could be stored now.

        Raises:
            Unavailable: ``storage_full``, or the disk fails.
        """

        def check() -> None:
            with folders_stay():
                self._folder.make()
            self._disk.check_room(size)

        await self._off_loop(check)

    @asynccontextmanager
    async def writing(self, upload_id: str, *, wait_seconds: float) -> AsyncIterator["Resumable"]:
        """The file of an upload, for this process alone; made when it is not there.

        Raises:
            Locked: somebody else writes it, and did not let go of it in time.
            Unavailable: the disk fails.
        """
        file = await self._taken(upload_id, wait_seconds, make=True)
        if file is None:
            raise FileNotFoundError(upload_id)
        try:
            yield file
        finally:
            file.let_go()

    async def wait_until_free(self, upload_id: str, *, wait_seconds: float) -> bool:
        """Wait until nobody writes the file; false when somebody still does.

        Raises:
            Unavailable: the disk fails.
        """
        try:
            file = await self._taken(upload_id, wait_seconds, make=False)
        except Locked:
            return False
        if file is not None:
            file.let_go()
        return True

    async def discard(self, upload_id: str) -> bool:
        """Remove what came of an upload; false when there was nothing.

        Raises:
            Locked: somebody writes it now.
            Unavailable: the disk fails.
        """
        file = await self._taken(upload_id, 0, make=False)
        if file is None:
            return False
        try:
            await file.discard()
        finally:
            file.let_go()
        return True

    async def begun(self, older_than_seconds: float) -> AsyncIterator[Sequence[str]]:
        """Ids of files that are there and were not written to for so long, a page at a time."""
        before = time.time() - older_than_seconds
        walk = self._folder.walk((), "")
        try:
            while page := await self._off_loop(walk.some, LIST_PAGE):
                yield [
                    found.key
                    for found in page
                    if is_uuid(found.key) and found.modified_at <= before
                ]
        finally:
            walk.close()

    async def _taken(
        self, upload_id: str, wait_seconds: float, *, make: bool
    ) -> "Resumable | None":
        path = self._folder.path / upload_id
        until = time.monotonic() + wait_seconds
        while True:
            descriptor = await self._off_loop(self._take, path, make)
            if descriptor is None:
                return None
            if descriptor >= 0:
                return Resumable(path, descriptor, self._disk)
            if time.monotonic() >= until:
                raise Locked("Somebody else sends bytes of this upload now", retry_after=1)
            await asyncio.sleep(LOCK_PAUSE_SECONDS)

    def _take(self, path: Path, make: bool) -> int | None:  # noqa: FBT001 - called in a thread
        """Descriptor of the locked file; none when it is not there, negative when it is taken."""
        while True:
            try:
                descriptor = self._open(path, make=make)
            except FileNotFoundError:
                return None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    return descriptor
            except OSError as error:
                os.close(descriptor)
                if error.errno in _TAKEN:
                    return -1
                raise
            # It was finished or removed between its opening and its lock: that is another file.
            os.close(descriptor)

    def _open(self, path: Path, *, make: bool) -> int:
        if not make:
            return os.open(path, _OPEN)
        with folders_stay():
            self._folder.make()
            with suppress(FileExistsError):
                descriptor = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
                with self._folder.opened(()) as folder:
                    os.fsync(folder)
                return descriptor
        return os.open(path, _OPEN | os.O_CREAT, 0o600)


class Resumable:
    """An unfinished file that is locked by us.

    Attributes:
        place: where the next bytes go.
    """

    def __init__(self, path: Path, descriptor: int, disk: "_Disk") -> None:
        self.place = 0
        self._path = path
        self._descriptor = descriptor
        self._disk = disk
        self._off_loop = disk.off_loop
        self._checked = 0

    async def size(self) -> int:
        """Bytes that are there, counted for or not."""
        return (await self._off_loop(os.fstat, self._descriptor)).st_size

    async def go_on_at(self, place: int) -> None:
        """Cut off what lies behind, and write from there."""
        await self._off_loop(os.ftruncate, self._descriptor, place)
        self.place = self._checked = place

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append.

        Raises:
            Unavailable: ``storage_full``, or the disk fails.
        """
        await self._off_loop(self._write, chunks)

    def _write(self, chunks: Sequence[bytes]) -> None:
        if self.place - self._checked >= CHECK_EVERY_BYTES or not self.place:
            self._disk.check_room()
            self._checked = self.place
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                written = os.pwrite(self._descriptor, view, self.place)
                self.place += written
                view = view[written:]

    async def head(self, size: int) -> bytes:
        """The first bytes."""
        return await self._off_loop(os.pread, self._descriptor, size, 0)

    async def sync(self) -> None:
        """Have all that was written on the disk."""
        await self._off_loop(os.fdatasync, self._descriptor)

    async def finish(self, key: str) -> None:
        """Have all of it on the disk and move it to its key, in one move.

        Raises:
            Unavailable: the disk fails.
        """
        await self._off_loop(self._finish, names_of(key))

    def _finish(self, names: tuple[str, ...]) -> None:
        os.fsync(self._descriptor)
        with folders_stay():
            self._disk.bucket.take_in(self._path, names)

    async def discard(self) -> None:
        """Remove it."""
        await self._off_loop(self._path.unlink, True)  # noqa: FBT003 - when it is there

    def let_go(self) -> None:
        """Let others write."""
        os.close(self._descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at the path."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
