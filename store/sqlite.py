"""SQLite: one writer, several readers, everything in place.

A statement of ours takes some ten microseconds. The way to a thread and back takes many times that,
and under load two turns of the processor. So statements and commits run on the event loop, and are
told not to wait. What may take time goes to a thread: opening the file, waiting for another process
that writes, and moving the log into the file when it has grown.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from store.columns import dump_json, load_json
from store.failures import as_ours
from store.turns import Turns
from store.uninterrupted import uninterrupted

BUSY_SECONDS: Final = 5.0
CACHED_STATEMENTS: Final = 512
LOG_BYTES: Final = 4 << 20
"""A log that is longer is moved into the file after a commit, as SQLite itself would."""

# WAL: readers never wait for the writer. NORMAL: a killed process loses nothing; a machine that
# loses power may lose the last moments, never the file.
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
)
_IN_PLACE: Final = (
    *_PRAGMAS,
    # We move the log into the file ourselves; a log that begins anew is cut, so that its size is
    # what is in it.
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA journal_size_limit = 0",
)
_WRITING: Final = "BEGIN IMMEDIATE"
_NEVER_WAIT: Final = "PRAGMA busy_timeout = 0"
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def engine(path: Path, busy_seconds: float) -> Engine:
    """One connection that writes and waits, for whoever has a thread to himself.

    Args:
        busy_seconds: how long another process may keep the lock.
    """
    made = _engine(path, _PRAGMAS, 1, busy_seconds)
    # SQLAlchemy believes that a transaction opens by itself.
    event.listen(made, "begin", lambda connection: _raw(connection).execute(_WRITING))
    return made


def writers(path: Path, wait_seconds: float, busy_seconds: float = BUSY_SECONDS) -> "Door":
    """The only connection of this process that writes; each transaction is BEGIN IMMEDIATE.

    Args:
        wait_seconds: how long a transaction waits for its turn in this process.
        busy_seconds: how long another process may keep the lock.
    """
    made = _engine(path, (*_IN_PLACE, _NEVER_WAIT), 1, busy_seconds)
    return Door(made, path, Turns(1, wait_seconds), Begin(_WRITING, busy_seconds))


def readers(
    path: Path, size: int, wait_seconds: float, busy_seconds: float = BUSY_SECONDS
) -> "Door":
    """Connections that cannot write; each transaction sees one state of the database."""
    pragmas = (*_IN_PLACE, "PRAGMA query_only = ON", _NEVER_WAIT)
    made = _engine(path, pragmas, size, busy_seconds)
    return Door(made, path, Turns(size, wait_seconds), Begin("BEGIN", busy_seconds))


def _engine(path: Path, pragmas: Sequence[str], size: int, busy_seconds: float) -> Engine:
    return create_engine(
        "sqlite://",
        creator=partial(_open, path, pragmas, busy_seconds),
        poolclass=QueuePool,
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
        # Used by the loop's thread and by others, never by two at once: who sends work to a thread
        # waits for its end.
        check_same_thread=False,
    )
    for pragma in pragmas:
        connection.execute(pragma)
    return connection


def _raw(connection: Connection) -> sqlite3.Connection:
    # What SQLAlchemy knows of it is less than what it is.
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


class Begin(NamedTuple):
    """How a transaction opens.

    Attributes:
        statement: ``BEGIN`` or ``BEGIN IMMEDIATE``.
        busy_seconds: how long another process may keep us waiting.
    """

    statement: str
    busy_seconds: float


class Door:
    """Connections of this process to one file."""

    def __init__(self, engine: Engine, path: Path, turns: Turns, begin: Begin) -> None:
        self.engine = engine
        self._log = path.with_name(f"{path.name}-wal")
        self._turns = turns
        self._begin = begin

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Opened"]:
        """A connection; what was not committed in it is rolled back at the end.

        Raises:
            Unavailable: none became free in time, or the file cannot be opened.
        """
        async with self._turns.one():
            taken: list[Connection] = []
            try:
                with as_ours():
                    await self._take(taken)
                yield Opened(taken[0], self._begin, self._log)
            finally:
                for connection in taken:
                    with as_ours():
                        _give_back(connection)

    async def _take(self, taken: list[Connection]) -> None:
        pool = self.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedin():
            taken.append(self.engine.connect())
        else:
            # Also for who is cancelled meanwhile: what was opened is closed.
            await uninterrupted(asyncio.to_thread(lambda: taken.append(self.engine.connect())))

    async def close(self) -> None:
        """Close every connection; the last one moves the log into the file."""
        await asyncio.to_thread(self.engine.dispose)


def _give_back(connection: Connection) -> None:
    raw = _raw(connection)
    connection.rollback()
    if raw.in_transaction:
        # Opened for a statement whose values SQLAlchemy refused before it knew of a transaction.
        raw.rollback()
    connection.close()


class Opened:
    """One transaction's connection: only its first statement may have to wait for a lock."""

    dialect = "sqlite"

    def __init__(self, connection: Connection, begin: Begin, log: Path) -> None:
        self._connection = connection
        self._raw = _raw(connection)
        self._begin = begin
        self._log = log
        self._begun = False

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run a statement."""
        if self._begun:
            return self._connection.execute(statement, values)
        try:
            answer = self._execute_first(statement, values)
        except (sqlite3.OperationalError, OperationalError) as error:
            if not _is_locked(error):
                raise
            waiting = asyncio.to_thread(self._execute_waiting, statement, values)
            answer = await uninterrupted(waiting)
        self._begun = True
        return answer

    def _execute_first(
        self, statement: Executable, values: Mapping[str, Any] | None
    ) -> CursorResult[Any]:
        if not self._raw.in_transaction:
            self._raw.execute(self._begin.statement)
        return self._connection.execute(statement, values)

    def _execute_waiting(
        self, statement: Executable, values: Mapping[str, Any] | None
    ) -> CursorResult[Any]:
        self._raw.execute(f"PRAGMA busy_timeout = {int(self._begin.busy_seconds * 1000)}")
        try:
            return self._execute_first(statement, values)
        finally:
            self._raw.execute(_NEVER_WAIT)

    async def commit(self) -> None:
        """Write the transaction to the log, and the log to the file when it has grown."""
        self._connection.commit()
        if _size(self._log) > LOG_BYTES:
            await uninterrupted(asyncio.to_thread(self._move_log))

    def _move_log(self) -> None:
        # What is committed stays committed when this fails; the next commit tries again.
        with suppress(sqlite3.OperationalError):
            self._raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _is_locked(error: sqlite3.OperationalError | OperationalError) -> bool:
    cause = error.orig if isinstance(error, OperationalError) else error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _LOCKED


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
