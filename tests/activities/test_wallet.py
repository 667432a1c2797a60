"""Credits kept elsewhere: a job's whole life over a real socket."""

import asyncio
from uuid import uuid4

import pytest

from contracts.errors import InsufficientCredits
from contracts.jobs import JobState
from contracts.memo import EndMemo, MemoJob
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.activities.purse import FAILED, Purse


@pytest.fixture
def starting_credits() -> int:
    """All of them are the service's."""
    return 0


async def test_a_memo_is_reserved_corrected_and_committed_to_the_credit(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=61)
    await purse.memo.reserve(job)
    assert await purse.account(job) == (147, 3, 0)
    assert await purse.here(job) == (3, 3)
    await purse.measured(job, 10)
    assert await purse.account(job) == (140, 10, 0)
    assert await purse.settle(job, 300) == 10
    assert await purse.account(job) == (140, 0, 10)
    assert await purse.here(job) == (0, 0)
    await purse.complete(job)
    assert await purse.states(job) == [("committed", 3), ("committed", 7)]


async def test_a_recording_shorter_than_claimed_is_reserved_anew_before_the_old_goes(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=300)
    await purse.memo.reserve(job)
    await purse.measured(job, 2)
    assert await purse.account(job) == (148, 2, 0)
    assert await purse.here(job) == (2, 2)
    assert await purse.states(job) == [("refunded", 10), ("reserved", 2)]


async def test_who_has_not_enough_for_both_gets_the_first_back_before_the_second(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=300)
    purse.service.earned[job.user_id] = 11
    await purse.memo.reserve(job)
    await purse.measured(job, 8)
    assert await purse.account(job) == (3, 8, 0)
    assert await purse.settle(job, 240) == 8
    assert await purse.account(job) == (3, 0, 8)
    assert await purse.here(job) == (0, 0)


async def test_too_few_credits_are_told_with_what_there_is(purse: Purse, new_memo: NewMemo) -> None:
    job = await new_memo(claimed_seconds=300)
    purse.service.earned[job.user_id] = 9
    with pytest.raises(InsufficientCredits) as short:
        await purse.memo.reserve(job)
    assert (short.value.required, short.value.available) == (10, 9)
    purse.service.earned[job.user_id] = 12
    await purse.memo.reserve(job)
    with pytest.raises(InsufficientCredits) as short:
        await purse.measured(job, 13)
    assert (short.value.required, short.value.available) == (13, 12)
    await purse.fail(job)
    assert await purse.account(job) == (12, 0, 0)
    assert await purse.here(job) == (0, 0)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_what_ends_without_a_transcript_is_given_back(
    purse: Purse, new_memo: NewMemo, state: JobState
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    await purse.memo.end(EndMemo(job=job, state=state, failure=FAILED))
    assert await purse.account(job) == (150, 0, 0)
    assert await purse.here(job) == (0, 0)


async def test_a_retry_is_charged_once_and_only_when_it_succeeds(
    purse: Purse, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    await purse.fail(job)
    async with database.write() as tx:
        row = await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=60)
    again = MemoJob.model_validate(row.request)
    await purse.memo.reserve(again)
    for _ in range(2):
        assert await purse.settle(again, 61) == 3
    await purse.complete(again)
    assert await purse.account(job) == (147, 0, 3)
    assert purse.service.made("commit") == 1


async def test_a_job_that_ended_meanwhile_reserves_nothing(purse: Purse, new_memo: NewMemo) -> None:
    job = await new_memo()
    await purse.memo.end(EndMemo(job=job, state=JobState.CANCELLED))
    assert not (await purse.memo.reserve(job)).present
    assert purse.service.calls == []


async def test_many_jobs_at_once_reserve_no_more_than_there_is(
    purse: Purse, new_memo: NewMemo
) -> None:
    user = str(uuid4())
    purse.service.earned[user] = 16
    jobs = [await new_memo(user_id=user) for _ in range(8)]
    outcomes = await asyncio.gather(
        *(purse.memo.reserve(job) for job in jobs), return_exceptions=True
    )
    assert sum(isinstance(each, InsufficientCredits) for each in outcomes) == 3
    assert (purse.service.balance(user), purse.service.open(user)) == (1, 15)
