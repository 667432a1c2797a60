"""What a user has under way and has spent today, so that a start can be refused in time.

A job's price is held by its workflow, a moment after its start. What it is expected to cost stands
in ``promised_credits`` until then, so that any number of starts at once find one another.
"""

from datetime import timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, exists, func, or_, select, text

from contracts.ids import ERASE
from store.columns import Moment, spelled
from store.expressions import by_dialect
from store.ledger import IS_OPEN, IS_SETTLED, credit_holds
from store.rate_tables import promised_credits
from store.schema import OPEN_JOB, jobs
from store.session import Session

_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtext('budget' || :own_user))")
_OWN_JOB: Final = jobs.c.user_id == bindparam("own_user")
_OWN_HOLD: Final = credit_holds.c.user_id == bindparam("own_user")

# One more than would be too many is enough to know. An erasure frees, and is never in the way.
_OPEN_JOBS: Final = select(func.count()).select_from(
    select(jobs.c.id)
    .where(_OWN_JOB, OPEN_JOB, jobs.c.kind != spelled(ERASE))
    .limit(bindparam("enough"))
    .subquery()
)


def _sum(statement: Select[Any]) -> Any:
    return func.coalesce(statement.scalar_subquery(), 0)


_HELD_BEFORE: Final = exists().where(
    credit_holds.c.job_id == promised_credits.c.job_id, or_(IS_OPEN, IS_SETTLED)
)
_CHARGED: Final = select(func.sum(credit_holds.c.charged)).where(
    _OWN_HOLD, IS_SETTLED, credit_holds.c.ended_at >= bindparam("since", type_=Moment)
)
_HELD: Final = select(func.sum(credit_holds.c.amount)).where(_OWN_HOLD, IS_OPEN)
# Looked up job by job: there are few open jobs, and any number of promises of ended ones.
_OF_JOB: Final = (
    select(promised_credits.c.credits)
    .where(
        promised_credits.c.job_id == jobs.c.id,
        promised_credits.c.user_id == jobs.c.user_id,
        ~_HELD_BEFORE,
    )
    .scalar_subquery()
)
_PROMISED: Final = select(func.sum(_OF_JOB)).where(_OWN_JOB, OPEN_JOB)
_SPENT: Final = select(_sum(_CHARGED) + _sum(_HELD) + _sum(_PROMISED))
_PROMISE: Final = by_dialect(
    promised_credits,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[promised_credits.c.job_id],
        set_={promised_credits.c.credits: insert.excluded.credits},
    ).inline(),
)


class Spent(NamedTuple):
    """What a user's jobs have cost since midnight UTC, hold now and are expected to hold.

    Attributes:
        seconds_left: until the next midnight.
    """

    credits: int
    seconds_left: float


class Budgets:
    """What each user has under way, inside a transaction that writes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def one_at_a_time(self, user_id: str) -> None:
        """Nobody else judges a start of this user until the transaction ends."""
        if self._session.dialect == "postgresql":
            await self._session.rows(_ONE_AT_A_TIME, {"own_user": user_id})

    async def open_jobs(self, user_id: str, enough: int) -> int:
        """How many jobs of the user have not ended; those beyond ``enough`` are not counted."""
        return int(
            await self._session.value(_OPEN_JOBS, {"own_user": user_id, "enough": enough}) or 0
        )

    async def promise(self, job_id: str, user_id: str, credits: int) -> None:  # noqa: A002 - money
        """A job is expected to cost so many; what was said of an earlier round is replaced."""
        row = {"job_id": job_id, "user_id": user_id, "credits": credits}
        await self._session.run(_PROMISE[self._session.dialect], row)

    async def spent_today(self, user_id: str) -> Spent:
        """What the user's day comes to."""
        now = self._session.now
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        values = {"own_user": user_id, "since": midnight}
        total = await self._session.value(_SPENT, values)
        return Spent(int(total or 0), (midnight + timedelta(days=1) - now).total_seconds())
