"""The two-phase ledger: hold, then settle or release.

Every change is one entry with a key of its own, one hold row and one account row, in one
transaction. The hold's row decides whether a thing was done before, the account's row whether it
can be paid: both in the condition of one ``UPDATE``, so any number of jobs at once never overdraw.
``ledger.py`` has the same rules as constraints. Locks are always taken in that order.

Who pays, the user or a space the user belongs to, is decided with the hold and stands in its row:
what ends or corrects it goes to the same account, whatever has become of the space meanwhile.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, func, select, true, update
from sqlalchemy.sql.dml import ReturningUpdate

from contracts.credits import Charge, EntryKind, JobCredits, OpenHold
from contracts.errors import Conflict
from contracts.jobs import ENDS
from store.columns import spelled
from store.credit_accounts import Accounts, Payer
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
    .returning(_HOLD.amount, _HOLD.space_id)
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
    .returning(_HOLD.amount, _HOLD.space_id, _HOLD.ended_by)
)
_RELEASE_BY_HOLD: Final = (
    update(credit_holds)
    .where(_OWN_OPEN)
    .values(state=RELEASED, ended_at=bindparam("now"), ended_by=_HOLD.key + ":release")
    .returning(_HOLD.amount, _HOLD.space_id, _HOLD.ended_by)
)
_ADJUST: Final = (
    update(credit_holds)
    .where(_OWN_OPEN, func.coalesce(_HOLD.adjusted_by, "") != bindparam("by"))
    .values(amount=bindparam("new_amount"), amount_before=_HOLD.amount, adjusted_by=bindparam("by"))
    .returning(_HOLD.amount_before, _HOLD.space_id)
)
_UNADJUST: Final = (
    update(credit_holds).where(_OWN_OPEN).values(amount=_HOLD.amount_before, adjusted_by=None)
)
_PAID_BY: Final = (
    update(credit_holds)
    .where(_HOLD.key == bindparam("own_key"), _OWN_OPEN)
    .values(space_id=bindparam("payer"))
)
_FORGET_HOLD: Final = delete(credit_holds).where(_HOLD.key == bindparam("own_key"))
_HELD: Final = select(func.coalesce(func.sum(_HOLD.amount), 0)).where(_OWN_OPEN)
_OF_JOB: Final = select(_HOLD.state, _HOLD.amount, _HOLD.charged, _HOLD.space_id).where(
    _HOLD.job_id == bindparam("own_job"),
    _HOLD.user_id == bindparam("own_user"),
    _HOLD.state != spelled(RELEASED),
)

# Looked up row by row: few holds are open, and there are many jobs. Null: not there at all.
_JOB_ENDED: Final = (
    select(jobs.c.state.in_(ENDS)).where(jobs.c.id == _HOLD.job_id).scalar_subquery()
)
_LEFT_OVER: Final = select(_HOLD.key, _HOLD.user_id, _HOLD.job_id, _HOLD.amount).where(
    IS_OPEN, func.coalesce(_JOB_ENDED, true())
)


class Credits(Accounts):
    """The ledger, inside a transaction: accounts, and what jobs hold and are charged."""

    async def hold(
        self, user_id: str, job_id: str, key: str, amount: int, *, space_id: str | None = None
    ) -> int:
        """Hold credits for a job; the same key again changes nothing. Returns what is held.

        The space is charged if it pays for its members, the user is one, and so many are free
        there: all of it now, and never looked at again. The user is otherwise. A job that has an
        open hold keeps that one, whatever the key.

        Raises:
            InsufficientCredits: fewer are free to the user; nothing is written.
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
        payer = Payer(user_id, space_id)
        if space_id is not None and await self._set_aside_by_space(payer, amount):
            own = {"own_user": user_id, "own_job": job_id, "own_key": key, "payer": space_id}
            await self._session.run(_PAID_BY, own)
        else:
            payer = Payer(user_id)
            if not await self._set_aside(payer, amount):
                await self._session.run(_FORGET_HOLD, {"own_key": key})
                raise await self._short(payer, amount)
        await self._entry(payer, key, EntryKind.HOLD, amount, held_delta=amount, job_id=job_id)
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
        held = await self._session.row(_ADJUST, {**own, "by": key, "new_amount": amount})
        if held is None:
            return await self._unadjusted(user_id, job_id)
        payer, more = Payer(user_id, held.space_id), amount - held.amount_before
        if not more:
            return amount
        if not await self._set_aside(payer, more):
            await self._session.run(_UNADJUST, own)
            raise await self._short(payer, amount, held.amount_before)
        kind = EntryKind.HOLD if more > 0 else EntryKind.RELEASE
        await self._entry(payer, key, kind, abs(more), held_delta=more, job_id=job_id)
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
        what is free to its user.

        Raises:
            InsufficientCredits: more than was held, and that is not free; nothing is written.
        """
        own = {"own_user": user_id, "own_job": job_id}
        values = {**own, "price": amount, "by": key, "now": self._session.now}
        held = await self._session.row(_SETTLE, values)
        if held is None and await self._charged_before(user_id, job_id, key, amount):
            return Charge(key=key)
        freed, space_id = (0, None) if held is None else (held.amount, held.space_id)
        payer = Payer(user_id, space_id)
        balance = await self._charge(payer, amount, freed)
        if balance is None:
            undo = (_UNSETTLE, own) if held else (_FORGET_HOLD, {"own_key": key})
            await self._session.run(*undo)
            raise await self._short(payer, amount, freed)
        await self._entry(
            payer,
            key,
            EntryKind.SETTLE,
            amount,
            balance_delta=-amount,
            held_delta=-freed,
            job_id=job_id,
            operation=operation,
        )
        return Charge(key=key, amount=amount, balance=balance, space_id=space_id)

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
        # As often as there are rounds: the hold's own key tells them apart.
        await self._release(user_id, job_id, _RELEASE_BY_HOLD, None)
        return True

    async def release(self, user_id: str, job_id: str, key: str) -> int:
        """End the job's open hold without a charge; returns what it was (0: none was open)."""
        return await self._release(user_id, job_id, _RELEASE, key)

    async def _release(
        self, user_id: str, job_id: str, statement: ReturningUpdate[Any], key: str | None
    ) -> int:
        own = {"own_user": user_id, "own_job": job_id, "now": self._session.now}
        held = await self._session.row(statement, own if key is None else {**own, "by": key})
        if held is None:
            return 0
        payer, freed = Payer(user_id, held.space_id), int(held.amount)
        await self._set_aside(payer, -freed)
        key = str(held.ended_by)
        await self._entry(payer, key, EntryKind.RELEASE, freed, held_delta=-freed, job_id=job_id)
        return freed

    async def of_job(self, user_id: str, job_id: str) -> JobCredits:
        """What a job holds now, what it has been charged, and who pays."""
        rows = await self._session.rows(_OF_JOB, {"own_user": user_id, "own_job": job_id})
        # At most one of each. Of a job that was charged before, what it holds is given back.
        said = sorted(rows, key=lambda row: row.state == SETTLED)
        if not said:
            return JobCredits()
        return JobCredits(
            held=sum(row.amount for row in said if row.state == OPEN),
            charged=sum(row.charged for row in said),
            space_id=said[-1].space_id,
        )

    async def left_over(self, *, after: str, limit: int) -> Sequence[OpenHold]:
        """Holds of every owner whose job has ended or is gone, by job after ``after``."""
        # The index of open holds is by job: by key, SQLite would read every hold there ever was.
        statement = _LEFT_OVER.where(_HOLD.job_id > after).order_by(_HOLD.job_id).limit(limit)
        rows = await self._session.rows(statement)
        return [OpenHold.model_validate(row._asdict()) for row in rows]
