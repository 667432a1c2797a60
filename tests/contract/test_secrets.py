"""Secrets users gave for one job: their owner's, and gone with the job."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store.database import Database
from store.invariants import violations

NewMemo = Callable[..., Awaitable[MemoJob]]


async def test_a_secret_is_its_owners_and_that_of_a_later_round_takes_its_place(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = await new_memo(), str(uuid4())
    async with database.write() as tx:
        assert await tx.secrets.find(job.job_id, user) is None
        await tx.secrets.keep(job.job_id, user, "first")
        await tx.secrets.keep(job.job_id, other, "stolen")
        assert await tx.secrets.find(job.job_id, other) is None
        assert await tx.secrets.find(job.job_id, user) == "first"
        await tx.secrets.keep(job.job_id, user, "second")
        assert await tx.secrets.find(job.job_id, user) == "second"
        await tx.secrets.forget(job.job_id, other)
        assert await tx.secrets.find(job.job_id, user) == "second"
        await tx.secrets.forget(job.job_id, user)
        assert await tx.secrets.find(job.job_id, user) is None


async def test_secrets_of_jobs_that_have_ended_or_are_gone_are_forgotten(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    ended, withdrawn, open_job = await new_memo(running=True), await new_memo(), await new_memo()
    async with database.write() as tx:
        for job in (ended, withdrawn, open_job):
            await tx.secrets.keep(job.job_id, user, "sealed")
        await tx.jobs.move(ended.job_id, user, JobState.CANCELLED, step=Step.DONE)
        assert await tx.jobs.withdraw(withdrawn.job_id, user)
        assert await tx.secrets.find(withdrawn.job_id, user) is None
        assert await tx.secrets.forget_ended() == 1
        assert await tx.secrets.find(ended.job_id, user) is None
        assert await tx.secrets.find(open_job.job_id, user) == "sealed"


async def test_a_secret_that_outlived_its_job_is_told(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    ended, open_job = await new_memo(running=True), await new_memo()
    async with database.write() as tx:
        for job in (ended, open_job):
            await tx.secrets.keep(job.job_id, user, "sealed")
        await tx.jobs.move(ended.job_id, user, JobState.CANCELLED, step=Step.DONE)
    told = [each async for each in violations(database) if "secret" in each.what]
    assert [each.subject for each in told] == [ended.job_id]
    async with database.write() as tx:
        await tx.secrets.forget_ended()
    assert not [each async for each in violations(database) if "secret" in each.what]
