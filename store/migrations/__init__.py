"""Migrations: what makes the tables, step by step, up and down.

Everything happens in one transaction, on both databases: a migration that fails leaves nothing. Two
processes that migrate at once take turns (an advisory lock on Postgres, the write lock on SQLite),
and the second finds nothing left to do. One process runs them one at a time: alembic keeps what it
works on in globals.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from store import postgres, sqlite
from store.database import parse_url, sqlite_path
from store.failures import as_ours
from store.uninterrupted import uninterrupted

WAIT_SECONDS: Final = 600.0
LOCK_KEY: Final = 7_602_190_145
"""Of the advisory lock; any number that nobody else uses."""


async def upgrade(url: str, revision: str = "head") -> str | None:
    """Bring the tables to a revision; returns the one they are at then.

    Raises:
        Unavailable: the database does not answer.
    """
    return await run(url, lambda config: command.upgrade(config, revision))


async def downgrade(url: str, revision: str) -> str | None:
    """Go back to a revision (``base``: no tables); returns the one they are at then.

    Raises:
        Unavailable: the database does not answer.
    """
    return await run(url, lambda config: command.downgrade(config, revision))


async def current(url: str) -> str | None:
    """The revision the tables are at; none when there are none.

    Raises:
        Unavailable: the database does not answer.
    """
    return await run(url, None)


def head() -> str | None:
    """The revision this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    # The place of this file: a checkout or an installed wheel alike. Config reads % as its own.
    place = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", place)
    config.set_main_option("path_separator", "os")
    return config


async def run(url: str, work: Callable[[Config], None] | None) -> str | None:
    """Do one of alembic's commands, or none; returns the revision the tables are at then.

    Raises:
        Unavailable: the database does not answer.
    """
    parsed = parse_url(url)
    with as_ours():
        if parsed.get_backend_name() == "sqlite":
            engine = sqlite.engine(sqlite_path(parsed), WAIT_SECONDS)
            return await uninterrupted(asyncio.to_thread(_on_sqlite, engine, work))
        return await _on_postgres(
            postgres.engine(parsed, size=1, statement_seconds=WAIT_SECONDS), work
        )


def _on_sqlite(engine: Engine, work: Callable[[Config], None] | None) -> str | None:
    try:
        with engine.begin() as connection:
            return _locked(connection, work)
    finally:
        engine.dispose()


async def _on_postgres(engine: AsyncEngine, work: Callable[[Config], None] | None) -> str | None:
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_locked, work)
    finally:
        await engine.dispose()


def _locked(connection: Connection, work: Callable[[Config], None] | None) -> str | None:
    if work is not None:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
        config = _config()
        config.attributes["connection"] = connection
        work(config)
    return MigrationContext.configure(connection).get_current_revision()
