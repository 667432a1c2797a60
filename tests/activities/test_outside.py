"""Reports of outside transcribers, taken over and told again, each against a real ledger."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.memo import MemoActivities
from activities.outside import OutsideActivities, OutsideDelivery
from activities.vendor_call import VendorCall
from contracts import ids
from contracts.audio import AudioFacts
from contracts.credits import Balance
from contracts.errors import Conflict, InsufficientCredits, NotFound, Unavailable
from contracts.jobs import JobFailure, JobState, Step
from contracts.memo import EndMemo, MemoJob, SettleMemo, TranscribeTier
from contracts.outside import (
    DueReport,
    EndOutside,
    OutsideEnd,
    OutsideReport,
    OutsideTranscript,
)
from contracts.tiers import Attempt, PlannedTier
from contracts.transcript import TranscriptPart, join_parts
from store import schema
from store.database import Database, utc_now
from tests.activities.conftest import NewMemo
from tests.fakes.ports import FACTS, MemoryFiles, RecordingStarter, part

OUTSIDE = PlannedTier(name="external", provider="external", outside=True, call_seconds=900)
OURS = PlannedTier(name="openai", provider="openai")


class Clock:
    """The time, or so much later."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


class Bench:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.database = database
        self.starter = RecordingStarter()
        self.memo = MemoActivities(database, MemoryFiles())
        self.outside = OutsideActivities(database)
        self.delivery = OutsideDelivery(database, self.starter)

    async def report(self, job: MemoJob, *, seconds: float = 6, due: bool = True) -> None:
        said = OutsideTranscript(
            provider="elsewhere", transcript=join_parts([part(0, 6, "two words")], seconds)
        )
        async with self.database.write() as tx:
            report = DueReport(
                job_id=job.job_id, user_id=job.user_id, round=job.round, success=True
            )
            await tx.outside.record(report, job.memo_id, said, due=due)

    async def fail(self, job: MemoJob, code: str = "external_failed") -> None:
        async with self.database.write() as tx:
            report = DueReport(
                job_id=job.job_id, user_id=job.user_id, round=job.round, success=False, code=code
            )
            await tx.outside.record_failure(report, job.memo_id, "elsewhere", "It broke")

    async def attempts(self, job: MemoJob) -> list[Attempt]:
        async with self.database.read() as tx:
            return list(await tx.attempts.list(job.job_id, job.user_id))

    async def state(self, job: MemoJob) -> JobState | None:
        async with self.database.read() as tx:
            return await tx.jobs.state(job.job_id, job.user_id)

    async def balance(self, job: MemoJob) -> Balance:
        async with self.database.read() as tx:
            return await tx.credits.balance(job.user_id)

    async def move(self, job: MemoJob, to: JobState) -> None:
        failure = JobFailure(code="x", message="x") if to is JobState.FAILED else None
        async with self.database.write() as tx:
            await tx.jobs.move(job.job_id, job.user_id, to, step=Step.DONE, failure=failure)

    async def measure(self, job: MemoJob, seconds: float) -> None:
        facts: AudioFacts = FACTS.model_copy(update={"seconds": seconds})
        async with self.database.write() as tx:
            await tx.media.save_facts(job.audio_path, job.user_id, job.memo_id, facts)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(tmp_path: Path, clock: Clock) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'voicekeep.db'}", starting_credits=150, clock=clock)
    schema.jobs.metadata.create_all(database.engines[0])
    yield database
    await database.close()


@pytest.fixture
def bench(database: Database, clock: Clock) -> Bench:
    return Bench(database, clock)


def order_of(job: MemoJob, tier: PlannedTier = OUTSIDE) -> TranscribeTier:
    return TranscribeTier(job=job, tier=tier, key=job.audio_path, facts=FACTS)


async def test_the_tier_that_waits_is_one_open_attempt_however_often_it_begins(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    for _ in range(2):
        assert await bench.outside.await_outside(order_of(job)) is None
    (attempt,) = await bench.attempts(job)
    assert (attempt.tier, attempt.provider, attempt.outcome) == ("external", "external", None)


async def test_a_failure_reported_before_is_told_when_the_tier_begins(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    await bench.fail(job)
    told = await bench.outside.await_outside(order_of(job))
    assert told == OutsideReport(round=1, success=False, code="external_failed")
    await bench.outside.end_outside(EndOutside(job=job, end=OutsideEnd.FAILED))
    (attempt,) = await bench.attempts(job)
    assert (attempt.provider, attempt.outcome, attempt.error_code, attempt.error_message) == (
        "elsewhere",
        "failed",
        "external_failed",
        "It broke",
    )


@pytest.mark.parametrize(
    ("end", "code", "outcome"),
    [
        (OutsideEnd.SILENT, "external_timed_out", "failed"),
        (OutsideEnd.CANCELLED, None, "cancelled"),
    ],
)
async def test_a_wait_in_vain_says_why(
    bench: Bench, new_memo: NewMemo, end: OutsideEnd, code: str | None, outcome: str
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    await bench.outside.await_outside(order_of(job))
    for _ in range(2):
        await bench.outside.end_outside(EndOutside(job=job, end=end))
    (attempt,) = await bench.attempts(job)
    assert (attempt.outcome, attempt.error_code) == (outcome, code)


async def test_a_report_is_taken_over_once_for_the_measured_seconds(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=600)
    await bench.memo.reserve(job)
    await bench.measure(job, 61)
    await bench.outside.await_outside(order_of(job))
    await bench.report(job, seconds=9000)
    first, again = [await bench.outside.adopt_outside(job) for _ in range(2)]
    assert first == again
    assert (first.tier, first.seconds, first.words) == ("external", 61, 2)
    assert (await bench.balance(job)).held == 3
    (attempt,) = await bench.attempts(job)
    assert (attempt.tier, attempt.provider, attempt.outcome) == (
        "external",
        "elsewhere",
        "succeeded",
    )
    assert await told_after(bench) == 0


async def test_a_report_that_costs_more_than_is_free_is_not_published(
    bench: Bench, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo(claimed_seconds=60)
    await bench.memo.reserve(job)
    await bench.report(job, seconds=7200)
    with pytest.raises(InsufficientCredits):
        await bench.outside.adopt_outside(job)
    async with database.read() as tx:
        memo = await tx.memos.find(job.memo_id, job.user_id)
        assert await tx.transcripts.find(job.job_id, job.user_id) is None
        assert await tx.outside.transcript(job.job_id, job.user_id) is not None
    assert memo is not None
    assert "transcript" not in memo.source


async def test_a_report_after_a_tiers_transcript_is_a_superseded_attempt(
    bench: Bench, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    async with database.write() as tx:
        call, _ = await VendorCall.begin(database, tx, order_of(job, OURS))
    await call.succeeded(join_parts([part(0, 90, "ours was first")], 90))
    await bench.report(job)
    assert (await bench.outside.adopt_outside(job)).tier == "openai"
    outcomes = [(one.tier, one.outcome) for one in await bench.attempts(job)]
    assert outcomes == [("openai", "succeeded"), ("external", "superseded")]


async def test_a_tiers_answer_after_a_report_is_a_superseded_attempt(
    bench: Bench, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    async with database.write() as tx:
        call, _ = await VendorCall.begin(database, tx, order_of(job, OURS))
    await bench.report(job)
    await bench.outside.adopt_outside(job)
    assert (await call.succeeded(join_parts([part(0, 90, "too late")], 90))).tier == "external"
    outcomes = {one.tier: one.outcome for one in await bench.attempts(job)}
    assert outcomes == {"openai": "superseded", "external": "succeeded"}
    async with database.read() as tx:
        assert (await tx.transcripts.load(job.job_id, job.user_id)).text == "two words"


async def test_a_chunk_after_a_report_is_superseded_and_leaves_no_part(
    bench: Bench, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    async with database.write() as tx:
        call, _ = await VendorCall.begin(database, tx, order_of(job, OURS))
    await bench.report(job)
    await bench.outside.adopt_outside(job)
    await call.kept("chunks", TranscriptPart(start=0, end=30))
    async with database.read() as tx:
        assert await tx.transcripts.parts(job.job_id, job.user_id, "chunks") == []


async def test_nothing_reported_and_a_job_that_has_ended_are_no_transcript(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    with pytest.raises(NotFound):
        await bench.outside.adopt_outside(job)
    await bench.report(job)
    await bench.move(job, JobState.CANCELLED)
    with pytest.raises(Conflict):
        await bench.outside.adopt_outside(job)


async def late(bench: Bench, job: MemoJob) -> MemoJob:
    """The job's next round, after a report that came too late for the first."""
    await bench.memo.reserve(job)
    await bench.memo.end(
        EndMemo(job=job, state=JobState.FAILED, failure=JobFailure(code="x", message="x"))
    )
    await bench.report(job, due=False)
    async with bench.database.write() as tx:
        found = await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=60)
    return MemoJob.model_validate(found.request)


async def test_the_next_round_begins_with_what_was_reported_late_and_is_charged_once(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=600)
    await bench.measure(job, 61)
    again = await late(bench, job)
    first, reserved = [await bench.memo.reserve(again) for _ in range(2)]
    result = reserved.result
    assert first.result == result
    assert result is not None
    assert (reserved.held, result.tier, result.seconds) == (3, "external", 61)
    order = SettleMemo(job=again, transcript=result, seconds=result.seconds)
    assert (await bench.memo.settle(order)).charged == 3
    await bench.memo.end(EndMemo(job=again, state=JobState.COMPLETED))
    balance = await bench.balance(job)
    assert (balance.total_spent, balance.held) == (3, 0)


async def test_a_running_job_is_told_again_until_it_has_taken_over(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    bench.starter.live.add(job.job_id)
    await bench.report(job)
    assert await told_after(bench) == 1
    assert bench.starter.signals == [
        (job.job_id, "external_transcript", OutsideReport(round=1, success=True))
    ]
    await bench.outside.adopt_outside(job)
    assert await told_after(bench) == 0


async def test_a_failure_is_told_once(database: Database, bench: Bench, new_memo: NewMemo) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    bench.starter.live.add(job.job_id)
    await bench.fail(job)
    assert [await told_after(bench) for _ in range(2)] == [1, 0]


async def test_a_late_success_that_nobody_started_is_started_by_the_next_tick(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    await bench.report(job)
    await bench.memo.end(
        EndMemo(job=job, state=JobState.FAILED, failure=JobFailure(code="x", message="x"))
    )
    assert await told_after(bench) == 1
    ((kind, job_id, _, request),) = bench.starter.started
    assert (kind, job_id, request["round"]) == (ids.MEMO, job.job_id, 2)
    assert await bench.state(job) is JobState.QUEUED
    assert await told_after(bench) == 0


async def test_a_report_for_a_memo_that_has_ended_is_forgotten_with_its_words(
    database: Database, bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    await bench.report(job)
    await bench.move(job, JobState.CANCELLED)
    assert await told_after(bench) == 0
    async with database.read() as tx:
        assert await tx.outside.transcript(job.job_id, job.user_id) is None
    assert bench.starter.signals == []


async def test_temporal_away_loses_no_report(bench: Bench, new_memo: NewMemo) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    bench.starter.live.add(job.job_id)
    await bench.report(job)
    bench.starter.failure = Unavailable("Temporal does not answer")
    with pytest.raises(Unavailable):
        await told_after(bench)
    bench.starter.failure = None
    assert await told_after(bench) == 1


async def told_after(bench: Bench) -> int:
    """What the tick of a day later tells."""
    bench.clock.ahead += timedelta(days=1)
    return await ActivityEnvironment().run(bench.delivery.deliver)
