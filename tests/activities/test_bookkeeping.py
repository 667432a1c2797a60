"""Reserve, settle and end, each against a real ledger."""

import pytest

from activities.memo import MemoActivities
from contracts.audio import MediaKind
from contracts.credits import Balance
from contracts.errors import InsufficientCredits
from contracts.jobs import JobFailure, JobState, Step
from contracts.memo import EndMemo, MemoJob, MemoStatus, SettleMemo
from contracts.transcript import TranscriptRef
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.ports import MemoryFiles


@pytest.fixture
def memo(database: Database) -> MemoActivities:
    return MemoActivities(database, MemoryFiles())


async def balance(database: Database, job: MemoJob) -> Balance:
    async with database.read() as tx:
        return await tx.credits.balance(job.user_id)


async def state(database: Database, job: MemoJob) -> JobState | None:
    async with database.read() as tx:
        return await tx.jobs.state(job.job_id, job.user_id)


def settled(job: MemoJob, seconds: float = 90) -> SettleMemo:
    ref = TranscriptRef(ref=job.job_id, seconds=seconds, words=2, sha256="0" * 64, tier="local")
    return SettleMemo(job=job, transcript=ref, seconds=seconds)


async def test_reserving_twice_holds_once(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    for _ in range(2):
        reserved = await memo.reserve(job)
        assert (reserved.present, reserved.held) == (True, 3)
    assert (await balance(database, job)).held == 3
    assert await state(database, job) is JobState.RUNNING
    async with database.read() as tx:
        memo_row = await tx.memos.find(job.memo_id, job.user_id)
    assert memo_row is not None
    assert memo_row.status is MemoStatus.PROCESSING


async def test_a_withdrawn_row_is_not_reserved_for(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        assert await tx.jobs.withdraw(job.job_id, job.user_id)
    assert not (await memo.reserve(job)).present


async def test_short_of_credits_leaves_the_job_as_it_was(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=7200)
    with pytest.raises(InsufficientCredits) as caught:
        await memo.reserve(job)
    assert (caught.value.required, caught.value.available) == (240, 150)
    assert await state(database, job) is JobState.QUEUED
    assert (await balance(database, job)).held == 0


async def test_settling_twice_charges_once(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await memo.reserve(job)
    assert (await memo.settle(settled(job))).charged == 3
    assert (await memo.settle(settled(job))).charged == 3
    now = await balance(database, job)
    assert (now.credits, now.held, now.total_spent) == (147, 0, 3)


@pytest.mark.parametrize("final", [JobState.FAILED, JobState.CANCELLED])
async def test_an_end_without_transcript_releases_and_says_why(
    memo: MemoActivities, database: Database, new_memo: NewMemo, final: JobState
) -> None:
    job = await new_memo()
    await memo.reserve(job)
    failure = JobFailure(code="audio_corrupt", message="It does not open")
    for _ in range(2):
        await memo.end(EndMemo(job=job, state=final, failure=failure))
    now = await balance(database, job)
    assert (now.credits, now.held) == (150, 0)
    async with database.read() as tx:
        row = await tx.memos.find(job.memo_id, job.user_id)
    assert row is not None
    processing = row.metadata["processing"]["transcription"]
    assert (processing["status"], processing["error"]) == (final, "It does not open")


async def test_a_retried_job_that_was_charged_before_is_not_charged_again(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await memo.reserve(job)
    await memo.settle(settled(job))
    async with database.write() as tx:
        failure = JobFailure(code="x", message="x")
        await tx.jobs.move(
            job.job_id, job.user_id, JobState.FAILED, step=Step.DONE, failure=failure
        )
        again = MemoJob.model_validate(
            (await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=60)).request
        )
    await memo.reserve(again)
    assert (await memo.settle(settled(again))).charged == 3
    await memo.end(EndMemo(job=again, state=JobState.COMPLETED))
    now = await balance(database, job)
    assert (now.credits, now.held, now.total_spent) == (147, 0, 3)


async def test_work_files_are_removed_with_their_rows(
    database: Database, new_memo: NewMemo
) -> None:
    files = MemoryFiles()
    memo = MemoActivities(database, files)
    job = await new_memo()
    files.files["u/m/work/a.wav"] = b"x"
    async with database.write() as tx:
        await tx.media.add(
            "u/m/work/a.wav",
            job.user_id,
            kind=MediaKind.WORK,
            memo_id=job.memo_id,
            job_id=job.job_id,
        )
    assert await memo.discard_work(job) == 1
    assert await memo.discard_work(job) == 0
    assert files.files == {}
