"""Mail in the database: told once, sent by one."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contracts.notifications import NotificationState, Posted, TakenUp
from store.database import Database
from tests.contract.event_life import MAIL

SENT = Posted(state=NotificationState.SENT)
AGAIN = Posted(state=NotificationState.PENDING, code="provider_busy")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def due(database: Database) -> list[TakenUp]:
    async with database.read() as tx:
        return list(await tx.notifications.due(10))


async def take(database: Database, found: TakenUp, seconds: float = 60) -> TakenUp | None:
    async with database.write() as tx:
        return await tx.notifications.take_up(found, seconds)


async def test_what_was_told_is_not_told_again(database: Database) -> None:
    async with database.write() as tx:
        assert await tx.notifications.add(MAIL)
    async with database.write() as tx:
        assert not await tx.notifications.add(MAIL.model_copy(update={"body": "other"}))
    [found] = await due(database)
    assert found == TakenUp(mail=MAIL)


async def test_of_many_that_take_a_mail_up_one_gets_it(
    database: Database, opened: Callable[..., Database]
) -> None:
    async with database.write() as tx:
        await tx.notifications.add(MAIL)
    [found] = await due(database)
    others = [database, opened(), opened()]
    taken = await asyncio.gather(*(take(others[number % 3], found) for number in range(9)))
    assert [each for each in taken if each] == [TakenUp(mail=MAIL, attempts=1)]
    assert await due(database) == []


async def test_a_mail_whose_sender_died_is_due_again_and_says_so(
    opened: Callable[..., Database],
) -> None:
    clock = Clock()
    database = opened(clock=clock)
    async with database.write() as tx:
        await tx.notifications.add(MAIL)
    [found] = await due(database)
    late = await take(database, found)
    assert late is not None
    clock.forward(61)
    [lost] = await due(database)
    assert lost == TakenUp(mail=MAIL, attempts=1, lost=True)
    assert await take(database, lost) is not None
    async with database.write() as tx:
        assert not await tx.notifications.end(late, SENT, None)
        assert await tx.notifications.state(MAIL.external_id) is NotificationState.SENDING


async def test_an_attempt_in_vain_is_made_again_after_its_pause(
    opened: Callable[..., Database],
) -> None:
    clock = Clock()
    database = opened(clock=clock)
    async with database.write() as tx:
        await tx.notifications.add(MAIL)
    [found] = await due(database)
    taken = await take(database, found)
    assert taken is not None
    async with database.write() as tx:
        assert await tx.notifications.end(taken, AGAIN, 300)
    assert await due(database) == []
    clock.forward(300)
    [again] = await due(database)
    assert (again.attempts, again.lost) == (1, False)


async def test_what_was_sent_is_kept_for_a_while_and_forgotten(
    opened: Callable[..., Database],
) -> None:
    clock = Clock()
    database = opened(clock=clock)
    async with database.write() as tx:
        await tx.notifications.add(MAIL)
        [found] = await tx.notifications.due(10)
        taken = await tx.notifications.take_up(found, 60)
        assert taken is not None
        assert await tx.notifications.end(taken, SENT, None)
        assert await tx.notifications.forget_ended(100, 10) == 0
    clock.forward(101)
    async with database.write() as tx:
        assert not await tx.notifications.add(MAIL)
        assert await tx.notifications.forget_ended(100, 10) == 1
        assert await tx.notifications.state(MAIL.external_id) is None
