"""Postgres by asyncpg: every wait is bounded, here and on the server."""

from typing import Any, Final

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store.columns import dump_json, load_json

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
) -> AsyncEngine:
    """Connections for reading and writing.

    Args:
        size: connections kept open at most.
        pooler: the server is a pooler that gives each transaction any of its connections; by
            default when the port is the one of Supabase's.
        statement_seconds: how long one statement, or the wait for a lock in it, may take.
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
        pool_pre_ping=True,
        pool_recycle=RECYCLE_SECONDS,
        json_serializer=dump_json,
        json_deserializer=load_json,
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
