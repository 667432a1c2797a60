import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.errors import Conflict
from store.database import Database

Opened = Callable[..., Database]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_a_key_is_busy_then_gives_its_answer_again(database: Database, user: str) -> None:
    async with database.write() as tx:
        assert await tx.idempotency.find(user, "k", busy_seconds=9) is None
        await tx.idempotency.keep(user, "k", "print", answer={"memoId": "m"}, busy_seconds=9)
        busy = await tx.idempotency.find(user, "k", busy_seconds=9)
        await tx.idempotency.finish(user, "k", 201)
        done = await tx.idempotency.find(user, "k", busy_seconds=9)
    assert busy is not None
    assert (busy.busy, busy.finished, busy.fingerprint) == (True, False, "print")
    assert done is not None
    assert (done.busy, done.finished, done.answer) == (False, True, {"memoId": "m"})


async def test_a_key_belongs_to_its_principal(database: Database, user: str) -> None:
    other = str(uuid4())
    async with database.write() as tx:
        await tx.idempotency.keep(user, "k", "print", answer={}, busy_seconds=9)
        assert await tx.idempotency.find(other, "k", busy_seconds=9) is None
        await tx.idempotency.keep(other, "k", "print", answer={}, busy_seconds=9)
        await tx.idempotency.forget(other, "k")
        assert await tx.idempotency.find(user, "k", busy_seconds=9) is not None


async def test_only_one_of_many_at_once_gets_the_key(database: Database, user: str) -> None:
    async def take() -> None:
        async with database.write() as tx:
            await tx.idempotency.keep(user, "k", "print", answer={}, busy_seconds=9)

    outcomes = await asyncio.gather(*(take() for _ in range(10)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert outcomes.count(None) == 1
    assert {(conflict.code, bool(conflict.retry_after)) for conflict in refused} == {
        ("key_in_use", True)
    }
    assert len(refused) == 9


async def test_a_process_that_died_leaves_a_key_that_another_goes_on_with(
    opened: Opened, user: str
) -> None:
    now = NOON
    database = opened(clock=lambda: now)
    async with database.write() as tx:
        await tx.idempotency.keep(user, "k", "print", answer={}, busy_seconds=10)
    now += timedelta(seconds=11)
    async with database.write() as tx:
        left = await tx.idempotency.find(user, "k", busy_seconds=10)
    async with database.write() as tx:
        taken = await tx.idempotency.find(user, "k", busy_seconds=10)
    assert left is not None
    assert (left.busy, left.finished) == (False, False)
    assert taken is not None
    assert taken.busy


async def test_a_key_is_forgotten_after_a_day(opened: Opened, user: str) -> None:
    now, other = NOON, str(uuid4())
    database = opened(clock=lambda: now)
    for key in ("a", "b"):
        async with database.write() as tx:
            for principal in (user, other):
                await tx.idempotency.keep(principal, key, "p", answer={}, busy_seconds=1)
        now += timedelta(seconds=1)
    async with database.write() as tx:
        assert await tx.idempotency.forget_expired(9) == 0
    now += timedelta(hours=25)
    async with database.write() as tx:
        assert await tx.idempotency.find(user, "a", busy_seconds=1) is None
        await tx.idempotency.keep(user, "a", "q", answer={}, busy_seconds=1)
        assert await tx.idempotency.forget_expired(1) == 1
        assert await tx.idempotency.forget_expired(9) == 2
        assert await tx.idempotency.forget_expired(9) == 0


@pytest.mark.parametrize("answer", [{}, {"memo": {"title": "Grüße 🎧", "n": None, "l": [1, {}]}}])
async def test_an_answer_comes_back_as_it_was_kept(
    database: Database, user: str, answer: dict[str, object]
) -> None:
    async with database.write() as tx:
        await tx.idempotency.keep(user, "k", "print", answer=answer, busy_seconds=9)
        kept = await tx.idempotency.find(user, "k", busy_seconds=9)
    assert kept is not None
    assert kept.answer == answer
