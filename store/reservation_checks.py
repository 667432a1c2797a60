"""What must hold of reservations at a credits service elsewhere."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, and_, func, select

from contracts.invariants import Invariant, Violation
from contracts.jobs import ENDS
from contracts.reservations import ReservationState
from store.invariant_checks import PAGE, Check, Rows
from store.ledger import SETTLED, credit_holds
from store.reservation_tables import IS_UNFINISHED, remote_reservations
from store.schema import jobs

STUCK_SECONDS: Final = 7200.0
"""`reconcile` brings on each minute what can be brought on."""

_ROW: Final = remote_reservations.c
_LIVING: Final = (ReservationState.RESERVED, ReservationState.SURPLUS)
_CHARGED: Final = (ReservationState.COMMITTING, ReservationState.COMMITTED)


def _unfinished(after: Any, now: datetime) -> Select[Any]:
    late = _ROW.updated_at < now - timedelta(seconds=STUCK_SECONDS)
    statement = (
        select(
            _ROW.key,
            _ROW.amount,
            _ROW.state,
            late.label("late"),
            jobs.c.state.in_(ENDS).label("ended"),
        )
        .outerjoin(jobs, and_(jobs.c.id == _ROW.job_id, jobs.c.user_id == _ROW.user_id))
        .where(IS_UNFINISHED)
    )
    start = statement if after is None else statement.where(_ROW.key > after)
    return start.order_by(_ROW.key).limit(PAGE)


def _judge_unfinished(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        state, what = ReservationState(row.state), None
        # Of a job that is gone, nothing is known: it has ended.
        ended = row.ended is None or row.ended
        if state is ReservationState.UNCERTAIN:
            what = (
                f"Whether {row.amount} credits are reserved at the credits service is not known: "
                "look there, then `voicekeep credits found-out`"
            )
        elif row.late and (ended or state not in _LIVING):
            what = f"The credits service was not told that the reservation is {row.state}"
        if what is not None:
            yield Violation(invariant=Invariant.LEDGER, subject=row.key, what=what)


def _charged(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    job = _ROW.job_id
    settled = (
        select(func.coalesce(func.sum(credit_holds.c.charged), 0))
        .where(credit_holds.c.job_id == job, credit_holds.c.state == SETTLED)
        .scalar_subquery()
    )
    statement = (
        select(job, func.sum(_ROW.amount).label("there"), settled.label("here"))
        .where(_ROW.state.in_(_CHARGED))
        .group_by(job)
    )
    start = statement if after is None else statement.where(job > after)
    return start.order_by(job).limit(PAGE)


def _judge_charged(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        if row.there != row.here:
            what = f"{row.there} credits are charged at the credits service, and {row.here} here"
            yield Violation(invariant=Invariant.CHARGED_ONCE, subject=row.job_id, what=what)


CHECKS: Final = (
    Check(_unfinished, "key", _judge_unfinished),
    Check(_charged, "job_id", _judge_charged),
)
