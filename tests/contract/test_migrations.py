"""Migrations make what the tables say, both ways, whoever runs them."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store import (
    api_key_tables,
    language_tables,
    ledger,
    migrations,
    notification_tables,
    outside_tables,
    rate_tables,
    reservation_tables,
    schema,
    secret_tables,
    speech_tables,
    upload_tables,
    webhook_tables,
)
from store.address_tables import media_addresses
from store.columns import METADATA
from store.database import Database
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]

POSTGRES_SCHEMA = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', data_type, character_maximum_length, is_nullable, is_identity)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
ORDER BY 1, 2
"""
POSTGRES_SECURITY = """
SELECT relname, relrowsecurity, coalesce(polname, ''), coalesce(pg_get_expr(polqual, polrelid), '')
  FROM pg_class LEFT JOIN pg_policy ON polrelid = pg_class.oid
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
UNION ALL
SELECT proname, prosecdef, prosrc, array_to_string(proconfig, ' ') FROM pg_proc
 WHERE pronamespace = to_regnamespace('voicekeep_security')
ORDER BY 1
"""
"""Who may read what: ``test_row_security.py`` tries it."""

SQLITE_SCHEMA = """
SELECT m.type, m.name, coalesce(m.sql, '') FROM sqlite_master AS m
 WHERE m.type = 'index' AND m.sql IS NOT NULL
UNION ALL
SELECT 'column', m.name || '.' || c.name, c.type || ' ' || c."notnull" || ' ' || c.pk
  FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' -- its own book of numbers, never dropped
UNION ALL
SELECT 'key', m.name || '.' || f."from", f."table" || '.' || f."to" || ' ' || f.on_delete
  FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'
ORDER BY 1, 2
"""


@pytest.fixture
def bare_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without tables; the file and its folder are not even there."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder' / 'voicekeep.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        name = runner.run(server.create_database())
        yield server.url(name)
        runner.run(server.drop_database(name))


def engine_of(url: str) -> AsyncEngine:
    drivers = {"sqlite:": "sqlite+aiosqlite:", "postgresql:": "postgresql+asyncpg:"}
    scheme = url.partition("/")[0]
    return create_async_engine(url.replace(scheme, drivers[scheme], 1))


async def told_by(url: str, ask: Any) -> Any:
    engine = engine_of(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(ask)
    finally:
        await engine.dispose()


def schema_of(connection: Connection) -> list[tuple[str, ...]]:
    query = POSTGRES_SCHEMA if connection.dialect.name == "postgresql" else SQLITE_SCHEMA
    rows = connection.execute(text(query)).all()
    return [
        (kind, name, " ".join(what.replace('"', "").split()))
        for kind, name, what in rows
        if "alembic_version" not in name
    ]


def security_of(connection: Connection) -> list[tuple[str, ...]]:
    if connection.dialect.name != "postgresql":
        return []
    return [tuple(map(str, row)) for row in connection.execute(text(POSTGRES_SECURITY))]


def checks_of(connection: Connection) -> set[str]:
    if connection.dialect.name == "postgresql":
        return set()  # among the constraints of its schema
    query = "SELECT sql FROM sqlite_master WHERE type = 'table'"
    lines = [
        line.strip(" ,\n") for (sql,) in connection.execute(text(query)) for line in sql.split("\n")
    ]
    return {line.replace('"', "") for line in lines if "CHECK" in line}


async def test_migrations_make_exactly_what_the_tables_say(
    bare_url: str, tmp_path: Path, request: pytest.FixtureRequest, dialect: str
) -> None:
    await migrations.upgrade(bare_url)
    migrated = await told_by(bare_url, schema_of), await told_by(bare_url, checks_of)
    await migrations.downgrade(bare_url, "base")
    await told_by(bare_url, METADATA.create_all)
    assert (await told_by(bare_url, schema_of), await told_by(bare_url, checks_of)) == migrated


async def test_no_change_of_the_tables_waits_for_a_migration(bare_url: str) -> None:
    await migrations.upgrade(bare_url)

    def pending(connection: Connection) -> list[Any]:
        options = {"compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, METADATA))

    assert await told_by(bare_url, pending) == []


def test_every_table_is_among_those_the_migrations_compare() -> None:
    named = [
        *vars(schema).values(),
        *vars(ledger).values(),
        media_addresses,
        *vars(api_key_tables).values(),
        *vars(language_tables).values(),
        *vars(notification_tables).values(),
        *vars(outside_tables).values(),
        *vars(rate_tables).values(),
        *vars(reservation_tables).values(),
        *vars(secret_tables).values(),
        *vars(speech_tables).values(),
        *vars(upload_tables).values(),
        *vars(webhook_tables).values(),
    ]
    tables = {value.name for value in named if isinstance(value, Table)}
    assert tables == {*METADATA.tables}


async def test_every_revision_goes_up_and_down_and_up_again(bare_url: str) -> None:
    assert await migrations.current(bare_url) is None
    assert await migrations.upgrade(bare_url) == migrations.head()
    made = await told_by(bare_url, schema_of), await told_by(bare_url, security_of)
    while await migrations.current(bare_url) is not None:
        await migrations.downgrade(bare_url, "-1")
    assert await told_by(bare_url, schema_of) == []
    assert await told_by(bare_url, security_of) in ([], [("alembic_version", "False", "", "")])
    assert await migrations.upgrade(bare_url) == migrations.head()
    assert (await told_by(bare_url, schema_of), await told_by(bare_url, security_of)) == made


async def test_processes_that_migrate_at_once_take_turns(bare_url: str) -> None:
    program = f"import asyncio, store.migrations as m; print(asyncio.run(m.upgrade({bare_url!r})))"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    told = [await process.communicate() for process in processes]
    assert told == [(f"{migrations.head()}\n".encode(), b"")] * 4


async def test_a_migration_that_fails_leaves_nothing(bare_url: str) -> None:
    def in_the_way(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE idempotency_keys (x INTEGER)"))

    if bare_url.startswith("sqlite"):
        Path(bare_url.removeprefix("sqlite:///")).parent.mkdir()
    await told_by(bare_url, in_the_way)
    before = await told_by(bare_url, schema_of)
    with pytest.raises(DBAPIError):
        await migrations.upgrade(bare_url)
    assert await told_by(bare_url, schema_of) == before
    assert await migrations.current(bare_url) is None


async def test_a_migrated_database_is_ready_to_be_used(bare_url: str, user: str) -> None:
    await migrations.upgrade(bare_url)
    database = Database(bare_url)
    async with database.write() as tx:
        assert (await tx.credits.balance(user)).credits == 150
    await database.close()


def test_migrations_run_from_wherever_they_are_installed(tmp_path: Path) -> None:
    place = tmp_path / "site packages %41"
    for package in ("store", "contracts"):
        shutil.copytree(
            ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    program = (
        "import asyncio, store.migrations as m;"
        "print(m.__file__, asyncio.run(m.upgrade('sqlite:///new.db')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[0] == f"{place}/store/migrations/__init__.py {migrations.head()}"
