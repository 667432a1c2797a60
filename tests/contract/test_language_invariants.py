"""What must hold of language jobs is checked, and told when it does not."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from contracts import ids
from contracts.jobs import JobState, Step
from contracts.language import Usage, Use
from contracts.language_job import LanguageJob, LanguageOrder, WrittenRef
from contracts.memo import MemoJob
from store.database import Database
from store.invariants import violations

NewMemo = Callable[..., Awaitable[MemoJob]]
REF = WrittenRef(tier="t", provider="p", engine="e", characters_read=1, characters_total=1)


async def written(database: Database, memo: MemoJob, *, price: int, settled: bool) -> LanguageJob:
    job = LanguageJob(
        job_id=ids.language_job(Use.QUESTION, str(uuid4())),
        use=Use.QUESTION,
        user_id=memo.user_id,
        subject_id=memo.memo_id,
        memo_ids=(memo.memo_id,),
        price=price,
    )
    own = (job.job_id, job.user_id)
    async with database.write() as tx:
        await tx.jobs.create(
            *own,
            kind=job.use,
            subject_id=job.subject_id,
            request=job.model_dump(mode="json"),
            deadline_seconds=60,
        )
        await tx.language.order(job, LanguageOrder())
        await tx.jobs.move(*own, JobState.RUNNING, step=Step.WRITE)
        await tx.language.written(*own, REF, Usage())
        if settled:
            key = ids.step_key(job.job_id, "settle")
            await tx.credits.settle(job.user_id, job.job_id, key, 5, operation="question")
        await tx.jobs.move(*own, JobState.COMPLETED, step=Step.DONE)
    return job


async def told(database: Database) -> set[tuple[str, str]]:
    return {(each.invariant, each.subject) async for each in violations(database)}


async def test_a_job_that_was_written_and_charged_breaks_nothing(
    database: Database, new_memo: NewMemo
) -> None:
    memo = await new_memo()
    await written(database, memo, price=5, settled=True)
    await written(database, memo, price=0, settled=False)
    assert await told(database) == set()


async def test_what_was_written_and_not_charged_is_told(
    database: Database, new_memo: NewMemo
) -> None:
    job = await written(database, await new_memo(), price=5, settled=False)
    assert await told(database) == {("charged_once", job.job_id)}


async def test_a_charge_for_what_was_free_is_told(database: Database, new_memo: NewMemo) -> None:
    job = await written(database, await new_memo(), price=0, settled=True)
    assert await told(database) == {("charged_once", job.job_id)}


async def test_notes_that_outlived_their_job_are_told(
    database: Database, new_memo: NewMemo
) -> None:
    job = await written(database, await new_memo(), price=5, settled=True)
    async with database.write() as tx:
        await tx.language.keep_notes(job.job_id, job.user_id, "k", "notes")
    assert await told(database) == {("no_orphans", job.job_id)}
