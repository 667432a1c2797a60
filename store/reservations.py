"""What is reserved at a credits service elsewhere, and its shadow on the accounts here.

What a job has reserved there is put on its user's account here, held, and leaves it again when it
is charged or given back: so the ledger here has the same rows whoever keeps the credits, and the
sum of what it charges is the sum of what is committed there.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, delete, func, or_, select, true, update

from contracts.jobs import ENDS
from contracts.reservations import RemoteBalance, Reservation, ReservationState
from store.columns import Moment, spelled
from store.escrow import Escrow
from store.expressions import greatest, unless_there
from store.reservation_tables import IS_UNCERTAIN, IS_UNFINISHED, remote_reservations
from store.schema import jobs
from store.session import Session

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ROW: Final = remote_reservations.c
_OWN: Final = and_(_ROW.key == bindparam("own_key"), _ROW.user_id == bindparam("own_user"))
_OF_JOB: Final = and_(_ROW.job_id == bindparam("own_job"), _ROW.user_id == bindparam("own_user"))
_NOW: Final = bindparam("now", type_=Moment)

_ASK: Final = unless_there(remote_reservations)
_ROWS: Final = select(remote_reservations).where(_OF_JOB).order_by(_ROW.asked_at, _ROW.key)
_FORGET: Final = delete(remote_reservations).where(
    _OWN, _ROW.state == spelled(ReservationState.ASKED)
)
_MARK: Final = (
    update(remote_reservations)
    .where(_OWN)
    .values(state=bindparam("new_state"), updated_at=greatest(_ROW.updated_at, _NOW))
)
_ANSWERED: Final = (
    update(remote_reservations)
    .where(_OWN, _ROW.state == spelled(ReservationState.ASKED))
    .values(
        state=ReservationState.RESERVED,
        reservation_id=bindparam("new_id"),
        deposited=_ROW.amount,
        updated_at=greatest(_ROW.updated_at, _NOW),
    )
)
_ANSWERED_LATE: Final = (
    update(remote_reservations)
    .where(_OWN, _ROW.state.in_((ReservationState.ASKED, ReservationState.UNCERTAIN)))
    .values(
        state=ReservationState.REFUNDING,
        reservation_id=bindparam("new_id"),
        updated_at=greatest(_ROW.updated_at, _NOW),
    )
)
_FIND_OUT: Final = _MARK.values(reservation_id=bindparam("new_id")).where(
    _ROW.state == spelled(ReservationState.UNCERTAIN)
)
_WITHDRAWN: Final = update(remote_reservations).where(_OWN).values(deposited=0)
_COMMIT: Final = (
    update(remote_reservations)
    .where(_OF_JOB, _ROW.state == spelled(ReservationState.RESERVED))
    .values(
        state=ReservationState.COMMITTING,
        deposited=0,
        updated_at=greatest(_ROW.updated_at, _NOW),
    )
)
_GIVEN_BACK: Final = select(func.count()).where(
    _ROW.user_id == bindparam("own_user"),
    _ROW.key != bindparam("own_key"),
    or_(
        _ROW.state == ReservationState.REFUNDING,
        and_(
            _ROW.state == ReservationState.REFUNDED,
            _ROW.updated_at >= bindparam("since", type_=Moment),
        ),
    ),
)

_JOB_ENDED: Final = select(jobs.c.state.in_(ENDS)).where(jobs.c.id == _ROW.job_id).scalar_subquery()
_HELD: Final = (ReservationState.RESERVED, ReservationState.SURPLUS)
_TOLD: Final = (ReservationState.COMMITTING, ReservationState.REFUNDING)
_BACK: Final = frozenset(
    {ReservationState.SURPLUS, ReservationState.REFUNDING, ReservationState.REFUNDED}
)
_DUE: Final = (
    select(remote_reservations)
    .where(
        IS_UNFINISHED,
        or_(
            and_(or_(_ROW.deposited > 0, _ROW.state.in_(_HELD)), func.coalesce(_JOB_ENDED, true())),
            and_(
                _ROW.state.in_((*_TOLD, ReservationState.ASKED)),
                _ROW.updated_at < bindparam("until", type_=Moment),
            ),
        ),
        _ROW.key > bindparam("after"),
    )
    .order_by(_ROW.key)
    .limit(bindparam("most"))
)
# Says to the planner that it is to look into the index of those few rows.
_EVER: Final = _ROW.asked_at > bindparam("epoch", EPOCH, type_=Moment)
_UNCERTAIN: Final = (
    select(remote_reservations)
    .where(IS_UNCERTAIN, _EVER)
    .order_by(_ROW.asked_at)
    .limit(bindparam("most"))
)
_COUNT_UNCERTAIN: Final = select(func.count()).where(IS_UNCERTAIN, _EVER)


class Reservations:
    """Reservations at the service, inside a transaction; none is ever open while it is asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._escrow = Escrow(session)

    async def of_job(self, job_id: str, user_id: str) -> Sequence[Reservation]:
        """All of a job's, over or not, oldest first."""
        rows = await self._session.rows(_ROWS, {"own_job": job_id, "own_user": user_id})
        return [_reservation(row) for row in rows]

    async def ask(self, row: Reservation) -> bool:
        """Write down that the service is about to be asked; false when that key was used."""
        values = row.model_dump(mode="python", exclude={"before", "asked_at"})
        values |= {
            "balance_before": row.before.balance,
            "earned_before": row.before.total_earned,
            "spent_before": row.before.total_spent,
            "deposited": 0,
            "asked_at": row.asked_at,
            "updated_at": row.asked_at,
        }
        return bool(await self._session.run(_ASK[self._session.dialect], values))

    async def forget(self, row: Reservation) -> None:
        """Nothing was reserved by it."""
        await self._session.run(_FORGET, _own(row))

    async def answered(self, row: Reservation, reservation_id: str, *, wanted: bool) -> bool:
        """The service has reserved it; unwanted, or late, it is to be given back.

        Late is what counts as uncertain by now: the job may have asked for another since.

        Returns:
            False when nothing was asked, as far as is known.
        """
        values = {**self._change(row), "new_id": reservation_id}
        if wanted and await self._session.run(_ANSWERED, values):
            await self._escrow.deposit(row.user_id, row.key, row.amount)
            return True
        return bool(await self._session.run(_ANSWERED_LATE, values))

    async def mark(self, row: Reservation, state: ReservationState) -> None:
        """Set how far it is."""
        await self._session.run(_MARK, {**self._change(row), "new_state": state})

    async def commit(self, job_id: str, user_id: str) -> None:
        """What the job has reserved is charged: the service is to be told so."""
        values = {"own_job": job_id, "own_user": user_id, "now": self._session.now}
        await self._session.run(_COMMIT, values)

    async def give_back(self, job_id: str, user_id: str, *, every: bool) -> None:
        """Let go of what is surplus, or of every reservation: the service is to be told so.

        What stands on the account for them is taken off it, as far as it is not held.
        """
        for row in await self._session.rows(_ROWS, {"own_job": job_id, "own_user": user_id}):
            found = _reservation(row)
            if found.state is ReservationState.SURPLUS or (
                every and found.state is ReservationState.RESERVED
            ):
                await self.mark(found, ReservationState.REFUNDING)
                found = found.model_copy(update={"state": ReservationState.REFUNDING})
            if (
                row.deposited
                and found.state in _BACK
                and await self._escrow.take_back(user_id, found.key, found.amount)
            ):
                await self._session.run(_WITHDRAWN, _own(found))

    async def alone(self, row: Reservation) -> bool:
        """Whether we gave the user nothing back since it was asked.

        What else we do there takes credits, or counts as spent: it cannot hide a reservation.
        """
        values = {**_own(row), "since": row.asked_at}
        return not await self._session.value(_GIVEN_BACK, values)

    async def due(
        self, *, older_than_seconds: float, after: str, limit: int
    ) -> Sequence[Reservation]:
        """Of every owner, by key: what is to be told and was not, or is left of an ended job."""
        until = self._session.before(older_than_seconds)
        rows = await self._session.rows(_DUE, {"until": until, "after": after, "most": limit})
        return [_reservation(row) for row in rows]

    async def uncertain(self, limit: int) -> Sequence[Reservation]:
        """Of every owner, oldest first: what came of them is not known."""
        rows = await self._session.rows(_UNCERTAIN, {"most": limit})
        return [_reservation(row) for row in rows]

    async def count_uncertain(self) -> int:
        """How many there are."""
        return int(await self._session.value(_COUNT_UNCERTAIN))

    async def find_out(self, row: Reservation, reservation_id: str | None) -> bool:
        """An operator has looked: there is none, or there is one and it is to be given back."""
        state = ReservationState.CLOSED if reservation_id is None else ReservationState.REFUNDING
        values = {**self._change(row), "new_state": state, "new_id": reservation_id}
        return bool(await self._session.run(_FIND_OUT, values))

    def _change(self, row: Reservation) -> dict[str, Any]:
        return {**_own(row), "now": self._session.now}


def _own(row: Reservation) -> dict[str, Any]:
    return {"own_key": row.key, "own_user": row.user_id}


def _reservation(row: Row[Any]) -> Reservation:
    before = RemoteBalance(
        balance=row.balance_before, total_earned=row.earned_before, total_spent=row.spent_before
    )
    return Reservation(
        key=row.key,
        user_id=row.user_id,
        job_id=row.job_id,
        round=row.round,
        amount=row.amount,
        state=ReservationState(row.state),
        reservation_id=row.reservation_id,
        before=before,
        asked_at=row.asked_at,
    )
