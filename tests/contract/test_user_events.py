"""One order of all events of a user, on each database, however commits overtake one another."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import delete

from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store.database import Database
from store.schema import jobs
from tests.statements import asked_of

NewMemo = Callable[..., Awaitable[MemoJob]]
WRITERS = 6
EVENTS = 12


async def ids_of(database: Database, user: str, after: int = 0) -> list[int]:
    async with database.read() as tx:
        return [event.id for event in await tx.user_events.after({user: after}, 1000)]


async def test_a_users_events_tell_which_job_they_are_of(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    await new_memo(str(uuid4()))
    async with database.read() as tx:
        events = await tx.user_events.after({user: 0}, 10)
        latest = await tx.user_events.latest([user, str(uuid4())])
        newest = await tx.user_events.newest(user, 1)
        last = await tx.user_events.last_id()
    assert [(event.job_id, event.kind, event.subject_id, event.seq) for event in events] == [
        (job.job_id, "memo", job.memo_id, 1),
        (job.job_id, "memo", job.memo_id, 2),
    ]
    assert latest == {user: events[1].id}
    assert [one.id for one in newest] == [events[1].id]
    assert last > events[1].id


async def test_an_id_is_not_given_again_when_its_event_is_gone(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    gone = await new_memo()
    [before] = await ids_of(database, user)
    async with database.write() as tx:
        assert await tx.jobs.withdraw(gone.job_id, user)
    await new_memo()
    [after] = await ids_of(database, user)
    assert after > before


async def test_an_event_of_a_job_that_the_same_transaction_removes_is_gone_with_it(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        await tx.jobs.move(job.job_id, user, JobState.CANCELLED, step=Step.DONE)
        await tx.session.run(delete(jobs).where(jobs.c.id == job.job_id))
    assert await ids_of(database, user) == []


async def test_events_become_visible_in_their_own_order(
    opened: Callable[..., Database], user: str, new_memo: NewMemo
) -> None:
    """Writers of one user commit late and in any order; a reader that goes on misses nothing."""
    pace = random.Random(20)
    written = [await new_memo(running=True) for _ in range(WRITERS)]
    begun = max(await ids_of(opened(), user))
    writing, reading = opened(readers=WRITERS), opened()
    ended = asyncio.Event()

    async def write(job: MemoJob) -> None:
        for percent in range(EVENTS):
            await asyncio.sleep(pace.uniform(0, 0.01))
            async with writing.write() as tx:
                await tx.jobs.advance(job.job_id, user, Step.TRANSCRIBE, data={"percent": percent})
                await asyncio.sleep(pace.uniform(0, 0.01))

    async def follow() -> list[int]:
        seen, last = list[int](), begun
        while True:
            final = ended.is_set()
            seen += await ids_of(reading, user, last)
            last = max(seen, default=begun)
            if final:
                return seen
            await asyncio.sleep(0)

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(job) for job in written))
    ended.set()
    seen = await following
    assert len(seen) == WRITERS * EVENTS
    assert seen == await ids_of(reading, user, begun)


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_commit_that_is_late_holds_back_those_of_the_same_user_alone(
    opened: Callable[..., Database], user: str, new_memo: NewMemo
) -> None:
    """What makes the order: between an event's number and its commit nobody of the user numbers."""
    database = opened()
    first, second = await new_memo(running=True), await new_memo(running=True)
    stranger = str(uuid4())
    other = await new_memo(stranger, running=True)
    begun = max(await ids_of(database, user))

    async def tell(job: MemoJob) -> None:
        async with database.write() as tx:
            await tx.jobs.advance(job.job_id, job.user_id, Step.TRANSCRIBE)

    async with database.write() as late:
        await late.jobs.advance(first.job_id, user, Step.TRANSCRIBE)
        await late.told.write()
        late.told.events.clear()
        waiting = asyncio.create_task(tell(second))
        await tell(other)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.3)
        assert not waiting.done()
        assert await ids_of(database, user, begun) == []
    await waiting
    async with database.read() as tx:
        events = await tx.user_events.after({user: begun}, 10)
    assert [event.job_id for event in events] == [first.job_id, second.job_id]


async def test_crossing_writers_of_one_user_never_wait_in_a_circle(
    opened: Callable[..., Database], user: str, new_memo: NewMemo
) -> None:
    """One tells first and pays then, the other the other way round: as the steps of a job do."""
    database = opened(readers=4)
    one, two = await new_memo(running=True), await new_memo(running=True)

    async def tell_and_pay(number: int) -> None:
        async with database.write() as tx:
            await tx.jobs.advance(one.job_id, user, Step.TRANSCRIBE)
            await asyncio.sleep(0.01)
            await tx.credits.grant(user, f"a{number}", 1, "a")

    async def pay_and_tell(number: int) -> None:
        async with database.write() as tx:
            await tx.credits.grant(user, f"b{number}", 1, "b")
            await asyncio.sleep(0.01)
            await tx.jobs.advance(two.job_id, user, Step.TRANSCRIBE)

    for number in range(5):
        await asyncio.gather(tell_and_pay(number), pay_and_tell(number))
    async with database.read() as tx:
        assert (await tx.credits.balance(user)).credits == 160


async def test_what_was_committed_is_handed_over_and_nothing_else(
    opened: Callable[..., Database], user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    told: list[tuple[str, str, int]] = []
    database = opened()
    database.tell(
        lambda events: told.extend(
            (each.about.subject_id, each.event.type, each.event.seq) for each in events
        )
    )
    with suppress(RuntimeError):
        async with database.write() as tx:
            await tx.jobs.move(job.job_id, user, JobState.RUNNING, step=Step.PROBE)
            raise RuntimeError
    async with database.write() as tx:
        await tx.jobs.move(job.job_id, user, JobState.RUNNING, step=Step.PROBE)
        assert told == []
    async with database.write() as tx:
        await tx.credits.balance(user)
    assert told == [(job.memo_id, "state", 2)]


async def test_users_that_watch_are_looked_after_in_one_statement(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    users = [user, *(str(uuid4()) for _ in range(40))]
    for each in users[:10]:
        await new_memo(each)
    with asked_of(database) as asked:
        async with database.read() as tx:
            latest = await tx.user_events.latest(users)
    assert len(asked.statements) == 1
    assert set(latest) == set(users[:10])
