"""A sound database breaks no promise, and each broken one is told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, text, update

from contracts.audio import MediaKind
from contracts.invariants import Invariant
from contracts.jobs import JobFailure, JobState, Step
from contracts.memo import MemoJob, MemoStatus
from contracts.tiers import AttemptOutcome
from contracts.transcript import Transcript
from store import invariant_checks
from store.database import Database
from store.files_disk import DiskFiles
from store.invariants import violations
from store.ledger import credit_accounts, credit_entries, credit_holds
from store.schema import attempts, job_events, jobs, memo_counts, memos, transcripts

NewMemo = Callable[..., Awaitable[MemoJob]]
Change = Callable[[MemoJob], Any]

FAILURE = JobFailure(code="x", message="x")


async def stream(content: bytes = b"sound") -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
def files(tmp_path: Path) -> DiskFiles:
    return DiskFiles(tmp_path / "files", reserve_bytes=0)


async def end(database: Database, job: MemoJob, state: JobState) -> None:
    """Bring a running memo to its end, as the workflow does."""
    own = (job.job_id, job.user_id)
    statuses = {JobState.COMPLETED: MemoStatus.COMPLETED, JobState.FAILED: MemoStatus.FAILED}
    async with database.write() as tx:
        await tx.credits.hold(job.user_id, job.job_id, f"{job.job_id}:hold", 4)
        number = await tx.attempts.begin(*own, "local", "p", 1)
        await tx.attempts.end(*own, number, AttemptOutcome.SUCCEEDED, seconds=1)
        if state is JobState.COMPLETED:
            said = Transcript(text="hello", seconds=60)
            await tx.transcripts.save(*own, job.memo_id, "local", said)
            await tx.credits.settle(
                job.user_id, job.job_id, f"{job.job_id}:settle", 4, operation="transcription"
            )
        else:
            await tx.credits.release(job.user_id, job.job_id, f"{job.job_id}:release")
        await tx.memos.set_processing(job.memo_id, job.user_id, "transcription", statuses[state])
        failure = FAILURE if state is JobState.FAILED else None
        await tx.jobs.move(*own, state, step=Step.DONE, failure=failure)


async def test_a_sound_database_breaks_no_promise(
    database: Database,
    files: DiskFiles,
    user: str,
    new_memo: NewMemo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invariant_checks, "PAGE", 2)
    memos_made = [await new_memo(running=True) for _ in range(5)]
    memos_made += [await new_memo(str(uuid4()), running=True) for _ in range(3)]
    for number, job in enumerate(memos_made):
        await files.put(job.audio_path, stream(), media_type="audio/mp4")
        await end(database, job, JobState.FAILED if number % 2 else JobState.COMPLETED)
    again = memos_made[1]
    async with database.write() as tx:
        await tx.jobs.requeue(again.job_id, user, deadline_seconds=60)
    await new_memo()
    open_upload = await new_memo(running=True)
    async with database.write() as tx:
        await tx.credits.hold(user, open_upload.job_id, "hold", 3)
    found = [v async for v in violations(database, files)]
    assert {violation.what for violation in found} == {"The file of a memo is not there"}
    assert len(found) == 2


def _job(**values: Any) -> Change:
    return lambda job: update(jobs).where(jobs.c.id == job.job_id).values(**values)


def _entry(**values: Any) -> Change:
    return lambda job: (
        update(credit_entries)
        .where(credit_entries.c.key == f"{job.job_id}:settle")
        .values(**values)
    )


def _hold(**values: Any) -> Change:
    return lambda job: (
        update(credit_holds).where(credit_holds.c.job_id == job.job_id).values(**values)
    )


def _event(seq: int, **values: Any) -> Change:
    return lambda job: (
        update(job_events)
        .where(job_events.c.job_id == job.job_id, job_events.c.seq == seq)
        .values(**values)
    )


BREAKS: dict[str, tuple[Change, Invariant]] = {
    "an entry that was changed": (_entry(balance_delta=-3), Invariant.LEDGER),
    "a hold that was not given back": (_entry(held_delta=-3), Invariant.LEDGER),
    "an entry that was removed": (
        lambda job: delete(credit_entries).where(credit_entries.c.key == f"{job.job_id}:settle"),
        Invariant.LEDGER,
    ),
    "a balance nobody earned": (
        lambda job: (
            update(credit_accounts)
            .where(credit_accounts.c.account_id == job.user_id)
            .values(balance=999, total_earned=1003)
        ),
        Invariant.LEDGER,
    ),
    "credits held by nobody": (
        lambda job: (
            update(credit_accounts)
            .where(credit_accounts.c.account_id == job.user_id)
            .values(held=1)
        ),
        Invariant.LEDGER,
    ),
    "a hold of an ended job": (
        _hold(state="open", charged=0, ended_by=None),
        Invariant.CHARGED_ONCE,
    ),
    "a charge of a job without speech": (
        _job(state=JobState.COMPLETED_NO_TRANSCRIPT),
        Invariant.CHARGED_ONCE,
    ),
    "a completed job nobody paid for": (
        lambda job: delete(credit_holds).where(credit_holds.c.job_id == job.job_id),
        Invariant.CHARGED_ONCE,
    ),
    "a job open past its deadline": (
        lambda job: text(
            f"UPDATE jobs SET state = 'running', deadline_at = created_at WHERE id = '{job.job_id}'"  # noqa: S608 - of this test
        ),
        Invariant.ENDS,
    ),
    "a memo without its job": (
        lambda job: delete(jobs).where(jobs.c.id == job.job_id),
        Invariant.EXISTS,
    ),
    "a memo that tells another state": (
        lambda job: (
            update(memos).where(memos.c.id == job.memo_id).values(metadata={"processing": {}})
        ),
        Invariant.EXISTS,
    ),
    "a completed memo without transcript": (
        lambda job: delete(transcripts).where(transcripts.c.job_id == job.job_id),
        Invariant.EXISTS,
    ),
    "a deleted memo that nothing erases": (
        lambda job: text(
            f"UPDATE memos SET deleted_at = created_at WHERE id = '{job.memo_id}'"  # noqa: S608 - of this test
        ),
        Invariant.EXISTS,
    ),
    "memos counted wrongly": (
        lambda job: update(memo_counts).where(memo_counts.c.user_id == job.user_id).values(memos=7),
        Invariant.EXISTS,
    ),
    "an event that is missing": (
        lambda job: delete(job_events).where(
            job_events.c.job_id == job.job_id, job_events.c.seq == 2
        ),
        Invariant.TRANSITIONS,
    ),
    "an event that is too many": (
        lambda job: insert(job_events).from_select(
            ["job_id", "user_id", "seq", "type", "data", "at"],
            text(
                "SELECT job_id, user_id, 4, 'progress', data, at FROM job_events"  # noqa: S608 - of this test
                f" WHERE job_id = '{job.job_id}' AND seq = 3"
            ).columns(*(column for column in job_events.c if column.name != "id")),
        ),
        Invariant.TRANSITIONS,
    ),
    "a move that is not allowed": (
        _event(2, data={"state": "completed"}),
        Invariant.TRANSITIONS,
    ),
    "a state that no event tells": (_job(state=JobState.CANCELLED), Invariant.TRANSITIONS),
    "a job that ends before it began": (
        lambda job: text(
            "UPDATE jobs SET started_at = updated_at, finished_at = created_at"  # noqa: S608 - of this test
            f" WHERE id = '{job.job_id}'"
        ),
        Invariant.TIME,
    ),
    "a call that took less than no time": (
        lambda job: update(attempts).where(attempts.c.job_id == job.job_id).values(seconds=-1),
        Invariant.TIME,
    ),
    "events that run backwards": (
        lambda job: text(
            "UPDATE job_events SET at = (SELECT at FROM job_events AS e WHERE e.seq = 3"  # noqa: S608 - of this test
            f" AND e.job_id = '{job.job_id}') WHERE job_id = '{job.job_id}' AND seq = 1"
        ),
        Invariant.TIME,
    ),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_promise_is_told(database: Database, new_memo: NewMemo, name: str) -> None:
    change, broken = BREAKS[name]
    job = await new_memo(running=True)
    await end(database, job, JobState.COMPLETED)
    assert [v async for v in violations(database)] == []
    async with database.write() as tx:
        await tx.session.run(change(job))
    assert broken in {v.invariant async for v in violations(database)}


async def test_files_and_rows_that_do_not_belong_to_each_other_are_told(
    database: Database, files: DiskFiles, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    work, orphan = f"{user}/{job.memo_id}/work/x.wav", f"{user}/{job.memo_id}/orphan.m4a"
    async with database.write() as tx:
        await tx.media.add(work, user, kind=MediaKind.WORK, memo_id=job.memo_id, job_id=job.job_id)
    for key in (job.audio_path, work):
        await files.put(key, stream(), media_type="audio/mp4")
    assert [v async for v in violations(database, files)] == []
    await end(database, job, JobState.COMPLETED)
    await files.put(orphan, stream(), media_type="audio/mp4")
    await files.delete(job.audio_path)
    found = {(v.subject, v.what) async for v in violations(database, files)}
    assert found == {
        (job.audio_path, "The file of a memo is not there"),
        (work, "A work file outlived its job"),
        (orphan, "The file belongs to nothing"),
    }
    settling = [v async for v in violations(database, files, settling_seconds=60)]
    assert work not in {violation.subject for violation in settling}
