"""A user's events: those of all jobs of the user, in one order.

Ids grow with every commit of a user (``told_events.py``), so whoever has seen one has seen all of
that user's before it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    Row,
    and_,
    bindparam,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from contracts.jobs import EventType, UserEvent
from store.schema import job_events, jobs
from store.session import Session

_LATEST: Final = select(func.max(job_events.c.id))
_NEWEST: Final = (
    select(job_events.c.id, job_events.c.at)
    .where(job_events.c.user_id == bindparam("own_user"))
    .order_by(job_events.c.id.desc())
    .limit(bindparam("most"))
)


def _latest_of_each(dialect: str) -> Any:
    """One look at the end of the index for each user, in one statement."""
    user: ColumnElement[Any]
    if dialect == "postgresql":
        asked = bindparam("users", type_=ARRAY(UUID(as_uuid=False)))
        user = func.unnest(asked, type_=UUID(as_uuid=False)).column_valued("asked")
    else:
        user = func.json_each(bindparam("users", type_=JSON)).table_valued("value").c.value
    latest = _LATEST.where(job_events.c.user_id == user).scalar_subquery()
    return select(user.label("user_id"), latest.label("latest"))


_LATEST_OF_EACH: Final = {name: _latest_of_each(name) for name in ("sqlite", "postgresql")}


class Newest(NamedTuple):
    """Where an event stands, and when it happened."""

    id: int
    at: datetime


class UserEvents:
    """The events of users, inside a transaction that reads."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def newest(self, user_id: str, limit: int) -> Sequence[Newest]:
        """The user's latest events, the latest first."""
        rows = await self._session.rows(_NEWEST, {"own_user": user_id, "most": limit})
        return [Newest(row.id, row.at) for row in rows]

    async def last_id(self) -> int:
        """Of the latest event of anybody; 0 before the first."""
        return await self._session.value(_LATEST) or 0

    async def latest(self, user_ids: Collection[str]) -> Mapping[str, int]:
        """Id of the latest event of each user who has any."""
        statement = _LATEST_OF_EACH[self._session.dialect]
        rows = await self._session.rows(statement, {"users": list(user_ids)})
        return {str(row.user_id): row.latest for row in rows if row.latest is not None}

    async def after(self, seen: Mapping[str, int], limit: int) -> Sequence[UserEvent]:
        """Events after the last one seen of each user, in the order of their ids.

        Args:
            seen: the highest id seen, by user id.
        """
        if not seen:
            return []
        later = [
            and_(job_events.c.user_id == user_id, job_events.c.id > last)
            for user_id, last in seen.items()
        ]
        statement = (
            select(job_events, jobs.c.kind, jobs.c.subject_id)
            .join(jobs, jobs.c.id == job_events.c.job_id)
            .where(or_(*later))
            .order_by(job_events.c.id)
            .limit(limit)
        )
        return [_user_event(row) for row in await self._session.rows(statement)]


def _user_event(row: Row[Any]) -> UserEvent:
    return UserEvent(
        id=row.id,
        user_id=row.user_id,
        job_id=row.job_id,
        kind=row.kind,
        subject_id=row.subject_id,
        seq=row.seq,
        type=EventType(row.type),
        at=row.at.isoformat(),
        data=row.data,
    )
