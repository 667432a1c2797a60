"""What a user has under way and has spent today, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.jobs import JobState, Step
from store.database import Database
from tests.contract.conftest import NewMemo

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Clock:
    """The time a test sets."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(opened: Callable[..., Database], clock: Clock) -> Database:
    return opened(starting_credits=150, clock=clock)


async def done(tx: Any, job_id: str, user: str) -> None:
    await tx.jobs.move(job_id, user, JobState.RUNNING, step=Step.PROBE)
    await tx.jobs.move(job_id, user, JobState.COMPLETED, step=Step.DONE)


async def spent(database: Database, user: str) -> int:
    async with database.write() as tx:
        return int((await tx.budgets.spent_today(user)).credits)


async def test_open_jobs_are_those_of_the_user_that_have_not_ended(
    database: Database, new_memo: NewMemo, user: str
) -> None:
    first, _, _ = await new_memo(), await new_memo(running=True), await new_memo(str(uuid4()))
    async with database.write() as tx:
        assert await tx.budgets.open_jobs(user, enough=9) == 2
        assert await tx.budgets.open_jobs(user, enough=1) == 1
        await done(tx, first.job_id, user)
        assert await tx.budgets.open_jobs(user, enough=9) == 1


async def test_an_erasure_is_no_job_that_is_in_the_way(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.jobs.create(
            "erase-x", user, kind="erase", subject_id="x", request={}, deadline_seconds=9
        )
        assert await tx.budgets.open_jobs(user, enough=9) == 0


async def test_a_job_counts_by_its_promise_its_hold_and_its_charge_in_turn(
    database: Database, new_memo: NewMemo, user: str
) -> None:
    job = (await new_memo(running=True)).job_id
    async with database.write() as tx:
        await tx.credits.balance(user)
        await tx.budgets.promise(job, user, 10)
    assert await spent(database, user) == 10
    async with database.write() as tx:
        await tx.budgets.promise(job, user, 12)
    assert await spent(database, user) == 12
    async with database.write() as tx:
        await tx.credits.hold(user, job, f"{job}:hold", 12)
    assert await spent(database, user) == 12
    async with database.write() as tx:
        await tx.credits.adjust_hold(user, job, f"{job}:measured", 20)
    assert await spent(database, user) == 20
    async with database.write() as tx:
        await tx.credits.settle(user, job, f"{job}:settle", 18, operation="transcription")
    assert await spent(database, user) == 18
    async with database.write() as tx:
        await tx.jobs.move(job, user, JobState.COMPLETED, step=Step.DONE)
    assert await spent(database, user) == 18


async def test_a_job_that_fails_gives_its_part_of_the_budget_back(
    database: Database, new_memo: NewMemo, user: str
) -> None:
    job = (await new_memo(running=True)).job_id
    async with database.write() as tx:
        await tx.credits.balance(user)
        await tx.budgets.promise(job, user, 10)
        await tx.credits.hold(user, job, f"{job}:hold", 10)
        await tx.credits.release(user, job, f"{job}:release")
        await tx.jobs.move(job, user, JobState.FAILED, step=Step.DONE)
    assert await spent(database, user) == 0


async def test_a_new_day_by_utc_has_its_whole_budget_but_for_what_is_held(
    database: Database, new_memo: NewMemo, user: str, clock: Clock
) -> None:
    paid, held = (await new_memo(running=True)).job_id, (await new_memo(running=True)).job_id
    async with database.write() as tx:
        await tx.credits.balance(user)
        await tx.credits.hold(user, paid, f"{paid}:hold", 5)
        await tx.credits.settle(user, paid, f"{paid}:settle", 5, operation="transcription")
        await tx.credits.hold(user, held, f"{held}:hold", 7)
    async with database.write() as tx:
        assert await tx.budgets.spent_today(user) == (12, 12 * 3600)
    clock.now = NOON.replace(hour=23, minute=59, second=59)
    async with database.write() as tx:
        assert await tx.budgets.spent_today(user) == (12, 1)
    clock.now += timedelta(seconds=1)
    async with database.write() as tx:
        assert await tx.budgets.spent_today(user) == (7, 24 * 3600)


async def test_what_others_spend_is_no_matter(
    database: Database, new_memo: NewMemo, user: str
) -> None:
    other = str(uuid4())
    job = (await new_memo(other, running=True)).job_id
    async with database.write() as tx:
        await tx.credits.balance(other)
        await tx.budgets.promise(job, other, 10)
        await tx.credits.hold(other, job, f"{job}:hold", 10)
    assert await spent(database, user) == 0
