"""Credits kept by a service elsewhere: reserved before a job's steps, told after them.

Each call stands between two transactions: the first writes what is about to be asked, the second
what came of it. So whoever comes after a crash knows what may have happened. ``reserve`` cannot be
asked twice, and is not: an answer that was lost is looked into by the account's numbers, once
nobody can be waiting for it any more. What cannot be known stands as ``uncertain`` for an operator,
and is asked anew once, not twice, in a round of a job. See docs/decisions/0025.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from activities.ports import Database, Transaction
from activities.wallet_ports import CreditsService, Price
from contracts.credits import Charge
from contracts.errors import AnswerLost, Conflict, Failure, InsufficientCredits, Unavailable
from contracts.reservations import (
    Need,
    NextStep,
    RemoteBalance,
    Reservation,
    ReservationState,
    Step,
    came_to_nothing,
    next_step,
)

LEASE_SECONDS: Final = 30.0
"""Longer than any call: after so long nobody waits for the answer of a reservation any more."""

TELL_SECONDS: Final = 2.0
"""How long a step waits for what it decided to be passed on; it goes on by itself then."""

MOST_STEPS: Final = 12
"""From nothing to exactly enough takes four at most, a lost answer two more."""

RECORD_TRIES: Final = 6
RECORD_PAUSE: Final = 0.5
"""Seconds before what the service reserved is written down again, doubled each time."""

CLOSE_SECONDS: Final = 4.0
"""How long a worker that ends waits for the service."""

PAGE: Final = 100
LEFT_SECONDS: Final = 60.0
"""So long after a step nobody passes on what it decided: its worker is gone, or the service was."""

log = structlog.get_logger()


class RemoteWallet:
    """Implements ``Wallet`` over a credits service.

    Args:
        lease_seconds: how long the answer of a reservation may take.
    """

    elsewhere = True

    def __init__(
        self,
        database: Database,
        service: CreditsService,
        *,
        lease_seconds: float = LEASE_SECONDS,
        left_seconds: float = LEFT_SECONDS,
    ) -> None:
        self._database = database
        self._service = service
        self._lease = timedelta(seconds=lease_seconds)
        self._left_seconds = left_seconds
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def cover(self, need: Need, price: Price) -> None:
        """See that exactly what the step costs is reserved; nothing for a job that has ended.

        Raises:
            InsufficientCredits: the account has too few; nothing more is reserved than was.
            Conflict: ``credits_uncertain``, two answers were lost for good.
            Unavailable: the service, or an answer of it, is away.
        """
        for _ in range(MOST_STEPS):
            async with self._database.write() as tx:
                state = await tx.jobs.state(need.job_id, need.user_id)
                if state is None or state.final:
                    return
                amount = await price(tx)
                rows = await tx.reservations.of_job(need.job_id, need.user_id)
                step = next_step(rows, amount, need.round)
                if step.do is NextStep.TRIM:
                    for row in _held(rows):
                        if row.key not in step.keys:
                            await tx.reservations.mark(row, ReservationState.SURPLUS)
            if step.do in {NextStep.NOTHING, NextStep.TRIM}:
                return
            await self._take(step, need, amount, list(rows))
        raise Unavailable("Credits are reserved and given back at once", code="credits_unavailable")

    async def _take(self, step: Step, need: Need, amount: int, rows: list[Reservation]) -> None:
        if step.do is NextStep.GIVE_UP:
            message = "The credits service did not say whether it has reserved, twice"
            raise Conflict(message, code="credits_uncertain")
        if step.do is NextStep.RESOLVE:
            await self._resolve(next(row for row in rows if row.key == step.keys[0]))
            return
        before = await self._service.balance(need.user_id)
        held = sum(row.amount for row in _held(rows))
        if before.balance >= step.amount:
            try:
                await self._ask(need, step.amount, before, len(rows))
            except InsufficientCredits:
                now = await self._service.balance(need.user_id)
                raise InsufficientCredits(amount, max(now.balance + held, 0)) from None
        elif any(row.state is ReservationState.REFUNDING for row in rows):
            await self._pass_on(need.job_id, need.user_id)
        elif held and before.balance + held >= amount:
            # Enough only together with what is reserved already: that has to go first.
            await self._give_up_first(need)
        else:
            raise InsufficientCredits(amount, max(before.balance + held, 0))

    async def _ask(self, need: Need, amount: int, before: RemoteBalance, number: int) -> None:
        row = Reservation(
            key=f"{need.key}~{number}",
            user_id=need.user_id,
            job_id=need.job_id,
            round=need.round,
            amount=amount,
            state=ReservationState.ASKED,
            before=before,
            asked_at=datetime.now(UTC),
        )
        async with self._database.write() as tx:
            fresh = await tx.reservations.ask(row)
        if fresh:
            # A step that is cut off must not cut this off: its answer is told but once.
            asking = asyncio.create_task(self._reserve(row), name=f"reserve {row.key}")
            self._asking[row.key] = asking
            asking.add_done_callback(lambda done: self._asked(row.key, done))
            await asyncio.shield(asking)

    def _asked(self, key: str, done: "asyncio.Task[None]") -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever waited has it; nobody may have

    async def _reserve(self, row: Reservation) -> None:
        try:
            made = await self._service.reserve(row.user_id, row.amount, row.job_id)
        except AnswerLost as lost:
            log.warning("reservation.answer_lost", key=row.key, message=lost.message)
            lost.retry_after = self._lease.total_seconds()
            raise
        except (InsufficientCredits, Unavailable):
            async with self._database.write() as tx:
                await tx.reservations.forget(row)
            raise
        await self._record(row, made.id)

    async def _record(self, row: Reservation, reservation_id: str) -> None:
        """Write down what was reserved: it is known nowhere else, so this is not given up soon."""
        for tries in range(RECORD_TRIES):
            try:
                async with self._database.write() as tx:
                    state = await tx.jobs.state(row.job_id, row.user_id)
                    open_ = state is not None and not state.final
                    if await tx.reservations.answered(row, reservation_id, wanted=open_):
                        return
                break
            except Unavailable:
                await asyncio.sleep(RECORD_PAUSE * 2**tries)
        log.error("reservation.not_recorded", key=row.key, reservation_id=reservation_id)
        raise AnswerLost("What was reserved could not be written down", code="credits_unavailable")

    async def _resolve(self, row: Reservation) -> None:
        """What came of a reservation that was asked for, and whose answer was not written down."""
        asking = self._asking.get(row.key)
        if asking is not None:
            await asyncio.shield(asking)
            return
        left = (row.asked_at + self._lease - datetime.now(UTC)).total_seconds()
        if left > 0:
            message = "A reservation is being asked for"
            raise Unavailable(message, code="credits_unavailable", retry_after=left)
        now = await self._service.balance(row.user_id)
        async with self._database.write() as tx:
            if came_to_nothing(row, now, alone=await tx.reservations.alone(row)):
                await tx.reservations.forget(row)
                return
            await tx.reservations.mark(row, ReservationState.UNCERTAIN)
        log.error("reservation.uncertain", key=row.key, user_id=row.user_id, amount=row.amount)

    async def _give_up_first(self, need: Need) -> None:
        """Give back what is reserved, so that the right amount can be: others may be faster."""
        async with self._database.write() as tx:
            for row in _held(await tx.reservations.of_job(need.job_id, need.user_id)):
                await tx.reservations.mark(row, ReservationState.REFUNDING)
        await self._pass_on(need.job_id, need.user_id)

    async def adjusted(self, tx: Transaction, job_id: str, user_id: str) -> None:
        """Let go of what a smaller hold does not need."""
        await tx.reservations.give_back(job_id, user_id, every=False)

    async def settled(self, tx: Transaction, job_id: str, user_id: str, charge: Charge) -> None:
        """Charge what is reserved, or let go of it when the job had been charged before."""
        if charge.amount:
            await tx.reservations.commit(job_id, user_id)
        await tx.reservations.give_back(job_id, user_id, every=True)

    async def ended(self, tx: Transaction, job_id: str, user_id: str) -> None:
        """Let go of everything the job has reserved."""
        await tx.reservations.give_back(job_id, user_id, every=True)

    async def tell(self, job_id: str, user_id: str) -> None:
        """Pass on what was decided; `heal` does what cannot be done now."""
        telling = asyncio.create_task(self._told(job_id, user_id), name=f"tell {job_id}")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        await asyncio.wait([telling], timeout=TELL_SECONDS)

    async def _told(self, job_id: str, user_id: str) -> None:
        try:
            await self._pass_on(job_id, user_id)
        except Failure as failure:
            log.warning("reservation.not_told", job_id=job_id, message=failure.message)

    async def _pass_on(self, job_id: str, user_id: str) -> None:
        async with self._database.read() as tx:
            rows = await tx.reservations.of_job(job_id, user_id)
        for row in rows:
            await self._end(row)

    async def _end(self, row: Reservation) -> bool:
        """Tell the service what was decided about a reservation, if anything was."""
        if row.state is ReservationState.COMMITTING:
            await self._service.commit(row.reservation_id or "", row.job_id)
            done = ReservationState.COMMITTED
        elif row.state is ReservationState.REFUNDING:
            await self._service.refund(row.reservation_id or "")
            done = ReservationState.REFUNDED
        else:
            return False
        async with self._database.write() as tx:
            await tx.reservations.mark(row, done)
        return True

    async def heal(self) -> int:
        """Pass on what was not, and let go of what ended jobs left; stops when the service is away.

        Returns:
            How many reservations it brought on.
        """
        healed, after = 0, ""
        try:
            while True:
                async with self._database.read() as tx:
                    page = await tx.reservations.due(
                        older_than_seconds=self._left_seconds, after=after, limit=PAGE
                    )
                for row in page:
                    healed += await self._bring_on(row)
                if len(page) < PAGE:
                    return healed
                after = page[-1].key
        except Unavailable as failure:
            log.warning("reservation.not_healed", message=failure.message)
            return healed

    async def _bring_on(self, row: Reservation) -> bool:
        if row.state is ReservationState.ASKED:
            if row.key in self._asking:
                return False
            await self._resolve(row)
            return True
        async with self._database.write() as tx:
            state = await tx.jobs.state(row.job_id, row.user_id)
            if state is None or state.final:
                await tx.reservations.give_back(row.job_id, row.user_id, every=True)
            rows = await tx.reservations.of_job(row.job_id, row.user_id)
        return any([await self._end(each) for each in rows])

    async def aclose(self) -> None:
        """Let what is under way come to its end, for a moment; the rest is found by its rows."""
        under_way = [*self._asking.values(), *self._telling]
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)


def _held(rows: Iterable[Reservation]) -> list[Reservation]:
    return [row for row in rows if row.state is ReservationState.RESERVED]
