"""Postgres by asyncpg: every wait is bounded, here and on the server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, Final

from sqlalchemy import URL, CursorResult, Engine, Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from store.columns import dump_json, load_json
from store.failures import as_ours
from store.turns import Turns
from store.uninterrupted import uninterrupted

CONNECT_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 10.0
LOCK_SECONDS: Final = 5.0
IDLE_IN_TRANSACTION_SECONDS: Final = 30.0
RECYCLE_SECONDS: Final = 1800
POOLER_PORT: Final = 6543
"""Where Supabase's transaction pooler listens: no prepared statement lives longer than one use."""


def engine(
    url: URL,
    *,
    size: int,
    pooler: bool | None = None,
    statement_seconds: float = STATEMENT_SECONDS,
    pre_ping: bool = True,
) -> AsyncEngine:
    """Connections for reading and writing.

    Args:
        size: connections kept open at most.
        pooler: the server is a pooler that gives each transaction any of its connections; by
            default when the port is the one of Supabase's.
        statement_seconds: how long one statement, or the wait for a lock in it, may take.
        pre_ping: whether a connection that lay idle is tried before it is used, at the price of a
            round trip.
    """
    arguments: dict[str, Any] = {
        "timeout": CONNECT_SECONDS,
        "command_timeout": statement_seconds + 1,
        "server_settings": {
            "application_name": "voicekeep",
            "timezone": "UTC",
            "statement_timeout": _milliseconds(statement_seconds),
            "lock_timeout": _milliseconds(max(LOCK_SECONDS, statement_seconds / 2)),
            "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_SECONDS),
            # Compiling costs more than any statement of ours runs.
            "jit": "off",
        },
    }
    if url.port == POOLER_PORT if pooler is None else pooler:
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        connect_args=arguments,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=pre_ping,
        pool_recycle=RECYCLE_SECONDS,
        json_serializer=dump_json,
        json_deserializer=load_json,
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


class Door:
    """Connections of this process to one database."""

    def __init__(self, engine: AsyncEngine, turns: Turns) -> None:
        self._async_engine = engine
        self._turns = turns

    @property
    def engine(self) -> Engine:
        """For whoever watches statements."""
        return self._async_engine.sync_engine

    def with_options(self, **options: Any) -> "Door":
        """Another door to the same connections."""
        door = copy(self)
        door._async_engine = self._async_engine.execution_options(**options)  # noqa: SLF001 - ours
        return door

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Opened"]:
        """A connection; what was not committed in it is rolled back at the end.

        Raises:
            Unavailable: none became free in time, or the database does not answer.
        """
        async with self._turns.one():
            connection = self._async_engine.connect()
            try:
                with as_ours():
                    await uninterrupted(connection.start())
                yield Opened(connection)
            finally:
                # None: it could not be opened, and SQLAlchemy closes only what is open.
                if connection.sync_connection is not None:
                    with as_ours():
                        await uninterrupted(connection.close())

    async def close(self) -> None:
        """Close every connection."""
        await self._async_engine.dispose()


class Opened:
    """One transaction's connection; each statement is one round trip."""

    dialect = "postgresql"

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run a statement."""
        return await uninterrupted(self._connection.execute(statement, values))

    async def commit(self) -> None:
        """Commit the transaction."""
        await uninterrupted(self._connection.commit())
