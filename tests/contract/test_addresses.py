"""Addresses recordings are fetched from: kept while their job needs them."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from contracts.audio import MediaKind
from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store.database import Database

NewMemo = Callable[..., Awaitable[MemoJob]]


async def test_an_address_is_its_owners_and_a_later_one_takes_its_place(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = await new_memo(), str(uuid4())
    async with database.write() as tx:
        await tx.addresses.keep(job.job_id, user, "plain:first")
        assert await tx.addresses.in_vain(job.job_id, user) == 1
        assert await tx.addresses.in_vain(job.job_id, user) == 2
        await tx.addresses.keep(job.job_id, other, "plain:stolen")
        assert await tx.addresses.find(job.job_id, other) is None
        assert await tx.addresses.find(job.job_id, user) == "plain:first"
        await tx.addresses.keep(job.job_id, user, "plain:second")
        assert await tx.addresses.find(job.job_id, user) == "plain:second"
        assert await tx.addresses.in_vain(job.job_id, user) == 1
        await tx.addresses.forget(job.job_id, other)
        assert await tx.addresses.find(job.job_id, user) == "plain:second"
        await tx.addresses.forget(job.job_id, user)
        assert await tx.addresses.find(job.job_id, user) is None
        assert await tx.addresses.in_vain(job.job_id, user) == 0


async def test_a_fetched_file_takes_the_place_of_the_address(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    key = f"{user}/{job.memo_id}/audio.wav"
    async with database.write() as tx:
        await tx.addresses.keep(job.job_id, user, "plain:x")
        await tx.media.add(key, user, kind=MediaKind.WORK, memo_id=job.memo_id, job_id=job.job_id)
        await tx.addresses.fetched(job, key, media_type="audio/wav", size=3_000_000_000)
    async with database.read() as tx:
        memo = await tx.memos.find(job.memo_id, user)
        found = await tx.jobs.find(job.job_id, user)
        assert await tx.addresses.find(job.job_id, user) is None
        assert await tx.media.of_job(job.job_id, user, MediaKind.WORK) == []
        assert key in await tx.media.of_memo(job.memo_id, user)
        assert await tx.media.abandoned(older_than_seconds=-1, limit=10) == []
    assert memo is not None
    assert found is not None
    assert memo.source == {"audio_path": key, "duration": 60, "media_type": "audio/wav"}
    assert (found.request["audio_path"], found.request["fetch"]) == (key, False)
    assert found.request["memo_id"] == job.memo_id


async def test_addresses_of_jobs_that_have_ended_or_are_gone_are_forgotten(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    ended, withdrawn, open_job = await new_memo(running=True), await new_memo(), await new_memo()
    async with database.write() as tx:
        for job in (ended, withdrawn, open_job):
            await tx.addresses.keep(job.job_id, user, "plain:x")
        await tx.jobs.move(ended.job_id, user, JobState.FAILED, step=Step.DONE)
        assert await tx.jobs.withdraw(withdrawn.job_id, user)
        assert await tx.addresses.find(withdrawn.job_id, user) is None
        assert await tx.addresses.forget_ended() == 1
        assert await tx.addresses.find(ended.job_id, user) is None
        assert await tx.addresses.find(open_job.job_id, user) == "plain:x"
