import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.errors import Conflict, InvalidInput, NotFound
from contracts.headline import Headline
from contracts.memo import Memo, MemoJob, MemoStatus
from contracts.paging import Cursor
from store.database import Database, Transaction

NewMemo = Callable[..., Awaitable[MemoJob]]
Opened = Callable[..., Database]

HEADLINE = Headline(title="A title", intro="One. Two.", engine="test 1")


async def create(tx: Transaction, memo_id: str, user: str, **source: object) -> Memo:
    return await tx.memos.create(
        memo_id,
        user,
        title="New recording",
        title_by_user=False,
        source=source,
        metadata={"recordingLanguages": ["de-DE", "en-US"]},
        job_id=f"memo-{memo_id}",
    )


async def test_a_memo_comes_back_as_it_was_created(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(title="Grüße 🎧")
    async with database.read() as tx:
        memo = await tx.memos.find(job.memo_id, user)
    assert memo is not None
    assert (memo.id, memo.user_id, memo.job_id) == (job.memo_id, user, job.job_id)
    assert memo.title == "Grüße 🎧"
    assert memo.source == {"audio_path": job.audio_path, "duration": 60}
    assert memo.status is MemoStatus.PENDING
    assert memo.created_at.tzinfo is not None
    assert (memo.is_pinned, memo.is_archived, memo.is_public) == (False, False, False)


async def test_an_id_that_is_taken_is_told_apart_only_to_its_owner(
    database: Database, user: str
) -> None:
    memo_id = str(uuid4())
    async with database.write() as tx:
        await create(tx, memo_id, user)
        with pytest.raises(Conflict) as own:
            await create(tx, memo_id, user)
        with pytest.raises(NotFound):
            await create(tx, memo_id, str(uuid4()))
    assert own.value.code == "memo_exists"


async def test_memos_of_others_are_not_there(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = await new_memo(), str(uuid4())
    async with database.write() as tx:
        assert await tx.memos.find(job.memo_id, other) is None
        assert await tx.memos.language(job.memo_id, other) is None
        assert not await tx.memos.mark_deleted(job.memo_id, other)
        await tx.memos.set_processing(job.memo_id, other, "transcription", MemoStatus.FAILED)
        await tx.memos.save_headline(job.memo_id, other, HEADLINE)
        await tx.memos.erase(job.memo_id, other)
        with pytest.raises(NotFound):
            await tx.memos.patch(job.memo_id, other, title="Mine")
        memo = await tx.memos.find(job.memo_id, user)
    assert memo is not None
    assert (memo.status, memo.title) == (MemoStatus.PENDING, "New recording")


async def test_a_memo_shared_by_a_space_is_found_by_its_members_alone(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, space, member, stranger = await new_memo(), *(str(uuid4()) for _ in range(3))
    async with database.write() as tx:
        await tx.spaces.create(space, user, "Team", None)
        await tx.spaces.join(space, member)
        await tx.spaces.link(job.memo_id, space, user)
        assert await tx.memos.find(job.memo_id, member) is not None
        assert await tx.memos.find(job.memo_id, stranger) is None
        shared = await tx.memos.page(member, limit=10)
        assert [memo.id for memo in shared.memos] == [job.memo_id]
        assert shared.total == 1
        await tx.memos.mark_deleted(job.memo_id, user)
        assert await tx.memos.find(job.memo_id, member) is None
        assert (await tx.memos.page(member, limit=10)).total == 0


async def fill(opened: Opened, user: str, count: int) -> list[str]:
    """Memos, two of which at a time are of one moment; newest first."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    clock = (begin + timedelta(seconds=number // 2) for number in range(count))
    database = opened(clock=lambda: next(clock))
    made: list[tuple[datetime, str]] = []
    for _ in range(count):
        async with database.write() as tx:
            memo = await create(tx, str(uuid4()), user)
        made.append((memo.created_at, memo.id))
    return [memo_id for _, memo_id in sorted(made, reverse=True)]


async def test_pages_by_cursor_hold_every_memo_once_and_newest_first(
    opened: Opened, database: Database, user: str
) -> None:
    expected = await fill(opened, user, 11)
    await fill(opened, str(uuid4()), 3)
    found: list[str] = []
    after: Cursor | None = None
    async with database.read() as tx:
        while True:
            page = await tx.memos.page(user, limit=4, after=after)
            found += [memo.id for memo in page.memos]
            assert page.total == (11 if after is None else None)
            if page.next is None:
                break
            after = Cursor.decode(page.next.encode())
    assert found == expected


async def test_pages_by_offset_hold_every_memo_once_and_newest_first(
    opened: Opened, database: Database, user: str
) -> None:
    expected = await fill(opened, user, 7)
    async with database.read() as tx:
        pages = [await tx.memos.page(user, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [memo.id for page in pages for memo in page.memos] == expected
    assert [page.total for page in pages] == [7] * 4
    assert [page.next is None for page in pages] == [False, False, True, True]


async def test_own_and_shared_memos_are_sorted_together(
    opened: Opened, database: Database, user: str
) -> None:
    other, space = str(uuid4()), str(uuid4())
    ids_of_other = await fill(opened, other, 3)
    own = await fill(opened, user, 3)
    async with database.write() as tx:
        await tx.spaces.create(space, other, "Team", None)
        await tx.spaces.join(space, user)
        for memo_id in ids_of_other:
            await tx.spaces.link(memo_id, space, other)
        page = await tx.memos.page(user, limit=10)
    assert {memo.id for memo in page.memos} == {*own, *ids_of_other}
    order = [(memo.created_at, memo.id) for memo in page.memos]
    assert order == sorted(order, reverse=True)
    assert page.total == 6


@pytest.mark.parametrize("text", ["", "x", "AAAA", "MjAyNg", "=", "\u00e9", "MjAyNi0wMS0wMSBhLTE"])
def test_a_cursor_of_somebody_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Cursor.decode(text)


async def test_a_deleted_memo_is_gone_at_once_and_counted_no_more(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        assert await tx.memos.mark_deleted(job.memo_id, user)
        assert not await tx.memos.mark_deleted(job.memo_id, user)
    async with database.read() as tx:
        assert await tx.memos.find(job.memo_id, user) is None
        page = await tx.memos.page(user, limit=10)
    assert (page.memos, page.total) == ((), 0)


async def test_a_patch_changes_what_is_given_and_nothing_else(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        pinned = await tx.memos.patch(job.memo_id, user, is_pinned=True)
        named = await tx.memos.patch(job.memo_id, user, title="By hand", intro="Mine")
        await tx.memos.save_headline(job.memo_id, user, HEADLINE)
        memo = await tx.memos.find(job.memo_id, user)
    assert (pinned.is_pinned, pinned.title) == (True, "New recording")
    assert (named.is_pinned, named.title, named.intro) == (True, "By hand", "Mine")
    assert memo is not None
    assert memo.title == "By hand"


async def test_a_headline_replaces_the_title_nobody_wrote(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        await tx.memos.save_headline(job.memo_id, user, HEADLINE)
        memo = await tx.memos.find(job.memo_id, user)
    assert memo is not None
    assert (memo.title, memo.intro) == ("A title", "One. Two.")


async def test_processing_is_merged_key_by_key(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        await tx.memos.set_processing(
            job.memo_id, user, "transcription", MemoStatus.FAILED, error="no", jobId=job.job_id
        )
        await tx.memos.set_processing(
            job.memo_id, user, "headline_and_intro", MemoStatus.PENDING, attempts=[1, {"a": None}]
        )
        await tx.memos.set_processing(
            job.memo_id, user, "transcription", MemoStatus.COMPLETED, error=None
        )
        memo = await tx.memos.find(job.memo_id, user)
    assert memo is not None
    processing = memo.metadata["processing"]
    assert memo.status is MemoStatus.COMPLETED
    assert processing["transcription"]["error"] is None
    assert processing["transcription"]["jobId"] == job.job_id
    assert datetime.fromisoformat(processing["transcription"]["updated_at"]).tzinfo is not None
    assert processing["headline_and_intro"]["attempts"] == [1, {"a": None}]


async def test_writers_of_different_keys_never_undo_one_another(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()

    async def write(number: int) -> None:
        async with database.write() as tx:
            await tx.memos.set_processing(
                job.memo_id, user, f"p{number % 5}", MemoStatus.COMPLETED, **{f"k{number}": number}
            )

    await asyncio.gather(*(write(number) for number in range(40)))
    async with database.read() as tx:
        memo = await tx.memos.find(job.memo_id, user)
    assert memo is not None
    kept = {key for part in memo.metadata["processing"].values() for key in part if key[0] == "k"}
    assert kept == {f"k{number}" for number in range(40)}


async def test_the_language_found_comes_before_the_one_asked_for(
    database: Database, user: str
) -> None:
    asked, found, neither = (str(uuid4()) for _ in range(3))
    async with database.write() as tx:
        await create(tx, asked, user)
        await create(tx, found, user, primary_language="fr-FR")
        assert await tx.memos.language(asked, user) == "de-DE"
        assert await tx.memos.language(found, user) == "fr-FR"
        assert await tx.memos.language(neither, user) is None


async def test_what_is_written_to_an_erased_memo_is_written_to_nothing(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        await tx.memos.erase(job.memo_id, user)
        await tx.memos.set_processing(job.memo_id, user, "transcription", MemoStatus.FAILED)
        await tx.memos.save_headline(job.memo_id, user, HEADLINE)
        assert await tx.memos.find(job.memo_id, user) is None
        assert (await tx.memos.page(user, limit=5)).total == 0
