"""Mail to be sent: a row for each thing that is told, written with what it tells of.

A row is taken up before it is sent, by a count that only one of several can raise: nobody sends
what somebody else sends already.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, select, update

from contracts.notifications import (
    Mail,
    NotificationState,
    Posted,
    TakenUp,
    credits_low_mail,
)
from contracts.webhooks import CreditsLowData
from store.columns import Moment
from store.expressions import unless_there
from store.notification_tables import IS_OPEN, notifications
from store.profiles import Profiles
from store.session import Session

_ADD: Final = unless_there(notifications)
_NOW: Final = bindparam("now", type_=Moment)
_SAME: Final = and_(
    notifications.c.external_id == bindparam("own_id"),
    notifications.c.attempts == bindparam("own_attempts"),
)
_DUE: Final = (
    select(notifications)
    .where(IS_OPEN, notifications.c.next_at <= _NOW)
    .order_by(notifications.c.next_at, notifications.c.external_id)
    .limit(bindparam("most"))
)
_TAKE_UP: Final = (
    update(notifications)
    .where(_SAME, IS_OPEN, notifications.c.next_at <= _NOW)
    .values(
        state=NotificationState.SENDING,
        attempts=notifications.c.attempts + 1,
        next_at=bindparam("until", type_=Moment),
    )
)
_END: Final = (
    update(notifications)
    .where(_SAME, IS_OPEN)
    .values(
        state=bindparam("new_state"),
        code=bindparam("new_code"),
        next_at=bindparam("new_next", type_=Moment),
        ended_at=bindparam("new_ended", type_=Moment),
    )
)


class Notifications:
    """The mail, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, mail: Mail) -> bool:
        """Write a mail that is to be sent; false when its external id has been told before."""
        now = self._session.now
        row = {
            **mail.model_dump(),
            "state": NotificationState.PENDING,
            "attempts": 0,
            "next_at": now,
            "created_at": now,
        }
        return bool(await self._session.run(_ADD[self._session.dialect], row))

    async def credits_low(self, user_id: str, low: CreditsLowData, *, subject: str) -> bool:
        """Write what a user who takes mail is told of a low balance; false: nothing to tell.

        Args:
            subject: key of the charge.
        """
        mail = credits_low_mail(subject, await Profiles(self._session).find(user_id), low)
        return mail is not None and await self.add(mail)

    async def state(self, external_id: str) -> NotificationState | None:
        """How far a mail is; none: there is none of that id."""
        statement = select(notifications.c.state).where(notifications.c.external_id == external_id)
        found = await self._session.value(statement)
        return None if found is None else NotificationState(found)

    async def due(self, limit: int) -> Sequence[TakenUp]:
        """Mail to be sent now, and mail that somebody took up long ago; the longest due first."""
        rows = await self._session.rows(_DUE, {"now": self._session.now, "most": limit})
        return [
            TakenUp(
                mail=Mail.model_validate({name: row._asdict()[name] for name in Mail.model_fields}),
                attempts=row.attempts,
                lost=row.state == NotificationState.SENDING,
            )
            for row in rows
        ]

    async def take_up(self, due: TakenUp, seconds: float) -> TakenUp | None:
        """Take a mail up for so long; none when somebody else did."""
        now = self._session.now
        values = {**_same(due), "now": now, "until": now + timedelta(seconds=seconds)}
        if not await self._session.run(_TAKE_UP, values):
            return None
        return due.model_copy(update={"attempts": due.attempts + 1})

    async def end(self, taken: TakenUp, posted: Posted, pause: float | None) -> bool:
        """Write how an attempt ended; false when somebody else has taken it up meanwhile.

        Args:
            pause: seconds until the next attempt, of one that is ``pending`` again.
        """
        now = self._session.now
        again = posted.state is NotificationState.PENDING
        values: dict[str, Any] = {
            **_same(taken),
            "new_state": posted.state,
            "new_code": posted.code,
            "new_next": now + timedelta(seconds=pause or 0.0) if again else None,
            "new_ended": None if again else now,
        }
        return bool(await self._session.run(_END, values))

    async def forget_ended(self, older_than_seconds: float, limit: int) -> int:
        """Remove about so many of those that came to an end so long ago; returns how many."""
        old = (
            select(notifications.c.external_id)
            .where(notifications.c.ended_at < self._session.before(older_than_seconds))
            .order_by(notifications.c.ended_at)
            .limit(limit)
        )
        return await self._session.run(
            delete(notifications).where(notifications.c.external_id.in_(old))
        )


def _same(taken: TakenUp) -> dict[str, Any]:
    return {"own_id": taken.mail.external_id, "own_attempts": taken.attempts}
