"""A folder that nothing leads out of.

Every path is walked name by name from an open folder, and no name may be a symbolic link: what is
opened lies where its key says, also when somebody changes a folder meanwhile. All calls block; they
are made in threads.
"""

import errno
import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LEADS_ELSEWHERE: Final = frozenset({errno.ELOOP, errno.ENOTDIR})
_FOLDER_MODE: Final = 0o700
_TRIES: Final = 5


class Found(NamedTuple):
    """A file below a folder: its names joined by slashes, bytes, seconds since 1970."""

    key: str
    size: int
    modified_at: float


class Folder:
    """A folder and what lies below it; made when it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the folder itself."""
        self.path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)

    @contextmanager
    def opened(self, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Descriptor of a folder below this one.

        Raises:
            FileNotFoundError: it is not there (and ``make`` is not said).
            NotADirectoryError: a name on the way is a file.
            OSError: ``ELOOP``, a name on the way is a symbolic link.
        """
        if make:
            self.make()
        with ExitStack() as stack:
            folder = _open(stack, str(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for name in names:
                if make:
                    _make(name, folder)
                folder = _open(stack, name, _FOLDER, folder)
            yield folder

    def open_file(self, names: Sequence[str]) -> tuple[int, os.stat_result]:
        """Open a file for reading; the caller closes the descriptor.

        Raises:
            FileNotFoundError: there is no such file.
        """
        try:
            with self.opened(names[:-1]) as folder:
                descriptor = os.open(names[-1], _READ, dir_fd=folder)
        except OSError as error:
            if error.errno in _LEADS_ELSEWHERE:
                raise FileNotFoundError from error
            raise
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            raise FileNotFoundError
        return descriptor, facts

    def find(self, names: Sequence[str]) -> Found | None:
        """What is known of a file, or none."""
        try:
            with self.opened(names[:-1]) as folder:
                facts = os.stat(names[-1], dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(facts.st_mode):
            return None
        return Found("/".join(names), facts.st_size, facts.st_mtime)

    def take_in(self, source: Path, names: Sequence[str]) -> None:
        """Move a finished file from elsewhere in this file system to its place, durably."""
        for tries_left in reversed(range(_TRIES)):
            try:
                with self.opened(names[:-1], make=True) as folder:
                    os.rename(source, names[-1], dst_dir_fd=folder)
                    os.fsync(folder)
            except FileNotFoundError:
                # Somebody removed the folder, which was empty, after it was made here.
                if not tries_left or not source.exists():
                    raise
            else:
                return

    def remove(self, names: Sequence[str]) -> bool:
        """Remove a file, and the folders it leaves empty; false when there was none."""
        try:
            with self.opened(names[:-1]) as folder:
                os.unlink(names[-1], dir_fd=folder)
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        for depth in range(len(names) - 1, 0, -1):
            # Not empty, or gone already: nothing is left to do.
            with suppress(OSError), self.opened(names[: depth - 1]) as parent:
                os.rmdir(names[depth - 1], dir_fd=parent)
        return True

    def walk(self, names: Sequence[str], start: str) -> "Walk":
        """Every file below a folder whose first name there begins with ``start``."""
        return Walk(self, names, start)


class Walk:
    """Files below a folder, some at a time; holds one descriptor per level of depth."""

    def __init__(self, folder: Folder, names: Sequence[str], start: str) -> None:
        self._files = self._below(folder, tuple(names), start)

    def some(self, count: int) -> list[Found]:
        """The next files, ``count`` at most; none at the end."""
        return list(islice(self._files, count))

    def close(self) -> None:
        """Let go of what is open."""
        self._files.close()

    def _below(
        self, folder: Folder, names: tuple[str, ...], start: str
    ) -> Generator[Found, None, None]:
        try:
            with folder.opened(names) as descriptor, os.scandir(descriptor) as entries:
                for entry in entries:
                    if not entry.name.startswith(start):
                        continue
                    below = (*names, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        yield from self._below(folder, below, "")
                    elif entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):
                            facts = entry.stat(follow_symlinks=False)
                            yield Found("/".join(below), facts.st_size, facts.st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            # Removed while it was looked for.
            return


def _open(stack: ExitStack, name: str, flags: int, folder: int | None = None) -> int:
    descriptor = os.open(name, flags, dir_fd=folder)
    stack.callback(os.close, descriptor)
    return descriptor


def _make(name: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
        os.fsync(folder)
