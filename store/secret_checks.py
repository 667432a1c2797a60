"""What must hold of secrets that users gave for one job."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select

from contracts.invariants import Invariant, Violation
from contracts.jobs import ENDS
from store.invariant_checks import PAGE, Check, Rows
from store.schema import jobs
from store.secret_tables import job_secrets


def _left(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    key = job_secrets.c.job_id
    statement = select(key).join(jobs, jobs.c.id == key).where(jobs.c.state.in_(ENDS))
    start = statement if after is None else statement.where(key > after)
    return start.order_by(key).limit(PAGE)


def _judge_left(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        what = "A secret of a user outlived its job"
        yield Violation(invariant=Invariant.NO_ORPHANS, subject=row.job_id, what=what)


CHECKS: Final = (Check(_left, "job_id", _judge_left),)
