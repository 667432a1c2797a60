"""Reservations elsewhere and their shadow on the account here, over both databases."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from contracts.credits import EntryKind
from contracts.reservations import (
    NextStep,
    RemoteBalance,
    Reservation,
    ReservationState,
    next_step,
)
from store.database import Database

JOB = "memo-1"


@pytest.fixture
def here(opened: Callable[..., Database]) -> Database:
    return opened(starting_credits=0)


def asked(user: str, amount: int, number: int = 0, **fields: Any) -> Reservation:
    return Reservation(
        key=f"{JOB}:hold~{number}",
        user_id=user,
        job_id=JOB,
        round=1,
        amount=amount,
        state=ReservationState.ASKED,
        before=RemoteBalance(balance=9, total_earned=9, total_spent=0),
        asked_at=datetime.now(UTC),
    ).model_copy(update=fields)


async def account(database: Database, user: str) -> tuple[int, int]:
    async with database.read() as tx:
        found = await tx.credits.balance(user)
    return found.credits, found.held


async def test_what_is_reserved_stands_on_the_account_until_it_is_charged(here: Database) -> None:
    user = str(uuid4())
    row = asked(user, 5)
    async with here.write() as tx:
        assert await tx.reservations.ask(row)
        assert not await tx.reservations.ask(row)
        assert await tx.reservations.answered(row, "r", wanted=True)
        await tx.credits.hold(user, JOB, "h", 5)
    assert await account(here, user) == (5, 5)
    async with here.write() as tx:
        await tx.credits.settle(user, JOB, "s", 5, operation="transcription")
        await tx.reservations.commit(JOB, user)
        await tx.reservations.give_back(JOB, user, every=True)
    assert await account(here, user) == (0, 0)
    async with here.read() as tx:
        (found,) = await tx.reservations.of_job(JOB, user)
        due = await tx.reservations.due(older_than_seconds=0, after="", limit=9)
    assert (found.state, found.reservation_id) == (ReservationState.COMMITTING, "r")
    assert due == [found]


async def test_what_is_given_back_leaves_the_account_once_nothing_holds_it(here: Database) -> None:
    user = str(uuid4())
    row = asked(user, 5)
    async with here.write() as tx:
        await tx.reservations.ask(row)
        await tx.reservations.answered(row, "r", wanted=True)
        await tx.credits.hold(user, JOB, "h", 5)
        await tx.reservations.give_back(JOB, user, every=True)
    assert await account(here, user) == (5, 5)
    for _ in range(2):
        async with here.write() as tx:
            await tx.credits.release(user, JOB, "r")
            await tx.reservations.give_back(JOB, user, every=True)
        assert await account(here, user) == (0, 0)
    async with here.read() as tx:
        page = await tx.credits.transactions(user, limit=9)
    assert [entry.kind for entry in page.entries] == [
        EntryKind.RETURN, EntryKind.RELEASE, EntryKind.HOLD, EntryKind.GRANT,
    ]  # fmt: skip


async def test_an_answer_that_comes_late_is_given_back(here: Database) -> None:
    user = str(uuid4())
    row = asked(user, 5)
    async with here.write() as tx:
        await tx.reservations.ask(row)
        await tx.reservations.mark(row, ReservationState.UNCERTAIN)
        assert await tx.reservations.count_uncertain() == 1
        assert await tx.reservations.answered(row, "r", wanted=True)
        (found,) = await tx.reservations.of_job(JOB, user)
        assert not await tx.reservations.answered(asked(user, 5, 7), "q", wanted=True)
    assert found.state is ReservationState.REFUNDING
    assert await account(here, user) == (0, 0)


@pytest.mark.parametrize(
    ("held", "price", "do", "amount", "kept"),
    [
        ((), 5, NextStep.ASK, 5, ()),
        ((5,), 5, NextStep.NOTHING, 0, ()),
        ((5,), 7, NextStep.ASK, 2, ()),
        ((5,), 3, NextStep.ASK, 3, ()),
        ((5, 3), 3, NextStep.TRIM, 0, (1,)),
        ((2, 3, 4), 6, NextStep.TRIM, 0, (2, 0)),
        ((5,), 0, NextStep.NOTHING, 0, ()),
    ],
)
def test_reservations_add_up_to_the_price_by_the_shortest_way(
    held: tuple[int, ...], price: int, do: NextStep, amount: int, kept: tuple[int, ...]
) -> None:
    user = str(uuid4())
    state = ReservationState.RESERVED
    rows = [asked(user, many, at, state=state) for at, many in enumerate(held)]
    step = next_step(rows, price, 1)
    assert (step.do, step.amount) == (do, amount)
    assert step.keys == tuple(rows[at].key for at in kept)
