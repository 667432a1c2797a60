"""What language jobs are asked for: kept beside their rows, gone with the memos they read."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from contracts import ids
from contracts.errors import NotFound
from contracts.jobs import JobState, Step
from contracts.language import MemoryPrompt, ModelCall, Purpose, Usage, Use
from contracts.language_job import LanguageJob, LanguageOrder, WrittenRef
from contracts.memo import MemoJob
from contracts.memory import NewMemory
from contracts.tiers import AttemptOutcome, Tries
from store.database import Database

NewMemo = Callable[..., Awaitable[MemoJob]]

ORDER = LanguageOrder(
    instruction="Who owns the boat?",
    prompts=(MemoryPrompt(title="Tasks", text="List them", prompt_id="p"),),
    role="You are brief",
    language="de-CH",
    title="Boats",
    metadata={"blueprintId": "b"},
)
REF = WrittenRef(
    memory_ids=("m",), tier="t", provider="p", engine="e", prompt="question.1",
    characters_read=9, characters_total=9, charged=5,
)  # fmt: skip
CALL = ModelCall(number=1, tier="t", provider="p", engine="e", purpose=Purpose.WRITE)


async def ordered(
    database: Database, memo: MemoJob, user_id: str, *more: str, use: Use = Use.QUESTION
) -> LanguageJob:
    job = LanguageJob(
        job_id=ids.language_job(use, str(uuid4())),
        use=use,
        user_id=user_id,
        subject_id=memo.memo_id,
        memo_ids=(memo.memo_id, *more),
        price=5,
    )
    async with database.write() as tx:
        await tx.jobs.create(
            job.job_id,
            user_id,
            kind=use,
            subject_id=job.subject_id,
            request=job.model_dump(mode="json"),
            deadline_seconds=3600,
        )
        await tx.language.order(job, ORDER)
    return job


async def test_an_order_comes_back_as_it_was_given_to_whoever_gave_it(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await ordered(database, await new_memo(), user)
    async with database.read() as tx:
        kept = await tx.language.order_of(job.job_id, user)
        foreign = await tx.language.order_of(job.job_id, str(uuid4()))
    assert kept is not None
    assert (kept.order, kept.written) == (ORDER, None)
    assert foreign is None


async def test_what_was_written_is_recorded_and_its_notes_go(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await ordered(database, await new_memo(), user)
    async with database.write() as tx:
        for notes in ("first", "second"):
            await tx.language.keep_notes(job.job_id, user, "k", notes)
        assert await tx.language.notes(job.job_id, user, "k") == "first"
        assert await tx.language.notes(job.job_id, str(uuid4()), "k") is None
        await tx.language.written(job.job_id, user, REF, Usage(input_tokens=3))
        kept = await tx.language.order_of(job.job_id, user)
        assert await tx.language.notes(job.job_id, user, "k") is None
    assert kept is not None
    assert kept.written == REF


async def test_vain_tries_are_counted_within_their_round(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await ordered(database, await new_memo(), user)
    async with database.write() as tx:
        counts = [await tx.language.count_vain(job.job_id, user, n) for n in (1, 1, 2, 2, 2)]
    assert counts == [1, 2, 1, 2, 3]


async def test_a_withdrawn_job_takes_its_order_with_it(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await ordered(database, await new_memo(), user)
    async with database.write() as tx:
        await tx.language.keep_notes(job.job_id, user, "k", "notes")
        assert await tx.jobs.withdraw(job.job_id, user)
        assert await tx.language.order_of(job.job_id, user) is None
        assert await tx.language.notes(job.job_id, user, "k") is None


async def test_erasing_a_memo_forgets_what_anybody_asked_about_it_and_nothing_else(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    memo, other = await new_memo(), await new_memo()
    mine = await ordered(database, memo, user)
    guest = str(uuid4())
    theirs = await ordered(database, memo, guest)
    both = await ordered(database, other, user, memo.memo_id)
    kept = await ordered(database, other, user)
    async with database.write() as tx:
        for job in (mine, theirs, both, kept):
            await tx.language.keep_notes(job.job_id, job.user_id, "k", "notes")
        await tx.language.keep_notes(memo.job_id, user, "k", "of the headline")
        assert await tx.language.erase(memo.memo_id, guest) == 0
        assert await tx.language.erase(memo.memo_id, user) == 3
        for job in (mine, theirs, both):
            assert await tx.language.order_of(job.job_id, job.user_id) is None
            assert await tx.language.notes(job.job_id, job.user_id, "k") is None
        assert await tx.language.notes(memo.job_id, user, "k") is None
        assert await tx.language.order_of(kept.job_id, user) is not None
        assert await tx.language.notes(kept.job_id, user, "k") == "notes"
        with pytest.raises(NotFound):
            await tx.language.written(mine.job_id, user, REF, Usage())
        with pytest.raises(NotFound):
            await tx.language.count_vain(mine.job_id, user, 1)


async def test_jobs_at_work_on_a_memo_are_known_to_its_owner_whoever_asked(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    memo, other = await new_memo(), await new_memo()
    mine = await ordered(database, memo, user)
    theirs = await ordered(database, other, str(uuid4()), memo.memo_id)
    ended = await ordered(database, memo, user)
    await ordered(database, other, user)
    async with database.write() as tx:
        await tx.jobs.move(ended.job_id, user, JobState.CANCELLED, step=Step.DONE)
        found = await tx.language.at_work_on(memo.memo_id, user)
        assert await tx.language.at_work_on(memo.memo_id, theirs.user_id) == []
    assert {(job.id, job.user_id) for job in found} == {
        (mine.job_id, user),
        (theirs.job_id, theirs.user_id),
    }


async def test_calls_that_overlap_close_none_of_each_other(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await ordered(database, await new_memo(), user)).job_id
    async with database.write() as tx:
        numbers = [
            await tx.attempts.begin_beside(job, user, CALL, round=1, step=Step.NOTES)
            for _ in range(3)
        ]
        await tx.attempts.end(job, user, numbers[1], AttemptOutcome.SUCCEEDED, seconds=1)
        assert [a.outcome for a in await tx.attempts.list(job, user)] == [None, "succeeded", None]
        assert await tx.attempts.close_lost_beside(job, str(uuid4())) == 0
        assert await tx.attempts.close_lost_beside(job, user) == 2
        assert await tx.attempts.close_lost_beside(job, user) == 0
        found = await tx.attempts.list(job, user)
    assert [(a.error_code, a.step) for a in found] == [
        ("worker_lost", "notes"),
        (None, "notes"),
        ("worker_lost", "notes"),
    ]


async def test_calls_for_words_and_for_a_headline_do_not_count_for_one_another(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id
    async with database.write() as tx:
        await tx.attempts.begin(job, user, "t", "p", 1)
        await tx.attempts.begin_beside(job, user, CALL, round=1, step=Step.HEADLINE)
        assert await tx.attempts.close_lost_beside(job, user) == 1
        assert await tx.attempts.tries(job, user, "t", 1) == Tries()
        await tx.attempts.begin_beside(job, user, CALL, round=1, step=Step.HEADLINE)
        await tx.attempts.begin(job, user, "t", "p", 1)
        found = await tx.attempts.list(job, user)
    assert [(a.step, a.error_code) for a in found] == [
        ("transcribe", "worker_lost"),
        ("headline", "worker_lost"),
        ("headline", None),
        ("transcribe", None),
    ]


async def test_a_free_call_is_recorded_when_it_is_over(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = (await new_memo(running=True)).job_id
    over = CALL.model_copy(
        update={"outcome": AttemptOutcome.FAILED, "seconds": 1.5, "code": "c", "message": "m"}
    )
    async with database.write() as tx:
        await tx.attempts.record(job, user, over, round=2, step=Step.WRITE)
        with pytest.raises(NotFound):
            await tx.attempts.record(job, str(uuid4()), over, round=2, step=Step.WRITE)
        (attempt,) = await tx.attempts.list(job, user)
    told = (attempt.outcome, attempt.seconds, attempt.error_code, attempt.error_message)
    assert told == ("failed", 1.5, "c", "m")
    assert (attempt.round, attempt.step) == (2, "write")


async def test_memories_stand_in_the_order_they_were_written_for_whoever_may_read_the_memo(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    memo, guest, space = (await new_memo()).memo_id, str(uuid4()), str(uuid4())

    def new(*titles: str) -> list[NewMemory]:
        return [
            NewMemory(id=str(uuid4()), title=title, content="c", metadata={"type": "memory"})
            for title in titles
        ]

    async with database.write() as tx:
        await tx.memories.add(memo, user, new("a", "b"))
        with pytest.raises(NotFound):
            await tx.memories.add(memo, guest, new("x"))
        assert await tx.memories.list(memo, guest) == []
        await tx.spaces.create(space, user, "Team", None)
        await tx.spaces.link(memo, space, user)
        assert [m.title for m in await tx.memories.list(memo, user, limit=1)] == ["a"]
    async with database.write() as tx:
        await tx.memories.add(memo, user, new("c"))
        found = await tx.memories.list(memo, user)
    assert [(m.title, m.sort_order) for m in found] == [("a", 0), ("b", 1), ("c", 2)]
    assert (found[0].memo_id, found[0].content, found[0].metadata) == (
        memo,
        "c",
        {"type": "memory"},
    )


async def test_a_deleted_memo_gets_no_memories_and_an_erased_one_keeps_none(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    memo = (await new_memo()).memo_id
    written = [NewMemory(id=str(uuid4()), title="t", content="c")]
    async with database.write() as tx:
        await tx.memories.add(memo, user, written)
        await tx.memos.mark_deleted(memo, user)
        assert await tx.memories.list(memo, user) == []
        with pytest.raises(NotFound):
            await tx.memories.add(memo, user, [NewMemory(id=str(uuid4()), title="", content="")])
        assert (await tx.memos.erase(memo, user)).memories == 1


async def test_a_memory_is_read_by_whoever_reads_its_memo_and_changed_by_its_owner_alone(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    memo, guest, space = (await new_memo()).memo_id, str(uuid4()), str(uuid4())
    memory_id = str(uuid4())
    async with database.write() as tx:
        await tx.memories.add(memo, user, [NewMemory(id=memory_id, title="t", content="c")])
        with pytest.raises(NotFound):
            await tx.memories.find(memory_id, guest)
        await tx.spaces.create(space, guest, "Team", None)
        await tx.spaces.join(space, user)
        await tx.spaces.link(memo, space, user)
        assert (await tx.memories.find(memory_id, guest)).content == "c"
        with pytest.raises(NotFound):
            await tx.memories.patch(memory_id, guest, title="theirs")
        assert not await tx.memories.delete(memory_id, guest)
        changed = await tx.memories.patch(memory_id, user, content="d")
        assert (changed.title, changed.content) == ("t", "d")
        assert await tx.memories.delete(memory_id, user)
        assert not await tx.memories.delete(memory_id, user)
        with pytest.raises(NotFound):
            await tx.memories.find(memory_id, user)
