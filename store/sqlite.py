"""SQLite: one writer, several readers, one thread hop per statement.

Every hop to aiosqlite's thread and back costs more than a small statement itself. Its own cursor
makes four per statement (open, execute, fetch, close); ours makes one, and the statement that comes
first opens the transaction in the same hop.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
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
)


def writer_engine(path: Path, busy_seconds: float = BUSY_SECONDS) -> AsyncEngine:
    """The only connection of this process that writes; each transaction is BEGIN IMMEDIATE.

    Args:
        busy_seconds: how long another process may keep the lock.
    """
    return _engine("BEGIN IMMEDIATE", 1, partial(_open, path, _PRAGMAS, busy_seconds))


def reader_engine(path: Path, size: int, busy_seconds: float = BUSY_SECONDS) -> AsyncEngine:
    """Connections that cannot write; each transaction sees one state of the database."""
    pragmas = (*_PRAGMAS, "PRAGMA query_only = ON")
    return _engine("BEGIN", size, partial(_open, path, pragmas, busy_seconds))


def _engine(begin: str, size: int, connector: Callable[[], sqlite3.Connection]) -> AsyncEngine:

    def create(*_: Any, **__: Any) -> Awaitable[aiosqlite.Connection]:
        return Connection(connector, begin)

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
        path, isolation_level=None, timeout=busy_seconds, cached_statements=CACHED_STATEMENTS
    )
    for pragma in pragmas:
        connection.execute(pragma)
    return connection


class Connection(aiosqlite.Connection):
    """A connection whose cursors make one hop per statement.

    Args:
        begin: the statement that opens a transaction, run before the first one in it.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection], begin: str) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self.begin = begin

    def cursor(self) -> "Cursor":  # type: ignore[override]  # the dialect needs no more than this
        """A cursor for one statement."""
        return Cursor(self)

    @property
    def raw(self) -> sqlite3.Connection:
        """What the thread works on; raises ValueError when it is closed."""
        return self._conn

    async def hop(self, function: Callable[[], None]) -> None:
        """Run a function in the connection's thread."""
        await self._execute(function)  # type: ignore[no-untyped-call]  # aiosqlite leaves it so


class Cursor:
    """Runs one statement, fetches all of its rows, and is done: all in one hop."""

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
        """Run the statement in the connection's thread."""
        await self._connection.hop(partial(self._run, sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> "Cursor":
        """Run the statement once for each set of parameters."""
        await self._connection.hop(partial(self._run_many, sql, parameters))
        return self

    def _run(self, sql: str, parameters: Sequence[Any]) -> None:
        cursor = self._begun().execute(sql, parameters)
        self.description = cursor.description
        if self.description:
            self._rows = cursor.fetchall()
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        cursor.close()

    def _run_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        cursor = self._begun().executemany(sql, parameters)
        self.rowcount = cursor.rowcount
        cursor.close()

    def _begun(self) -> sqlite3.Connection:
        raw = self._connection.raw
        if not raw.in_transaction:
            raw.execute(self._connection.begin)
        return raw

    async def fetchall(self) -> list[Any]:
        """The rows, fetched already."""
        return self._rows

    async def close(self) -> None:
        """Nothing is left open."""
