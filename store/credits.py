"""The two-phase ledger: hold, then settle or release.

Every change is one entry with a key of its own, one hold row and one account row, in one
transaction. The hold's row decides whether a thing was done before, the account's row whether it
can be paid: both in the condition of one ``UPDATE``, so any number of jobs at once never overdraw.
``ledger.py`` has the same rules as constraints. Locks are always taken in that order.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, delete, exists, func, select, true, update

from contracts.credits import (
    Balance,
    CreditEntry,
    CreditPage,
    EntryKind,
    JobCredits,
    OpenHold,
)
from contracts.errors import Conflict, InsufficientCredits
from contracts.jobs import ENDS
from store.columns import Moment, spelled
from store.expressions import greatest, unless_there
from store.ledger import (
    IS_OPEN,
    IS_SETTLED,
    OPEN,
    RELEASED,
    SETTLED,
    credit_accounts,
    credit_entries,
    credit_holds,
)
from store.schema import jobs
from store.session import Session

STARTING_KEY: Final = "starting_credits"

_ACCOUNT: Final = credit_accounts.c
_HOLD: Final = credit_holds.c
_OWN_ACCOUNT: Final = _ACCOUNT.user_id == bindparam("own_user")
_OWN_OPEN: Final = and_(
    _HOLD.job_id == bindparam("own_job"),
    _HOLD.user_id == bindparam("own_user"),
    IS_OPEN,
)
_TOUCHED: Final[Mapping[Any, Any]] = {
    _ACCOUNT.updated_at: greatest(_ACCOUNT.updated_at, bindparam("now", type_=Moment))
}

_BALANCE: Final = select(credit_accounts).where(_OWN_ACCOUNT)
_OPEN_ACCOUNT: Final = unless_there(credit_accounts)
_ENTRY: Final = unless_there(credit_entries)
_OPEN_HOLD: Final = unless_there(credit_holds)

# What the account's row must allow, and what becomes of it.
_SET_ASIDE: Final = (
    update(credit_accounts)
    .where(_OWN_ACCOUNT, _ACCOUNT.balance - _ACCOUNT.held >= bindparam("more"))
    .values({**_TOUCHED, _ACCOUNT.held: _ACCOUNT.held + bindparam("more")})
)
_CHARGE: Final = (
    update(credit_accounts)
    .where(
        _OWN_ACCOUNT,
        _ACCOUNT.balance - _ACCOUNT.held + bindparam("freed") >= bindparam("price"),
    )
    .values(
        {
            **_TOUCHED,
            _ACCOUNT.balance: _ACCOUNT.balance - bindparam("price"),
            _ACCOUNT.held: _ACCOUNT.held - bindparam("freed"),
            _ACCOUNT.total_spent: _ACCOUNT.total_spent + bindparam("price"),
        }
    )
)
_EARN: Final = (
    update(credit_accounts)
    .where(_OWN_ACCOUNT)
    .values(
        {
            **_TOUCHED,
            _ACCOUNT.balance: _ACCOUNT.balance + bindparam("more"),
            _ACCOUNT.total_earned: _ACCOUNT.total_earned + bindparam("more"),
        }
    )
)
_BLANK_ENTRY: Final[Mapping[str, Any]] = {
    "balance_delta": 0,
    "held_delta": 0,
    "operation": None,
    "description": None,
    "job_id": None,
}
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


class Credits:
    """The ledger, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def balance(self, user_id: str) -> Balance:
        """The user's account; a user seen for the first time gets the starting credits.

        A transaction that only reads tells what that user will find.
        """
        row = await self._session.row(_BALANCE, {"own_user": user_id})
        if row is None and not self._session.writes:
            starting = self._session.starting_credits
            return Balance(credits=starting, total_earned=starting)
        if row is None:
            await self._open_account(user_id)
            row = await self._session.row(_BALANCE, {"own_user": user_id})
        if row is None:
            raise RuntimeError("An account that was opened is not there")
        return Balance(
            credits=row.balance,
            held=row.held,
            total_earned=row.total_earned,
            total_spent=row.total_spent,
        )

    async def _open_account(self, user_id: str) -> None:
        """Open the account unless it is there; two at once open it once."""
        now, starting = self._session.now, self._session.starting_credits
        row = {
            "user_id": user_id,
            "balance": starting,
            "held": 0,
            "total_earned": starting,
            "total_spent": 0,
            "created_at": now,
            "updated_at": now,
        }
        if await self._session.run(_OPEN_ACCOUNT[self._session.dialect], row) and starting:
            await self._entry(
                user_id, STARTING_KEY, EntryKind.GRANT, starting, balance_delta=starting
            )

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

    async def _set_aside(self, user_id: str, more: int) -> bool:
        values = {"own_user": user_id, "more": more, "now": self._session.now}
        if await self._session.run(_SET_ASIDE, values):
            return True
        # Whoever opened it, this transaction or another one at the same time, it is there now.
        await self._open_account(user_id)
        return bool(await self._session.run(_SET_ASIDE, values))

    async def _held(self, user_id: str, job_id: str) -> int:
        own = {"own_user": user_id, "own_job": job_id}
        return int(await self._session.value(_HELD, own))

    async def _short(self, user_id: str, required: int, held: int = 0) -> InsufficientCredits:
        """The failure to raise; what the job itself holds counts as available to it."""
        return InsufficientCredits(required, (await self.balance(user_id)).free + held)

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
    ) -> int:
        """Charge ``amount`` and end the hold; once per job, whatever the round. Returns the charge.

        Zero when the job has been charged before. A job that holds nothing is charged from what is
        free.

        Raises:
            InsufficientCredits: more than was held, and that is not free; nothing is written.
        """
        own = {"own_user": user_id, "own_job": job_id}
        values = {**own, "price": amount, "by": key, "now": self._session.now}
        freed = await self._session.value(_SETTLE, values)
        held = freed is not None
        if not held:
            if await self._charged_before(user_id, job_id, key, amount):
                return 0
            freed = 0
        if not await self._charge(user_id, amount, freed):
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
        return amount

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

    async def _charge(self, user_id: str, price: int, freed: int) -> bool:
        values = {"own_user": user_id, "price": price, "freed": freed, "now": self._session.now}
        if await self._session.run(_CHARGE, values):
            return True
        await self._open_account(user_id)
        return bool(await self._session.run(_CHARGE, values))

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

    async def grant(self, user_id: str, reference: str, amount: int, description: str) -> Balance:
        """Add credits; the same reference again changes nothing. Returns the account after it."""
        await self.balance(user_id)
        key = f"grant:{reference}"
        kind = EntryKind.GRANT
        if await self._new_entry(
            user_id, key, kind, amount, balance_delta=amount, description=description
        ):
            values = {"own_user": user_id, "more": amount, "now": self._session.now}
            await self._session.run(_EARN, values)
        return await self.balance(user_id)

    async def transactions(
        self, user_id: str, *, limit: int, after: int | None = None
    ) -> CreditPage:
        """Entries of the user, newest first; ``after`` is the ``next`` of the page before."""
        statement = (
            select(credit_entries)
            .where(credit_entries.c.user_id == user_id)
            .order_by(credit_entries.c.id.desc())
            .limit(limit + 1)
        )
        if after is not None:
            statement = statement.where(credit_entries.c.id < after)
        rows = await self._session.rows(statement)
        entries = tuple(CreditEntry.model_validate(row._asdict()) for row in rows[:limit])
        return CreditPage(entries=entries, next=entries[-1].id if len(rows) > limit else None)

    async def _entry(
        self, user_id: str, key: str, kind: EntryKind, amount: int, **columns: Any
    ) -> None:
        """Write what has been done to the account.

        Raises:
            RuntimeError: the key has an entry: what was done must not stand, so nothing does.
        """
        if not await self._new_entry(user_id, key, kind, amount, **columns):
            raise RuntimeError(f"The ledger has an entry of the key {key} already")

    async def _new_entry(
        self, user_id: str, key: str, kind: EntryKind, amount: int, **columns: Any
    ) -> bool:
        """Whether it is new; a key has one entry."""
        job_id = columns.get("job_id")
        row = {
            **_BLANK_ENTRY,
            **columns,
            "user_id": user_id,
            "key": key,
            "kind": kind,
            "amount": amount,
            "step": None if job_id is None else key.removeprefix(f"{job_id}:"),
            "created_at": self._session.now,
        }
        return bool(await self._session.run(_ENTRY[self._session.dialect], row))
