"""What outsiders told, as it is kept."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from contracts.batch import JobOwner
from contracts.memo import MemoJob
from contracts.outside import DueReport, OutsideTranscript
from contracts.transcript import join_parts
from store.database import Database
from store.vendor_jobs import MOST_EVENTS
from tests.fakes.ports import part

NewMemo = Callable[..., Awaitable[MemoJob]]
SAID = OutsideTranscript(provider="elsewhere", transcript=join_parts([part(0, 6, "two words")], 6))


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(opened: Callable[..., Database], clock: Clock) -> Database:
    return opened(starting_credits=150, clock=clock)


def report_of(job: MemoJob, *, success: bool = True, code: str | None = None) -> DueReport:
    return DueReport(job_id=job.job_id, user_id=job.user_id, round=1, success=success, code=code)


async def due(database: Database) -> list[DueReport]:
    async with database.read() as tx:
        return list(await tx.outside.due(limit=10))


async def test_a_transcript_is_kept_until_it_is_taken_and_that_it_came_for_ever(
    database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    own = (job.job_id, job.user_id)
    async with database.write() as tx:
        assert await tx.outside.recorded(*own) is None
        await tx.outside.record(report_of(job), job.memo_id, SAID, due=True)
        assert await tx.outside.transcript(*own) == SAID
        assert await tx.outside.transcript(job.job_id, job.memo_id) is None
    async with database.write() as tx:
        await tx.outside.forget_words(*own)
        assert await tx.outside.transcript(*own) is None
        assert await tx.outside.recorded(*own) == SAID.transcript.sha256


async def test_a_report_is_told_again_after_ever_longer_pauses_until_it_is_taken(
    database: Database, new_memo: NewMemo, clock: Clock
) -> None:
    job = await new_memo(running=True)
    async with database.write() as tx:
        await tx.outside.record(report_of(job), job.memo_id, SAID, due=True)
    assert await due(database) == []
    pauses = []
    for _ in range(3):
        began = clock.now
        while not (found := await due(database)):
            clock.now += timedelta(seconds=10)
        pauses.append((clock.now - began).total_seconds())
        async with database.write() as tx:
            await tx.outside.postpone(found[0])
    assert pauses == [20, 40, 80]
    async with database.write() as tx:
        await tx.outside.forget_words(job.job_id, job.user_id)
    clock.now += timedelta(days=9)
    assert await due(database) == []


async def test_a_failure_is_kept_once_a_round_beside_a_transcript(
    database: Database, new_memo: NewMemo, clock: Clock
) -> None:
    job = await new_memo(running=True)
    failed = report_of(job, success=False, code="external_failed")
    async with database.write() as tx:
        assert await tx.outside.record_failure(failed, job.memo_id, "elsewhere", "It broke")
        assert not await tx.outside.record_failure(failed, job.memo_id, "elsewhere", "Again")
        await tx.outside.record(report_of(job), job.memo_id, SAID, due=False)
        told = await tx.outside.failure(job.job_id, job.user_id, 1)
        assert told == ("elsewhere", "external_failed", "It broke")
        assert await tx.outside.failure(job.job_id, job.user_id, 2) is None
    clock.now += timedelta(minutes=1)
    assert [(one.success, one.code) for one in await due(database)] == [(False, "external_failed")]
    async with database.write() as tx:
        await tx.outside.done(failed)
    assert await due(database) == []


async def test_erasing_a_memo_erases_what_was_heard_of_it_elsewhere(
    database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    async with database.write() as tx:
        await tx.outside.record(report_of(job), job.memo_id, SAID, due=True)
        await tx.memos.erase(job.memo_id, job.user_id)
        assert await tx.outside.recorded(job.job_id, job.user_id) is None


async def test_a_vendors_job_is_known_until_it_is_forgotten(
    database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    owner = JobOwner(job_id=job.job_id, user_id=job.user_id)
    async with database.write() as tx:
        for _ in range(2):
            await tx.vendor_jobs.keep("azure", "v1", owner)
        assert await tx.vendor_jobs.owner("azure", "v1") == owner
        assert await tx.vendor_jobs.owner("other", "v1") is None
        await tx.vendor_jobs.forget("azure", "v1")
        assert await tx.vendor_jobs.owner("azure", "v1") is None


async def test_an_event_counts_once_and_there_are_only_so_many(
    database: Database, new_memo: NewMemo
) -> None:
    async with database.write() as tx:
        assert await tx.vendor_jobs.first_event("azure", "v1", "done")
        assert not await tx.vendor_jobs.first_event("azure", "v1", "done")
        await tx.vendor_jobs.forget_event("azure", "v1", "done")
        names = [f"event-{number}" for number in range(MOST_EVENTS * 2)]
        counted = [await tx.vendor_jobs.first_event("azure", "v1", name) for name in names]
    assert counted == [number < MOST_EVENTS for number in range(MOST_EVENTS * 2)]


async def test_a_memo_names_the_vendors_job_that_transcribes_it(
    database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        assert await tx.memos.owner(job.memo_id) == job.user_id
        assert await tx.memos.name_vendor_job(job.memo_id, job.user_id, "v1", batch=True)
        assert not await tx.memos.name_vendor_job(job.memo_id, job.memo_id, "v2", batch=True)
        memo = await tx.memos.find(job.memo_id, job.user_id)
        assert memo is not None
        told = memo.metadata["processing"]["transcription"]
        assert (told["jobId"], told["batchTranscription"]) == ("v1", True)
        assert told["status"] == "pending"
        await tx.memos.mark_deleted(job.memo_id, job.user_id)
        assert await tx.memos.owner(job.memo_id) is None
        assert not await tx.memos.name_vendor_job(job.memo_id, job.user_id, "v3", batch=True)
