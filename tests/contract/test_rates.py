"""Requests counted in Postgres: exact among any number of processes, and never for long."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest

from contracts.errors import Unavailable
from store.rate_tables import SLOT_SECONDS, SLOTS
from store.rates import SWEEP_EVERY, SharedRates

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("dialect", ["postgresql"])]

Counts = Callable[..., SharedRates]
PATIENT = 30.0


@pytest.fixture
async def counts(url: str) -> AsyncIterator[Counts]:
    """Opens further counts of one database, as other processes would."""
    async with AsyncExitStack() as stack:

        def another(wait_seconds: float = PATIENT) -> SharedRates:
            rates = SharedRates(url, wait_seconds=wait_seconds)
            stack.push_async_callback(rates.close)
            return rates

        yield another


@pytest.fixture
async def admin(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def let_pass(admin: asyncpg.Connection, slots: int) -> None:
    """As if so many slots of time had passed."""
    await admin.execute("UPDATE request_rates SET slot = slot - $1", slots)


async def test_however_many_ask_at_once_the_sum_is_the_limit(counts: Counts) -> None:
    processes = [counts(), counts()]
    taken = await asyncio.gather(
        *(rates.take("anna", 20) for rates in processes for _ in range(40))
    )
    assert sum(allowance.granted for allowance in taken) == 20
    assert sorted(each.remaining for each in taken if each.granted) == list(range(20))
    assert {each.remaining for each in taken if not each.granted} == {0}


async def test_principals_do_not_share_a_window(counts: Counts) -> None:
    rates = counts()
    assert (await rates.take("anna", 1)).granted
    assert not (await rates.take("anna", 1)).granted
    assert (await rates.take("ben", 1)).granted


async def test_no_minute_ever_holds_more_than_the_limit(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    rates, dice, limit = counts(), random.Random(9), 6
    window: deque[int] = deque([0] * SLOTS, maxlen=SLOTS)
    await rates.take("anna", limit)
    window[-1] = 1
    for _ in range(150):
        await let_pass(admin, dice.choice([0, 0, 0, 1, 1, 2, 5, SLOTS - 1, SLOTS, 40]))
        before = await admin.fetchval("SELECT slot FROM request_rates")
        granted = (await rates.take("anna", limit)).granted
        passed = await admin.fetchval("SELECT slot FROM request_rates") - before
        window.extend([0] * min(passed, SLOTS))
        assert granted == (sum(window) < limit)
        window[-1] += granted


async def test_a_client_that_waits_as_long_as_it_is_told_gets_through(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    rates = counts()
    await rates.take("anna", 2)
    await let_pass(admin, 3)
    second = await rates.take("anna", 2)
    refused = await rates.take("anna", 2)
    assert (second.remaining, refused.granted) == (0, False)
    assert 0 < refused.reset <= (SLOTS - 3) * SLOT_SECONDS
    await let_pass(admin, int(refused.reset // SLOT_SECONDS) + 1)
    assert (await rates.take("anna", 2)).granted


async def test_a_refused_request_is_not_counted(counts: Counts, admin: asyncpg.Connection) -> None:
    rates = counts()
    for _ in range(5):
        await rates.take("anna", 1)
    assert sum(await admin.fetchval("SELECT counts FROM request_rates")) == 1


async def test_a_clock_that_jumps_back_frees_nobody(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    rates = counts()
    await rates.take("anna", 1)
    await let_pass(admin, -100)
    assert not (await rates.take("anna", 1)).granted


async def test_a_database_that_does_not_answer_is_not_waited_for(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    rates = counts(0.05)
    async with admin.transaction():
        await admin.execute("LOCK TABLE request_rates")
        with pytest.raises(Unavailable):
            await rates.take("anna", 5)
    patient = counts()
    # What was given up may be counted all the same, and once at most.
    assert (await patient.take("anna", 5)).remaining in {3, 4}


async def test_a_connection_that_broke_is_replaced(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    rates = counts()
    await rates.take("anna", 5)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(Unavailable):
        await rates.take("anna", 5)
    assert (await rates.take("anna", 5)).granted


async def test_principals_that_were_quiet_since_yesterday_are_forgotten(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    rates = counts()
    await rates.take("anna", SWEEP_EVERY)
    await rates.take("ben", SWEEP_EVERY)
    await admin.execute("UPDATE request_rates SET day = day - 2 WHERE principal = 'anna'")
    rates._until_sweep = 1
    await rates.take("ben", SWEEP_EVERY)
    await rates.close()
    assert [
        row["principal"] for row in await admin.fetch("SELECT principal FROM request_rates")
    ] == ["ben"]


async def test_the_table_costs_no_log_and_its_rows_change_in_place(
    counts: Counts, admin: asyncpg.Connection
) -> None:
    kept = await admin.fetchrow(
        "SELECT relpersistence, reloptions FROM pg_class WHERE relname = 'request_rates'"
    )
    assert (kept["relpersistence"], kept["reloptions"]) == (b"u", ["fillfactor=40"])
