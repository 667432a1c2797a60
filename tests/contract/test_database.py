import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.exc import CompileError

from contracts.errors import InvalidInput, Unavailable
from store.database import Database
from store.invariants import violations
from store.sqlite import LOG_BYTES
from tests.postgres import PostgresServer
from tests.statements import asked_of

Opened = Callable[..., Database]


class Stop(Exception):
    pass


class Unspeakable(ColumnElement[int]):
    """No database has words for it."""

    inherit_cache = True


async def test_a_transaction_that_raises_leaves_nothing(database: Database, user: str) -> None:
    async def half() -> None:
        async with database.write() as tx:
            await tx.credits.hold(user, "j", "j:hold", 10)
            raise Stop

    with pytest.raises(Stop):
        await half()
    async with database.read() as tx:
        assert (await tx.credits.transactions(user, limit=9)).entries == ()


async def test_a_reading_transaction_cannot_write(database: Database, user: str) -> None:
    async with database.read() as tx:
        with pytest.raises(Unavailable):
            await tx.credits.hold(user, "j", "j:hold", 1)


async def test_what_is_read_is_of_one_moment(database: Database, user: str) -> None:
    async with database.read() as reader:
        before = await reader.credits.transactions(user, limit=9)
        async with database.write() as tx:
            await tx.credits.hold(user, "j", "j:hold", 1)
        assert await reader.credits.transactions(user, limit=9) == before


async def test_readers_do_not_wait_for_the_writer(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 1)
        async with database.read() as reader:
            assert (await reader.credits.of_job(user, "j")).held == 0


async def test_a_turn_that_does_not_come_in_time_is_unavailable(opened: Opened, user: str) -> None:
    database = opened(readers=1, wait_seconds=0.05)
    async with database.write() as tx:
        await tx.credits.balance(user)
        with pytest.raises(Unavailable) as refused:
            async with database.write():
                raise AssertionError
    assert refused.value.retry_after


async def test_cancelled_callers_leave_every_connection_usable(
    opened: Opened, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = opened(readers=2, wait_seconds=20)
    chance = random.Random(7)

    async def write(name: str) -> None:
        async with database.write() as tx:
            await tx.credits.hold(user, name, f"{name}:hold", 1)
            await tx.credits.release(user, name, f"{name}:release")

    async def read() -> None:
        async with database.read() as tx:
            await tx.credits.balance(user)
            await tx.credits.transactions(user, limit=5)

    with asked_of(database) as asked:
        for turn in range(40):
            tasks = [
                asyncio.create_task(read() if number % 2 else write(f"{turn}-{number}"))
                for number in range(6)
            ]
            await asyncio.sleep(chance.random() * 0.008)
            for task in tasks:
                if chance.random() < 0.6:
                    task.cancel()
                    task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError)
    assert asked.statements
    async with database.write() as tx:
        assert (await tx.credits.balance(user)).held == 0
    assert [found async for found in violations(database)] == []
    assert caplog.records == []


async def test_a_database_that_is_not_there_is_unavailable_and_nothing_is_opened_before() -> None:
    database = Database("postgresql://voicekeep@127.0.0.1:1/none")
    with pytest.raises(Unavailable) as away:
        await database.ping()
    await database.close()
    assert away.value.retry_after
    assert "127.0.0.1" not in str(away.value)


@pytest.mark.parametrize("url", ["mysql://host/db", "mysql+x://secret", "nonsense"])
def test_an_address_of_another_kind_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Database(url)
    assert refused.value.code == "invalid_setting"
    assert url not in str(refused.value)


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "voicekeep.db"
    path.write_bytes(b"no database" * 500)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(Unavailable):
        await database.ping()
    await database.close()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path / 'file' / 'voicekeep.db'}")
    with pytest.raises(Unavailable):
        await database.ping()
    await database.close()


async def test_a_process_that_keeps_the_write_lock_makes_writing_unavailable(
    migrated_file: Path, tmp_path: Path, user: str
) -> None:
    path = tmp_path / "voicekeep.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}", busy_seconds=0.05)
    other = sqlite3.connect(path, isolation_level=None)

    async def write() -> int:
        async with database.write() as tx:
            return (await tx.credits.balance(user)).credits

    for _ in range(2):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await write()
        async with database.read() as tx:
            assert (await tx.credits.balance(user)).credits == 150
        other.execute("ROLLBACK")
        assert await write() == 150
    other.close()
    await database.close()


async def test_a_first_statement_that_is_refused_leaves_the_file_free(
    migrated_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "voicekeep.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    with pytest.raises(CompileError):
        async with database.write() as tx:
            await tx.session.value(select(Unspeakable()))
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    other.close()
    await database.close()


async def test_the_loop_goes_on_while_another_process_writes(
    migrated_file: Path, tmp_path: Path, user: str
) -> None:
    path = tmp_path / "voicekeep.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}", busy_seconds=30)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    # Were the loop kept waiting, nobody would release the lock that is waited for.
    asyncio.get_running_loop().call_later(0.05, other.execute, "COMMIT")
    async with database.write() as tx:
        assert (await tx.credits.balance(user)).credits == 150
    other.close()
    await database.close()


async def test_the_log_is_moved_into_the_file_before_it_grows_long(
    migrated_file: Path, tmp_path: Path, user: str
) -> None:
    path = tmp_path / "voicekeep.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    longest = 0
    for _ in range(60):
        async with database.write() as tx:
            await tx.spaces.create(str(uuid4()), user, "x" * 200_000, None)
        longest = max(longest, (tmp_path / "voicekeep.db-wal").stat().st_size)
    assert longest < 2 * LOG_BYTES
    assert path.stat().st_size > LOG_BYTES
    await database.close()


@pytest.mark.postgres
async def test_a_postgres_that_was_killed_is_unavailable_until_it_is_back(
    postgres: PostgresServer, migrated_database: str, user: str
) -> None:
    database = Database(postgres.url(migrated_database))
    async with database.write() as tx:
        await tx.credits.balance(user)
    postgres.kill()
    with pytest.raises(Unavailable):
        await database.ping()
    postgres.restart()
    async with database.read() as tx:
        assert (await tx.credits.transactions(user, limit=1)).entries
    await database.close()


@pytest.mark.postgres
async def test_a_postgres_that_hangs_is_unavailable_within_bounds(
    postgres: PostgresServer, migrated_database: str, user: str
) -> None:
    database = Database(postgres.url(migrated_database), statement_seconds=0.5)
    server = psutil.Process(postgres.process.pid)

    async def freeze_in_the_middle() -> None:
        async with database.write() as tx:
            await tx.credits.hold(user, "j", "j:hold", 1)
            frozen = [server, *server.children(recursive=True)]
            for process in frozen:
                process.suspend()
            with pytest.raises(Unavailable):
                await tx.credits.balance(user)
            for process in frozen:
                process.resume()
            with pytest.raises(Unavailable):
                await tx.credits.balance(user)

    # Nor can it be committed.
    with pytest.raises(Unavailable):
        await freeze_in_the_middle()
    async with database.read() as tx:
        assert (await tx.credits.of_job(user, "j")).held == 0
    await database.close()


@pytest.mark.postgres
async def test_a_transaction_pooler_meets_no_prepared_statement(
    postgres: PostgresServer, migrated_database: str, user: str
) -> None:
    database = Database(postgres.url(migrated_database), pooler=True)
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 1)
        named = text("SELECT count(*) FROM pg_prepared_statements")
        assert await tx.session.value(named) == 0
    await database.close()


async def test_ids_are_found_however_they_are_written(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.spaces.create(space := str(uuid4()), user, "Team", None)
        assert await tx.spaces.role(space.upper(), user.upper()) == "owner"
