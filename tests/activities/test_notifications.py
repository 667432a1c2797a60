"""Mail on its way out: once per external id, whatever dies in between."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from activities import notifications
from activities.notifications import Postman
from contracts.notifications import Mail, NotificationKind, NotificationState, Posted
from contracts.webhooks import CreditsLowData
from store.database import Database, utc_now

SENT = Posted(state=NotificationState.SENT)
BUSY = Posted(state=NotificationState.PENDING, code="provider_busy")
LOW = CreditsLowData(credits=12, threshold=20)


class Way:
    """A way out that keeps what it is given.

    Attributes:
        answers: results of the next mails; then all are sent.
        dies: the process ends when the mail has gone out, before that is written down.
    """

    def __init__(self, *, deduplicates: bool) -> None:
        self.deduplicates = deduplicates
        self.sent: list[Mail] = []
        self.answers: list[Posted] = []
        self.dies = False

    async def send(self, mail: Mail) -> Posted:
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else SENT
        if answer is SENT:
            self.sent.append(mail)
        if self.dies:
            raise asyncio.CancelledError
        return answer


class Clock:
    """A clock that can be put forward."""

    ahead = 0.0

    def __call__(self) -> datetime:
        return utc_now() + timedelta(seconds=self.ahead)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(database: Database, clock: Clock) -> Database:
    """The database by a clock of ours."""
    database._clock = clock
    return database


def a_mail(name: str = "test:1") -> Mail:
    return Mail(
        external_id=name,
        kind=NotificationKind.TEST,
        recipient="anna@example.com",
        subject="A test",
        body="It works.",
    )


async def add(database: Database, *mails: Mail) -> None:
    async with database.write() as tx:
        for mail in mails:
            await tx.notifications.add(mail)


async def state(database: Database, name: str = "test:1") -> NotificationState | None:
    async with database.read() as tx:
        return await tx.notifications.state(name)


async def test_what_is_due_is_sent_once_by_however_many(timed: Database) -> None:
    mails = [a_mail(f"test:{number}") for number in range(notifications.PAGE + 5)]
    await add(timed, *mails)
    way = Way(deduplicates=False)
    ended = await asyncio.gather(*(Postman(timed, way).send_due() for _ in range(3)))
    assert sum(ended) == len(mails)
    assert sorted(mail.external_id for mail in way.sent) == sorted(m.external_id for m in mails)
    assert await Postman(timed, way).send_due() == 0


async def test_an_attempt_in_vain_is_made_again_until_there_were_enough(
    timed: Database, clock: Clock
) -> None:
    await add(timed, a_mail())
    way = Way(deduplicates=True)
    way.answers = [BUSY] * 6
    for _ in range(6):
        assert await state(timed) is NotificationState.PENDING
        await Postman(timed, way).send_due()
        clock.ahead += 21_600
    assert await state(timed) is NotificationState.FAILED
    assert way.answers == []
    assert way.sent == []


@pytest.mark.parametrize(
    ("deduplicates", "copies", "comes_to"),
    [(True, 2, NotificationState.SENT), (False, 1, NotificationState.UNCERTAIN)],
)
async def test_a_mail_whose_sender_dies_goes_out_again_only_where_it_is_known_by_its_id(
    timed: Database,
    clock: Clock,
    deduplicates: bool,
    copies: int,
    comes_to: NotificationState,
) -> None:
    await add(timed, a_mail())
    way = Way(deduplicates=deduplicates)
    way.dies = True
    with pytest.raises(asyncio.CancelledError):
        await Postman(timed, way).send_due()
    way.dies = False
    assert await Postman(timed, way).send_due() == 0
    clock.ahead = notifications.CLAIM_SECONDS + 1
    assert await Postman(timed, way).send_due() == 1
    assert (len(way.sent), await state(timed)) == (copies, comes_to)


async def test_a_low_balance_is_mailed_once_to_whoever_takes_mail(database: Database) -> None:
    anna, ben, eve, nobody = (str(uuid4()) for _ in range(4))
    off = {"memoro": {"emailNotifications": False}}
    async with database.write() as tx:
        await tx.profiles.change(anna, email="anna@example.com")
        await tx.profiles.change(ben, email="ben@example.com", settings=off)
        await tx.profiles.change(eve, email="eve@example.com\r\nBcc: x@example.com")
        told = [
            await tx.notifications.credits_low(user, LOW, subject=f"{user}:settle")
            for user in (anna, anna, ben, eve, nobody)
        ]
    assert told == [True, False, False, False, False]
    way = Way(deduplicates=True)
    await Postman(database, way).send_due()
    [mail] = way.sent
    assert (mail.recipient, mail.user_id) == ("anna@example.com", anna)
    assert "12 credits" in mail.body
