"""Job events on their way into the database: written at the end of the transaction they belong to.

A user's stream goes on from the ``id`` of the last event a client has seen, so for one user ids
must become visible in their own order. On SQLite they do: one transaction writes at a time. On
Postgres a number is given when a row is written and seen when it is committed, and in between
another transaction may overtake. So the user's turn is taken with the insert (an advisory lock, in
the same round trip) and kept until the commit, which comes next: nothing else is waited for while
it is held. Two jobs of one user wait for each other no longer than for one commit, and never in a
circle.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, String, bindparam, func, literal_column, select, true
from sqlalchemy.dialects import postgresql, sqlite

from contracts.jobs import EventType, JobEvent, JobRef, ToldEvent
from store.columns import Json, Moment
from store.schema import job_events, jobs
from store.session import Session

_COLUMNS: Final = ("job_id", "user_id", "seq", "type", "data", "at")
_ROW: Final = select(
    jobs.c.id,
    jobs.c.user_id,
    bindparam("new_seq", type_=Integer),
    bindparam("new_type", type_=String),
    bindparam("new_data", type_=Json),
    bindparam("new_at", type_=Moment),
).where(jobs.c.id == bindparam("own_id"))
_TURN: Final = (
    select(
        func.pg_advisory_xact_lock(
            func.hashtextextended(bindparam("turn_of", type_=String), literal_column("0"))
        ).label("taken")
    )
    .cte("turn")
    .prefix_with("MATERIALIZED")
)
_WRITE: Final = {
    "sqlite": sqlite.insert(job_events).from_select(_COLUMNS, _ROW),
    # The number is given to the joined row: after the turn was taken.
    "postgresql": postgresql.insert(job_events).from_select(
        _COLUMNS, _ROW.join_from(jobs, _TURN, onclause=true())
    ),
}


class ToldEvents:
    """The events of one transaction.

    Attributes:
        events: in the order they were told.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.events: list[ToldEvent] = []

    def add(
        self, about: JobRef, seq: int, kind: EventType, data: Mapping[str, Any], at: datetime
    ) -> None:
        """Keep an event for the end of the transaction."""
        event = JobEvent(job_id=about.id, seq=seq, type=kind, at=at.isoformat(), data=dict(data))
        self.events.append(ToldEvent(about=about, event=event))

    async def write(self) -> None:
        """Write them; those of a job that the transaction itself removed are gone with it."""
        # In one order for everybody, should there ever be several users.
        for told in sorted(self.events, key=lambda told: told.about.user_id):
            event = told.event
            values: dict[str, Any] = {
                "own_id": event.job_id,
                "new_seq": event.seq,
                "new_type": event.type,
                "new_data": event.data,
                "new_at": datetime.fromisoformat(event.at),
            }
            if self._session.dialect == "postgresql":
                values["turn_of"] = f"events of {told.about.user_id}"
            await self._session.run(_WRITE[self._session.dialect], values)
