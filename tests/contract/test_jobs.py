from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.errors import Conflict, InvalidInput, NotFound
from contracts.jobs import EventType, JobFailure, JobState, Step
from contracts.memo import MemoJob
from store.database import Database, Transaction

NewMemo = Callable[..., Awaitable[MemoJob]]

FAILURE = JobFailure(code="audio_corrupt", message="The audio is broken")


async def create(tx: Transaction, job_id: str, user: str, *, seconds: float = 60) -> None:
    await tx.jobs.create(
        job_id,
        user,
        kind="erase",
        subject_id="s",
        request={"round": 1, "deep": {"a": [1]}},
        deadline_seconds=seconds,
    )


async def test_a_new_job_is_queued_and_tells_so(database: Database, user: str) -> None:
    async with database.write() as tx:
        await create(tx, "j", user)
    async with database.read() as tx:
        job = await tx.jobs.find("j", user)
        events = await tx.jobs.events_after({"j": 0}, user)
    assert job is not None
    assert job.state is JobState.QUEUED
    assert job.request == {"round": 1, "deep": {"a": [1]}}
    assert job.started_at is None
    assert [(e.seq, e.type, e.data) for e in events] == [(1, "state", {"state": "queued"})]


async def test_a_second_job_of_the_same_name_is_refused(database: Database, user: str) -> None:
    async with database.write() as tx:
        await create(tx, "j", user)
    with pytest.raises(Conflict) as refused:
        async with database.write() as tx:
            await create(tx, "j", str(uuid4()))
    assert refused.value.code == "job_exists"


async def test_a_move_writes_the_state_and_one_event(database: Database, user: str) -> None:
    async with database.write() as tx:
        await create(tx, "j", user)
        assert await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        await tx.jobs.advance("j", user, Step.TRANSCRIBE, tier="local", data={"percent": 5})
        assert await tx.jobs.move("j", user, JobState.FAILED, step=Step.DONE, failure=FAILURE)
    async with database.read() as tx:
        job = await tx.jobs.find("j", user)
        events = await tx.jobs.events_after({"j": 1}, user)
    assert job is not None
    assert (job.state, job.tier, job.failure, job.event_seq) == ("failed", "local", FAILURE, 4)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert [(e.seq, e.type) for e in events] == [
        (2, EventType.STATE),
        (3, EventType.PROGRESS),
        (4, EventType.DONE),
    ]
    assert events[0].data == {"state": "running", "previous": "queued", "step": "probe"}
    assert events[1].data == {"step": "transcribe", "tier": "local", "percent": 5}
    assert events[2].data["error"] == FAILURE.model_dump()


async def test_a_second_move_to_the_same_state_changes_nothing(
    database: Database, user: str
) -> None:
    async with database.write() as tx:
        await create(tx, "j", user)
        assert await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        assert not await tx.jobs.move("j", user, JobState.RUNNING, step=Step.SETTLE)
        job = await tx.jobs.find("j", user)
    assert job is not None
    assert (job.step, job.event_seq) == ("probe", 2)


@pytest.mark.parametrize("end", [state for state in JobState if state.final])
async def test_a_job_that_has_ended_moves_nowhere_by_itself(
    database: Database, user: str, end: JobState
) -> None:
    async with database.write() as tx:
        await create(tx, "j", user)
        await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        await tx.jobs.move("j", user, end, step=Step.DONE)
        with pytest.raises(Conflict) as moved:
            await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        with pytest.raises(Conflict) as advanced:
            await tx.jobs.advance("j", user, Step.PROBE)
    assert moved.value.code == "invalid_transition"
    assert advanced.value.code == "job_ended"


async def test_a_result_is_kept_and_what_is_not_given_stays(database: Database, user: str) -> None:
    async with database.write() as tx:
        await create(tx, "j", user)
        await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        await tx.jobs.move("j", user, JobState.COMPLETED, step=Step.DONE, result={"words": 3})
        job = await tx.jobs.find("j", user)
    assert job is not None
    assert job.result == {"words": 3}


async def test_jobs_of_others_are_not_there(database: Database, user: str) -> None:
    other = str(uuid4())
    async with database.write() as tx:
        await create(tx, "j", user)
        assert await tx.jobs.find("j", other) is None
        assert await tx.jobs.state("j", other) is None
        assert await tx.jobs.described("j", other) is None
        assert await tx.jobs.events_after({"j": 0}, other) == []
        assert not await tx.jobs.withdraw("j", other)
        for write in (
            tx.jobs.move("j", other, JobState.RUNNING, step=Step.PROBE),
            tx.jobs.advance("j", other, Step.PROBE),
            tx.jobs.requeue("j", other, deadline_seconds=1),
        ):
            with pytest.raises(NotFound):
                await write
        job = await tx.jobs.find("j", user)
    assert job is not None
    assert job.event_seq == 1


async def test_events_of_several_jobs_come_in_one_answer(database: Database, user: str) -> None:
    async with database.write() as tx:
        for name in ("a", "b", "c"):
            await create(tx, name, user)
            await tx.jobs.move(name, user, JobState.RUNNING, step=Step.PROBE)
    async with database.read() as tx:
        events = await tx.jobs.events_after({"a": 1, "b": 0, "c": 2}, user)
        nothing = await tx.jobs.events_after({}, user)
    assert [(event.job_id, event.seq) for event in events] == [("a", 2), ("b", 1), ("b", 2)]
    assert nothing == []


async def test_a_clock_that_jumps_back_does_not_turn_a_job_around(
    opened: Callable[..., Database], user: str
) -> None:
    times = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (12, 3, 15, 1)]
    clock = iter(times)
    database = opened(clock=lambda: next(clock))
    async with database.write() as tx:
        await create(tx, "j", user)
    async with database.write() as tx:
        await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
    async with database.write() as tx:
        await tx.jobs.advance("j", user, Step.TRANSCRIBE)
    async with database.write() as tx:
        await tx.jobs.move("j", user, JobState.COMPLETED, step=Step.DONE)
    async with database.read() as tx:
        job = await tx.jobs.find("j", user)
        events = await tx.jobs.events_after({"j": 0}, user)
    assert job is not None
    assert [datetime.fromisoformat(event.at).hour for event in events] == [12, 12, 15, 15]
    assert job.started_at == times[0]
    assert job.finished_at == times[2]


async def test_a_job_never_started_can_be_taken_back_with_its_memo(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        assert await tx.jobs.withdraw(job.job_id, user)
        assert not await tx.jobs.withdraw(job.job_id, user)
    async with database.read() as tx:
        assert await tx.jobs.find(job.job_id, user) is None
        assert await tx.memos.find(job.memo_id, user) is None
        assert (await tx.memos.page(user, limit=10)).total == 0
        assert await tx.jobs.events_after({job.job_id: 0}, user) == []


async def test_a_job_that_was_started_is_not_taken_back(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    started = await new_memo(running=True)
    retried = await new_memo(running=True)
    async with database.write() as tx:
        await tx.jobs.move(retried.job_id, user, JobState.FAILED, step=Step.DONE, failure=FAILURE)
        await tx.jobs.requeue(retried.job_id, user, deadline_seconds=60)
        assert not await tx.jobs.withdraw(started.job_id, user)
        assert not await tx.jobs.withdraw(retried.job_id, user)
        assert await tx.memos.find(started.memo_id, user) is not None
        assert await tx.memos.find(retried.memo_id, user) is not None


async def test_a_failed_job_is_queued_again_a_round_higher(database: Database, user: str) -> None:
    async with database.write() as tx:
        await create(tx, "j", user, seconds=1)
        await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        await tx.jobs.advance("j", user, Step.TRANSCRIBE, tier="local")
        await tx.jobs.move("j", user, JobState.FAILED, step=Step.DONE, failure=FAILURE)
        again = await tx.jobs.requeue("j", user, deadline_seconds=3600)
        job = await tx.jobs.find("j", user)
        with pytest.raises(Conflict):
            await tx.jobs.requeue("j", user, deadline_seconds=3600)
    async with database.read() as tx:
        events = await tx.jobs.events_after({"j": 4}, user)
    assert job is not None
    assert again.request == job.request == {"round": 2, "deep": {"a": [1]}}
    assert (job.state, job.round, job.tier, job.failure) == ("queued", 2, None, None)
    assert (job.started_at, job.finished_at) == (None, None)
    assert job.deadline_at - job.updated_at > timedelta(minutes=59)
    assert [(event.seq, event.data) for event in events] == [
        (5, {"state": "queued", "previous": "failed", "round": 2})
    ]


async def test_stale_jobs_of_every_owner_come_page_by_page(database: Database) -> None:
    owners = [str(uuid4()) for _ in range(5)]
    async with database.write() as tx:
        for number, owner in enumerate(owners):
            await create(tx, f"j{number}", owner)
        await tx.jobs.move("j3", owners[3], JobState.RUNNING, step=Step.PROBE)
        await tx.jobs.move("j4", owners[4], JobState.FAILED, step=Step.DONE)
    async with database.read() as tx:
        first = await tx.jobs.stale(JobState.QUEUED, older_than_seconds=-1, after="", limit=2)
        second = await tx.jobs.stale(JobState.QUEUED, older_than_seconds=-1, after="j1", limit=2)
        running = await tx.jobs.stale(JobState.RUNNING, older_than_seconds=-1, after="", limit=9)
        young = await tx.jobs.stale(JobState.QUEUED, older_than_seconds=60, after="", limit=9)
    assert [(job.id, job.user_id) for job in first] == list(zip(["j0", "j1"], owners, strict=False))
    assert [job.id for job in second] == ["j2"]
    assert [job.id for job in running] == ["j3"]
    assert first[0].request == {"round": 1, "deep": {"a": [1]}}
    assert young == []


@pytest.mark.parametrize("text", ["half a pair: \ud800", "nul: \x00"])
async def test_text_a_database_cannot_keep_is_refused_as_input(
    database: Database, user: str, text: str
) -> None:
    failure = JobFailure(code="x", message=text)
    async with database.write() as tx:
        await create(tx, "j", user)

    async def fail() -> None:
        async with database.write() as tx:
            await tx.jobs.move("j", user, JobState.FAILED, step=Step.DONE, failure=failure)

    async def tell() -> None:
        async with database.write() as tx:
            await tx.jobs.advance("j", user, Step.PROBE, data={"text": text})

    for write in (fail, tell):
        with pytest.raises(InvalidInput):
            await write()
    async with database.read() as tx:
        assert await tx.jobs.state("j", user) is JobState.QUEUED


async def test_an_id_that_is_no_uuid_is_refused_as_input(database: Database) -> None:
    async with database.read() as tx:
        with pytest.raises(InvalidInput) as refused:
            await tx.jobs.find("j", "no uuid")
    assert refused.value.code == "invalid_id"
