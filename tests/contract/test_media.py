from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from contracts.audio import AudioFacts, MediaKind, OwnedKey
from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store.database import Database

NewMemo = Callable[..., Awaitable[MemoJob]]
Opened = Callable[..., Database]

FACTS = AudioFacts(
    container="mov", codec="aac", seconds=61.5, sample_rate=44_100, channels=2, size=3_000_000_000
)


async def test_files_of_a_memo_are_those_no_other_memo_plays(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    first = await new_memo()
    second_id, second_key = str(uuid4()), f"{user}/x/appended.m4a"
    async with database.write() as tx:
        await tx.media.add(
            second_key, user, kind=MediaKind.UPLOAD, memo_id=first.memo_id, job_id=None
        )
        # A second memo over the first one's audio.
        await tx.memos.create(
            second_id,
            user,
            title="Again",
            title_by_user=False,
            source={"audio_path": first.audio_path},
            metadata={},
            job_id=f"memo-{second_id}",
        )
        assert await tx.media.of_memo(first.memo_id, user) == [second_key]
        assert await tx.media.of_memo(second_id, user) == []
        await tx.memos.mark_deleted(first.memo_id, user)
        assert await tx.media.of_memo(second_id, user) == [first.audio_path]
        await tx.memos.erase(first.memo_id, user)
        await tx.media.remove(second_key, user)
        assert await tx.media.of_memo(second_id, user) == [first.audio_path]


async def test_two_memos_over_one_file_that_are_deleted_together_leave_none(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    first, second_id = await new_memo(), str(uuid4())
    async with database.write() as tx:
        await tx.memos.create(
            second_id,
            user,
            title="Again",
            title_by_user=False,
            source={"audio_path": first.audio_path},
            metadata={},
            job_id=f"memo-{second_id}",
        )
        await tx.memos.mark_deleted(first.memo_id, user)
        await tx.memos.mark_deleted(second_id, user)
        assert await tx.media.of_memo(first.memo_id, user) == [first.audio_path]
        assert await tx.media.of_memo(second_id, user) == [first.audio_path]


async def test_work_files_are_found_by_their_job(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = await new_memo(running=True), str(uuid4())
    work = f"{user}/{job.memo_id}/work/{job.job_id}.wav"
    async with database.write() as tx:
        for _ in range(2):
            await tx.media.add(
                work, user, kind=MediaKind.WORK, memo_id=job.memo_id, job_id=job.job_id
            )
        assert await tx.media.of_job(job.job_id, user, MediaKind.WORK) == [work]
        assert await tx.media.of_job(job.job_id, user, MediaKind.UPLOAD) == []
        assert await tx.media.of_job(job.job_id, other, MediaKind.WORK) == []
        await tx.media.remove(work, other)
        assert await tx.media.of_job(job.job_id, user, MediaKind.WORK) == [work]
        await tx.media.remove(work, user)
        assert await tx.media.of_job(job.job_id, user, MediaKind.WORK) == []


async def test_facts_are_kept_for_a_file_with_and_without_a_row(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    unseen = f"{user}/{job.memo_id}/arrived-by-itself.m4a"
    async with database.write() as tx:
        await tx.media.save_facts(job.audio_path, user, job.memo_id, FACTS)
        await tx.media.save_facts(unseen, user, job.memo_id, FACTS)
        await tx.media.save_facts(unseen, user, job.memo_id, FACTS)
        keys = await tx.media.of_memo(job.memo_id, user)
    assert sorted(keys) == sorted([job.audio_path, unseen])


async def test_only_what_nothing_will_come_back_for_is_abandoned(
    opened: Opened, user: str, new_memo: NewMemo
) -> None:
    now = datetime.now(UTC)
    later = opened(clock=lambda: now + timedelta(hours=2))
    ended, running = await new_memo(running=True), await new_memo(running=True)
    never = f"{user}/{uuid4()}/never-a-memo.m4a"
    soon = f"{user}/{uuid4()}/still-coming.m4a"
    async with opened().write() as tx:
        for job in (ended, running):
            key = f"{user}/{job.memo_id}/work/x.wav"
            await tx.media.add(
                key, user, kind=MediaKind.WORK, memo_id=job.memo_id, job_id=job.job_id
            )
        await tx.media.add(never, user, kind=MediaKind.UPLOAD, memo_id=str(uuid4()), job_id=None)
        await tx.jobs.move(ended.job_id, user, JobState.FAILED, step=Step.DONE)
    async with later.write() as tx:
        await tx.media.add(soon, user, kind=MediaKind.UPLOAD, memo_id=str(uuid4()), job_id=None)
        found = await tx.media.abandoned(older_than_seconds=3600, limit=10)
        page = await tx.media.abandoned(older_than_seconds=3600, limit=1)
    expected = [f"{user}/{ended.memo_id}/work/x.wav", never]
    assert sorted(found, key=lambda owned: owned.key) == [
        OwnedKey(key=key, user_id=user) for key in sorted(expected)
    ]
    assert len(page) == 1
