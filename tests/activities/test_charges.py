"""What is charged, how often, and what is free: a memo's whole life against a real ledger."""

import pytest

from activities.memo import MemoActivities
from contracts.jobs import JobFailure, JobState
from contracts.memo import EndMemo, MemoJob, SettleMemo
from contracts.transcript import TranscriptRef
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.ports import MemoryFiles

FAILED = JobFailure(code="provider_out", message="No tier could serve")


@pytest.fixture
def memo(database: Database) -> MemoActivities:
    return MemoActivities(database, MemoryFiles())


async def fail(memo: MemoActivities, job: MemoJob) -> None:
    await memo.reserve(job)
    await memo.end(EndMemo(job=job, state=JobState.FAILED, failure=FAILED))


async def succeed(memo: MemoActivities, job: MemoJob, seconds: float = 90) -> int:
    ref = TranscriptRef(ref=job.job_id, seconds=seconds, words=2, sha256="0" * 64, tier="local")
    await memo.reserve(job)
    charged = (await memo.settle(SettleMemo(job=job, transcript=ref, seconds=seconds))).charged
    await memo.end(EndMemo(job=job, state=JobState.COMPLETED))
    return charged


async def again(database: Database, job: MemoJob) -> MemoJob:
    async with database.write() as tx:
        row = await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=60)
    return MemoJob.model_validate(row.request)


async def account(database: Database, job: MemoJob) -> tuple[int, int, int]:
    async with database.read() as tx:
        now = await tx.credits.balance(job.user_id)
    return now.credits, now.held, now.total_spent


async def settlements(database: Database, job: MemoJob) -> list[int]:
    async with database.read() as tx:
        page = await tx.credits.transactions(job.user_id, limit=100)
    return [entry.amount for entry in page.entries if entry.kind == "settle"]


async def test_a_retry_that_succeeds_is_charged_what_the_first_try_would_have_been(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    for _ in range(2):
        await fail(memo, job)
        assert await account(database, job) == (150, 0, 0)
        job = await again(database, job)
    assert await succeed(memo, job) == 3
    assert await account(database, job) == (147, 0, 3)
    assert await settlements(database, job) == [3]


@pytest.mark.parametrize(
    "final", [JobState.FAILED, JobState.CANCELLED, JobState.COMPLETED_NO_TRANSCRIPT]
)
async def test_an_end_without_a_transcript_is_free(
    memo: MemoActivities, database: Database, new_memo: NewMemo, final: JobState
) -> None:
    job = await new_memo()
    await memo.reserve(job)
    await memo.end(EndMemo(job=job, state=final, failure=FAILED))
    assert await account(database, job) == (150, 0, 0)
    assert await settlements(database, job) == []


async def test_a_recording_transcribed_anew_is_charged_anew(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    first = await new_memo()
    assert await succeed(memo, first) == 3
    anew = await new_memo(user_id=first.user_id)
    assert await succeed(memo, anew.model_copy(update={"audio_path": first.audio_path})) == 3
    assert await settlements(database, first) == [3, 3]
    assert await account(database, first) == (144, 0, 6)


async def test_a_memo_whose_headline_failed_costs_what_one_with_a_headline_does(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    ref = TranscriptRef(ref=job.job_id, seconds=90, words=2, sha256="0" * 64, tier="local")
    await memo.reserve(job)
    await memo.settle(SettleMemo(job=job, transcript=ref, seconds=90))
    await memo.end(EndMemo(job=job, state=JobState.COMPLETED, headline_failure=FAILED))
    assert await account(database, job) == (147, 0, 3)
