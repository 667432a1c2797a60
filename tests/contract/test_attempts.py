import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from contracts.errors import NotFound
from contracts.memo import MemoJob
from contracts.tiers import AttemptOutcome, Tries
from store.database import Database

NewMemo = Callable[..., Awaitable[MemoJob]]


async def test_an_attempt_is_written_before_its_end_is_known(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id
    async with database.write() as tx:
        first = await tx.attempts.begin(job, user, "azure-fast", "azure", 1)
        open_ones = await tx.attempts.list(job, user)
        await tx.attempts.end(
            job,
            user,
            first,
            AttemptOutcome.FAILED,
            seconds=1.5,
            code="provider_busy",
            message="429",
        )
        second = await tx.attempts.begin(job, user, "local", "pocketsphinx", 1)
        await tx.attempts.end(job, user, second, AttemptOutcome.SUCCEEDED, seconds=2)
        done = await tx.attempts.list(job, user)
    assert [(a.number, a.outcome, a.seconds) for a in open_ones] == [(1, None, None)]
    assert [(a.number, a.tier, a.provider, a.outcome) for a in done] == [
        (1, "azure-fast", "azure", "failed"),
        (2, "local", "pocketsphinx", "succeeded"),
    ]
    assert (done[0].error_code, done[0].error_message, done[0].seconds) == (
        "provider_busy",
        "429",
        1.5,
    )


async def test_an_attempt_that_never_ended_is_closed_by_the_next_of_its_tier(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id
    async with database.write() as tx:
        await tx.attempts.begin(job, user, "local", "pocketsphinx", 1)
        await tx.attempts.begin(job, user, "azure-fast", "azure", 1)
        await tx.attempts.begin(job, user, "local", "pocketsphinx", 1)
        found = await tx.attempts.list(job, user)
    assert [(a.outcome, a.error_code) for a in found] == [
        ("failed", "worker_lost"),
        (None, None),
        (None, None),
    ]


async def test_the_first_end_of_an_attempt_stays(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id
    async with database.write() as tx:
        number = await tx.attempts.begin(job, user, "local", "pocketsphinx", 1)
        await tx.attempts.end(job, user, number, AttemptOutcome.CANCELLED, seconds=-1)
        await tx.attempts.end(job, user, number, AttemptOutcome.SUCCEEDED, seconds=5)
        (attempt,) = await tx.attempts.list(job, user)
    assert (attempt.outcome, attempt.seconds) == ("cancelled", 0)


async def test_vain_tries_are_counted_by_cause_tier_and_round(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id
    script = [
        ("local", 1, AttemptOutcome.FAILED, "provider_busy"),
        ("local", 1, AttemptOutcome.FAILED, "provider_broken"),
        ("local", 1, AttemptOutcome.FAILED, "provider_busy"),
        ("local", 1, AttemptOutcome.CANCELLED, None),
        ("local", 2, AttemptOutcome.FAILED, "provider_busy"),
        ("azure-fast", 1, AttemptOutcome.FAILED, "provider_busy"),
    ]
    async with database.write() as tx:
        for tier, round_, outcome, code in script:
            number = await tx.attempts.begin(job, user, tier, "p", round_)
            await tx.attempts.end(job, user, number, outcome, seconds=1, code=code)
        await tx.attempts.begin(job, user, "local", "p", 1)
        await tx.attempts.begin(job, user, "local", "p", 1)
        assert await tx.attempts.tries(job, user, "local", 1) == Tries(busy=2, lost=1)
        assert await tx.attempts.tries(job, user, "local", 2) == Tries(busy=1)
        assert await tx.attempts.tries(job, user, "local", 3) == Tries()


async def test_attempts_begun_at_once_have_numbers_of_their_own(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id

    async def begin(number: int) -> int:
        async with database.write() as tx:
            return await tx.attempts.begin(job, user, f"tier{number}", "p", 1)

    numbers = await asyncio.gather(*(begin(number) for number in range(12)))
    assert sorted(numbers) == list(range(1, 13))


async def test_attempts_of_others_are_not_there(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = (await new_memo(running=True)).job_id, str(uuid4())
    async with database.write() as tx:
        number = await tx.attempts.begin(job, user, "local", "p", 1)
        await tx.attempts.end(job, other, number, AttemptOutcome.SUCCEEDED, seconds=1)
        assert await tx.attempts.list(job, other) == []
        assert await tx.attempts.tries(job, other, "local", 1) == Tries()
        with pytest.raises(NotFound):
            await tx.attempts.begin(job, other, "local", "p", 1)
        (attempt,) = await tx.attempts.list(job, user)
    assert attempt.outcome is None
