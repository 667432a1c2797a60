"""SQLite: one writer, several readers, statements run in place.

A hop to aiosqlite's thread and back costs several times what a statement of ours does, and under
load its caller waits for two turns of the processor. So a statement runs where it is asked for, and
is told not to wait. What may take time hops: opening the file, waiting for another process that
writes, and moving the log into the file when it has grown.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store.columns import dump_json, load_json

BUSY_SECONDS: Final = 5.0
CACHED_STATEMENTS: Final = 512

# WAL: readers never wait for the writer. NORMAL: a killed process loses nothing; a machine that
# loses power may lose the last moments, never the file.
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    # We move the log into the file ourselves; a log that begins anew is cut, so that its size is
    # what is in it.
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA journal_size_limit = 0",
)
LOG_BYTES: Final = 4 << 20
"""A log that is longer is moved into the file after a commit, as SQLite itself would."""

_NEVER_WAIT: Final = "PRAGMA busy_timeout = 0"
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def writer_engine(path: Path, busy_seconds: float = BUSY_SECONDS) -> AsyncEngine:
    """The only connection of this process that writes; each transaction is BEGIN IMMEDIATE.

    Args:
        busy_seconds: how long another process may keep the lock.
    """
    return _engine("BEGIN IMMEDIATE", 1, path, _PRAGMAS, busy_seconds)


def reader_engine(path: Path, size: int, busy_seconds: float = BUSY_SECONDS) -> AsyncEngine:
    """Connections that cannot write; each transaction sees one state of the database."""
    pragmas = (*_PRAGMAS, "PRAGMA query_only = ON")
    return _engine("BEGIN", size, path, pragmas, busy_seconds)


def _engine(
    begin: str, size: int, path: Path, pragmas: Sequence[str], busy_seconds: float
) -> AsyncEngine:
    connector = partial(_open, path, pragmas, busy_seconds)

    def create(*_: Any, **__: Any) -> Awaitable[aiosqlite.Connection]:
        return Connection(connector, begin, path, busy_seconds)

    return create_async_engine(
        # The connector knows the file.
        URL.create("sqlite+aiosqlite", database="file"),
        # `create` is awaited by the dialect: it hands out the connection before it is open.
        connect_args={"async_creator_fn": create},
        pool_size=size,
        max_overflow=0,
        # A transaction is always ended before its connection goes back: once is enough.
        pool_reset_on_return=None,
        json_serializer=dump_json,
        json_deserializer=load_json,
    )


def _open(path: Path, pragmas: Sequence[str], busy_seconds: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        timeout=busy_seconds,
        cached_statements=CACHED_STATEMENTS,
        # Used by the loop's thread and by its own, never by both: whoever hops waits for the end.
        check_same_thread=False,
    )
    for pragma in pragmas:
        connection.execute(pragma)
    connection.execute(_NEVER_WAIT)
    return connection


class Connection(aiosqlite.Connection):
    """A connection whose cursors run statements in place.

    Args:
        begin: the statement that opens a transaction, run before the first one in it.
        path: of the database; its log lies beside it.
        busy_seconds: how long another process may keep a lock.
    """

    def __init__(
        self,
        connector: Callable[[], sqlite3.Connection],
        begin: str,
        path: Path,
        busy_seconds: float,
    ) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self._begin = begin
        self._log = path.with_name(f"{path.name}-wal")
        self._wait = f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}"

    def cursor(self) -> "Cursor":  # type: ignore[override]  # the dialect needs no more than this
        """A cursor for one statement."""
        return Cursor(self)

    async def run(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run a statement in a transaction; in the thread when another process has the lock."""
        raw = self._conn
        if raw.in_transaction:
            work(raw)
            return
        try:
            self._run_first(work)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _LOCKED:
                raise
            waiting = partial(self._run_waiting, work)
            await self._execute(waiting)  # type: ignore[no-untyped-call]  # aiosqlite leaves it so

    async def commit(self) -> None:
        """Write the transaction to the log."""
        self._conn.commit()
        if _size(self._log) > LOG_BYTES:
            await self._execute(self._move_log)  # type: ignore[no-untyped-call]  # as above

    async def rollback(self) -> None:
        """Give up the transaction: that takes no time."""
        self._conn.rollback()

    def _move_log(self) -> None:
        # What is committed stays committed when this fails; the next commit tries again.
        with suppress(sqlite3.OperationalError):
            self._conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _run_first(self, work: Callable[[sqlite3.Connection], None]) -> None:
        if not self._conn.in_transaction:
            self._conn.execute(self._begin)
        work(self._conn)

    def _run_waiting(self, work: Callable[[sqlite3.Connection], None]) -> None:
        self._conn.execute(self._wait)
        try:
            self._run_first(work)
        finally:
            self._conn.execute(_NEVER_WAIT)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


class Cursor:
    """Runs one statement, fetches all of its rows, and is done."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        """Run the statement."""

        def once(raw: sqlite3.Connection) -> None:
            cursor = raw.execute(sql, parameters)
            self.description = cursor.description
            if self.description:
                self._rows = cursor.fetchall()
            self.rowcount = cursor.rowcount
            self.lastrowid = cursor.lastrowid
            cursor.close()

        await self._connection.run(once)
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> "Cursor":
        """Run the statement once for each set of parameters."""

        def each(raw: sqlite3.Connection) -> None:
            cursor = raw.executemany(sql, parameters)
            self.rowcount = cursor.rowcount
            cursor.close()

        await self._connection.run(each)
        return self

    async def fetchall(self) -> list[Any]:
        """The rows, fetched already."""
        return self._rows

    async def close(self) -> None:
        """Nothing is left open."""
