"""Recordings on disk: ``<root>/user-uploads/<key>``.

A file is written beside, in ``<root>/incoming``, and moved to its place when all of it is on the
disk: whoever reads sees the whole file, or the one before, or none. What a killed process leaves in
``incoming`` is nobody's, and swept when it is old.

Nothing here blocks the event loop; the threads are the store's own, so that a slow disk delays
nobody but those who read it.
"""

import asyncio
import errno
import hashlib
import io
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

from contracts.audio import StoredFile
from contracts.errors import InvalidInput, NotFound, Unavailable
from store.folders import Folder, Found
from store.storage_keys import folder_and_start, names_of
from store.uninterrupted import uninterrupted

BUCKET: Final = "user-uploads"
INCOMING: Final = "incoming"
UNFINISHED: Final = ".part"
CHUNK_BYTES: Final = 1024 * 1024
THREADS: Final = 8
LIST_PAGE: Final = 500
RESERVE_BYTES: Final = 256 * 1024 * 1024
CHECK_EVERY_BYTES: Final = 16 * 1024 * 1024
FULL_RETRY_SECONDS: Final = 60.0
AWAY_RETRY_SECONDS: Final = 5.0

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_KEY: Final = frozenset(
    {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EEXIST}
)

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

T = TypeVar("T")


class DiskFiles:
    """The storage of one host.

    Args:
        root: folder of the storage; made when it is not there.
        reserve_bytes: room on the disk that is left to others: no file is begun or gone on with
            when there is less.
    """

    def __init__(self, root: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._bucket = Folder(root / BUCKET)
        self._incoming = Folder(root / INCOMING)
        self._root = root
        self._reserve_bytes = reserve_bytes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="voicekeep-files")

    async def ping(self) -> None:
        """Whether something could be stored now.

        Raises:
            Unavailable: the folder cannot be written to, or the disk is full.
        """
        await self._off_loop(self._ready)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:  # noqa: ARG002 - a disk keeps no types
        """Store a stream whole or not at all; an existing file is replaced in one move.

        Raises:
            InvalidInput: ``invalid_path``.
            Unavailable: ``storage_full``, or the disk fails.
        """
        names = names_of(key)
        async with self._unfinished() as unfinished:
            waiting, held = [], 0
            async for chunk in chunks:
                waiting.append(chunk)
                held += len(chunk)
                if held >= CHUNK_BYTES:
                    await self._off_loop(unfinished.write, waiting)
                    waiting, held = [], 0
            await self._off_loop(unfinished.write, waiting)
            return await self._off_loop(self._finish, unfinished, names)

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:  # noqa: ARG002 - as above
        """Store a local file whole or not at all.

        Raises:
            InvalidInput: ``invalid_path``.
            Unavailable: ``storage_full``, or the disk fails.
        """
        names = names_of(key)
        async with self._unfinished() as unfinished:
            with path.open("rb", buffering=0) as file:
                while await self._off_loop(unfinished.copy, file):
                    pass
            return await self._off_loop(self._finish, unfinished, names)

    async def find(self, key: str) -> StoredFile | None:
        """Size and time of a file, or none."""
        found = await self._off_loop(self._bucket.find, names_of(key))
        return None if found is None else _stored(found)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``.

        Raises:
            NotFound: there is no such file.
        """
        descriptor = await self._open(key)
        try:
            place = start
            while end is None or place < end:
                wanted = CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - place)
                chunk = await self._off_loop(os.pread, descriptor, wanted, place)
                if not chunk:
                    return
                place += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """The file itself, for reading.

        Raises:
            NotFound: there is no such file.
        """
        os.close(await self._open(key))
        yield self._bucket.path.joinpath(*names_of(key))

    async def _open(self, key: str) -> int:
        names = names_of(key)
        try:
            descriptor, _ = await self._off_loop(self._bucket.open_file, names)
        except FileNotFoundError:
            raise NotFound from None
        return descriptor

    async def delete(self, key: str) -> bool:
        """Remove a file; false when there was none."""
        return await self._off_loop(self._bucket.remove, names_of(key))

    async def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        """Every file below a prefix, recursively, in no order, a page of them in memory."""
        walk = self._bucket.walk(*folder_and_start(prefix))
        try:
            while page := await self._off_loop(walk.some, LIST_PAGE):
                for found in page:
                    yield _stored(found)
        finally:
            walk.close()

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what killed processes left unfinished; returns how many.

        Args:
            older_than_seconds: what was written to since is still being written.
        """
        return await self._off_loop(self._sweep, older_than_seconds)

    async def unfinished(self, older_than_seconds: float) -> int:
        """How many files ``sweep`` would remove."""
        return await self._off_loop(lambda: len(list(self._leftovers(older_than_seconds))))

    def _sweep(self, older_than_seconds: float) -> int:
        removed = 0
        for path in self._leftovers(older_than_seconds):
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def _leftovers(self, older_than_seconds: float) -> Iterator[Path]:
        before = time.time() - older_than_seconds
        walk = self._incoming.walk((), "")
        while page := walk.some(LIST_PAGE):
            for found in page:
                if found.key.endswith(UNFINISHED) and found.modified_at <= before:
                    yield self._incoming.path / found.key

    @asynccontextmanager
    async def _unfinished(self) -> AsyncIterator["_Unfinished"]:
        path = self._incoming.path / f"{uuid4().hex}{UNFINISHED}"
        unfinished = _Unfinished(path, self._check_room)
        try:
            await self._off_loop(self._begin, unfinished)
            yield unfinished
        finally:
            unfinished.discard()

    def _begin(self, unfinished: "_Unfinished") -> None:
        self._ready()
        with folders_stay():
            unfinished.open()

    def _finish(self, unfinished: "_Unfinished", names: tuple[str, ...]) -> StoredFile:
        unfinished.close()
        try:
            self._bucket.take_in(unfinished.path, names)
        except FileNotFoundError as error:
            raise OSError(errno.EIO, "A folder of the storage went away") from error
        return StoredFile(
            key="/".join(names),
            size=unfinished.size,
            sha256=unfinished.digest.hexdigest(),
            modified_at=unfinished.modified_at,
        )

    def _ready(self) -> None:
        with folders_stay():
            self._bucket.make()
            self._incoming.make()
        if not os.access(self._incoming.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "The storage folder cannot be written to")
        self._check_room()

    def _check_room(self) -> None:
        check_room(self._root, self._reserve_bytes)

    async def _off_loop(self, call: Callable[..., T], *arguments: object) -> T:
        """Run a call in a thread.

        What the call works on (a descriptor, a file) is let go of by whoever called: never while a
        thread is still at it, however often the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        return await uninterrupted(
            loop.run_in_executor(self._threads, in_our_words, call, *arguments)
        )


class _Unfinished:
    """A file that is being written, in a thread."""

    def __init__(self, path: Path, check_room: Callable[[], None]) -> None:
        self.path = path
        self.size = 0
        self.digest = hashlib.sha256()
        self.modified_at = 0.0
        self._check_room = check_room
        self._checked = 0
        self._descriptor = -1
        self._buffer: memoryview | None = None

    def open(self) -> None:
        """Make the file."""
        self._descriptor = os.open(self.path, _NEW, 0o600)

    def write(self, chunks: "list[bytes]") -> None:
        """Append, and look after the room on the disk now and then."""
        for chunk in chunks:
            self._append(memoryview(chunk))

    def _append(self, view: memoryview) -> None:
        self.digest.update(view)
        self.size += len(view)
        while view:
            view = view[os.write(self._descriptor, view) :]
        if self.size - self._checked >= CHECK_EVERY_BYTES:
            self._check_room()
            self._checked = self.size

    def copy(self, file: io.FileIO) -> bool:
        """Append the next part of a file; whether there was any.

        Through one buffer: chunks that one thread allocates and another frees stay with the
        allocator, and four hours of audio would leave a worker ten megabytes larger.
        """
        if self._buffer is None:
            self._buffer = memoryview(bytearray(CHUNK_BYTES))
        read = file.readinto(self._buffer)
        self._append(self._buffer[:read])
        return read > 0

    def close(self) -> None:
        """Have all of it on the disk."""
        os.fsync(self._descriptor)
        self.modified_at = os.fstat(self._descriptor).st_mtime
        self._let_go()

    def discard(self) -> None:
        """Remove what is left of it; nothing, when it was moved to its place."""
        self._let_go()
        # What cannot be removed now is swept later; what was raised before says why.
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _stored(found: Found) -> StoredFile:
    return StoredFile(key=found.key, size=found.size, modified_at=found.modified_at)


def check_room(root: Path, size: int) -> None:
    """Whether so many bytes are free on the disk of a folder.

    Raises:
        OSError: ``ENOSPC``, there are fewer.
    """
    if shutil.disk_usage(root).free < size:
        raise OSError(errno.ENOSPC, "The disk is full")


@contextmanager
def folders_stay() -> Iterator[None]:
    """Whoever changes the folders below a writer breaks the storage; the key is not to blame."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
        raise OSError(errno.EIO, "A folder of the storage went away") from error


def in_our_words(call: Callable[..., T], *arguments: object) -> T:
    """Make a call, and turn what the file system says into our failures.

    Raises:
        FileNotFoundError: absence is for the caller to name.
        InvalidInput: ``invalid_path``.
        Unavailable: ``storage_full``, ``storage_unavailable``.
    """
    with _translated():
        return call(*arguments)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the file system says into our failures; absence is for the caller to name."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _NO_KEY:
            raise InvalidInput("Not a storage key", code="invalid_path") from error
        if error.errno in _FULL:
            raise Unavailable(
                "There is no room in storage", code="storage_full", retry_after=FULL_RETRY_SECONDS
            ) from error
        raise Unavailable(
            "Storage does not answer now",
            code="storage_unavailable",
            retry_after=AWAY_RETRY_SECONDS,
        ) from error
