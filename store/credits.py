"""The two-phase ledger: hold, then settle or release.

Every change is one entry with a key of its own, one hold row and one account row, in one
transaction. The hold's row decides whether a thing was done before, the account's row whether it
can be paid: both in the condition of one ``UPDATE``, so any number of jobs at once never overdraw.
``ledger.py`` has the same rules as constraints. Locks are always taken in that order.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import and_, bindparam, case, delete, exists, func, select, true, update

from contracts.credits import Charge, EntryKind, JobCredits, OpenHold
from contracts.errors import Conflict
from contracts.jobs import ENDS
from store.columns import spelled
from store.credit_accounts import Accounts
from store.expressions import unless_there
from store.ledger import (
    IS_OPEN,
    IS_SETTLED,
    OPEN,
    RELEASED,
    SETTLED,
    credit_holds,
)
from store.schema import jobs

_HOLD: Final = credit_holds.c
_OWN_OPEN: Final = and_(
    _HOLD.job_id == bindparam("own_job"),
    _HOLD.user_id == bindparam("own_user"),
    IS_OPEN,
)
_OPEN_HOLD: Final = unless_there(credit_holds)

_SETTLED_BEFORE: Final = credit_holds.alias("settled_before")
_SETTLE: Final = (
    update(credit_holds)
    .where(
        _OWN_OPEN,
        ~exists().where(
            _SETTLED_BEFORE.c.job_id == bindparam("own_job"),
            _SETTLED_BEFORE.c.state == spelled(SETTLED),
        ),
    )
    .values(
        state=SETTLED,
        charged=bindparam("price"),
        ended_at=bindparam("now"),
        ended_by=bindparam("by"),
    )
    .returning(_HOLD.amount)
)
_UNSETTLE: Final = (
    update(credit_holds)
    .where(_HOLD.job_id == bindparam("own_job"), IS_SETTLED)
    .values(state=OPEN, charged=0, ended_at=None, ended_by=None)
)
_RELEASE: Final = (
    update(credit_holds)
    .where(_OWN_OPEN)
    .values(state=RELEASED, ended_at=bindparam("now"), ended_by=bindparam("by"))
    .returning(_HOLD.amount)
)
_ADJUST: Final = (
    update(credit_holds)
    .where(_OWN_OPEN, func.coalesce(_HOLD.adjusted_by, "") != bindparam("by"))
    .values(amount=bindparam("new_amount"), amount_before=_HOLD.amount, adjusted_by=bindparam("by"))
    .returning(_HOLD.amount_before)
)
_UNADJUST: Final = (
    update(credit_holds).where(_OWN_OPEN).values(amount=_HOLD.amount_before, adjusted_by=None)
)
_FORGET_HOLD: Final = delete(credit_holds).where(_HOLD.key == bindparam("own_key"))
_HELD: Final = select(func.coalesce(func.sum(_HOLD.amount), 0)).where(_OWN_OPEN)
_OF_JOB: Final = select(
    func.coalesce(func.sum(case((_HOLD.state == OPEN, _HOLD.amount), else_=0)), 0).label("held"),
    func.coalesce(func.sum(_HOLD.charged), 0).label("charged"),
    func.coalesce(func.sum(case((_HOLD.state == SETTLED, 1), else_=0)), 0).label("settled"),
).where(_HOLD.job_id == bindparam("own_job"), _HOLD.user_id == bindparam("own_user"))

# Looked up row by row: few holds are open, and there are many jobs. Null: not there at all.
_JOB_ENDED: Final = (
    select(jobs.c.state.in_(ENDS)).where(jobs.c.id == _HOLD.job_id).scalar_subquery()
)
_LEFT_OVER: Final = select(_HOLD.key, _HOLD.user_id, _HOLD.job_id, _HOLD.amount).where(
    IS_OPEN, func.coalesce(_JOB_ENDED, true())
)


class Credits(Accounts):
    """The ledger, inside a transaction: accounts, and what jobs hold and are charged."""

    async def hold(self, user_id: str, job_id: str, key: str, amount: int) -> int:
        """Hold credits for a job; the same key again changes nothing. Returns what is held.

        A job that has an open hold keeps that one, whatever the key.

        Raises:
            InsufficientCredits: fewer are free; nothing is written.
        """
        row = {
            "key": key,
            "user_id": user_id,
            "job_id": job_id,
            "state": OPEN,
            "amount": amount,
            "charged": 0,
            "created_at": self._session.now,
        }
        if not await self._session.run(_OPEN_HOLD[self._session.dialect], row):
            return await self._held(user_id, job_id)
        if not await self._set_aside(user_id, amount):
            await self._session.run(_FORGET_HOLD, {"own_key": key})
            raise await self._short(user_id, amount)
        await self._entry(user_id, key, EntryKind.HOLD, amount, held_delta=amount, job_id=job_id)
        return amount

    async def _held(self, user_id: str, job_id: str) -> int:
        own = {"own_user": user_id, "own_job": job_id}
        return int(await self._session.value(_HELD, own))

    async def adjust_hold(self, user_id: str, job_id: str, key: str, amount: int) -> int:
        """Correct the job's open hold to ``amount``; the same key again changes nothing.

        Raises:
            InsufficientCredits: the difference is not free; the old hold stays as it is.
            Conflict: ``hold_ended``, nothing is held for the job.
        """
        own = {"own_user": user_id, "own_job": job_id}
        before = await self._session.value(_ADJUST, {**own, "by": key, "new_amount": amount})
        if before is None:
            return await self._unadjusted(user_id, job_id)
        more = amount - before
        if not more:
            return amount
        if not await self._set_aside(user_id, more):
            await self._session.run(_UNADJUST, own)
            raise await self._short(user_id, amount, before)
        kind = EntryKind.HOLD if more > 0 else EntryKind.RELEASE
        await self._entry(user_id, key, kind, abs(more), held_delta=more, job_id=job_id)
        return amount

    async def _unadjusted(self, user_id: str, job_id: str) -> int:
        held = await self._held(user_id, job_id)
        if not held:
            raise Conflict("Nothing is held for the job", code="hold_ended")
        return held

    async def settle(
        self, user_id: str, job_id: str, key: str, amount: int, *, operation: str
    ) -> Charge:
        """Charge ``amount`` and end the hold; once per job, whatever the round.

        Of zero when the job has been charged before. A job that holds nothing is charged from
        what is free.

        Raises:
            InsufficientCredits: more than was held, and that is not free; nothing is written.
        """
        own = {"own_user": user_id, "own_job": job_id}
        values = {**own, "price": amount, "by": key, "now": self._session.now}
        freed = await self._session.value(_SETTLE, values)
        held = freed is not None
        if not held:
            if await self._charged_before(user_id, job_id, key, amount):
                return Charge(key=key)
            freed = 0
        balance = await self._charge(user_id, amount, freed)
        if balance is None:
            undo = (_UNSETTLE, own) if held else (_FORGET_HOLD, {"own_key": key})
            await self._session.run(*undo)
            raise await self._short(user_id, amount, freed)
        await self._entry(
            user_id,
            key,
            EntryKind.SETTLE,
            amount,
            balance_delta=-amount,
            held_delta=-freed,
            job_id=job_id,
            operation=operation,
        )
        return Charge(key=key, amount=amount, balance=balance)

    async def _charged_before(self, user_id: str, job_id: str, key: str, amount: int) -> bool:
        """Whether it was; else the charge is written down as a hold that ended at once."""
        row = {
            "key": key,
            "user_id": user_id,
            "job_id": job_id,
            "state": SETTLED,
            "amount": 0,
            "charged": amount,
            "created_at": self._session.now,
            "ended_at": self._session.now,
            "ended_by": key,
        }
        if await self._session.run(_OPEN_HOLD[self._session.dialect], row):
            return False
        await self.release(user_id, job_id, f"{key}:release")
        return True

    async def release(self, user_id: str, job_id: str, key: str) -> int:
        """End the job's open hold without a charge; returns what it was (0: none was open)."""
        own = {"own_user": user_id, "own_job": job_id, "by": key, "now": self._session.now}
        freed = await self._session.value(_RELEASE, own)
        if freed is None:
            return 0
        await self._set_aside(user_id, -freed)
        await self._entry(user_id, key, EntryKind.RELEASE, freed, held_delta=-freed, job_id=job_id)
        return int(freed)

    async def of_job(self, user_id: str, job_id: str) -> JobCredits:
        """What a job holds now, and what it has been charged."""
        row = await self._session.row(_OF_JOB, {"own_user": user_id, "own_job": job_id})
        return JobCredits() if row is None else JobCredits(held=row.held, charged=row.charged)

    async def left_over(self, *, after: str, limit: int) -> Sequence[OpenHold]:
        """Holds of every owner whose job has ended or is gone, by job after ``after``."""
        # The index of open holds is by job: by key, SQLite would read every hold there ever was.
        statement = _LEFT_OVER.where(_HOLD.job_id > after).order_by(_HOLD.job_id).limit(limit)
        rows = await self._session.rows(statement)
        return [OpenHold.model_validate(row._asdict()) for row in rows]
