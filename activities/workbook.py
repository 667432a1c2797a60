"""What a request to a language model leaves in the database while it is worked on.

Every call of a vendor is one row, written before it is made. The row of the call that answers is
closed in the transaction of what it wrote, and notes are kept in that of their call: what says that
it succeeded has its result beside it. Calls of the local engine cost nothing and are written when
they are over, with whatever is written next.
"""

import asyncio
from typing import Any, Final

from activities import bills
from activities.ports import Database, Transaction
from contracts.costs import UNPRICED, Bill, Metered, Prices
from contracts.errors import ProviderFailure
from contracts.jobs import Step
from contracts.language import ModelCall, Purpose
from contracts.language_setup import LOCAL
from contracts.tiers import AttemptOutcome

KEPT: Final = frozenset({Purpose.NOTES, Purpose.PART})
"""Calls whose answers are kept one by one, each with its attempt."""


class JobWorkbook:
    """A ``Workbook`` of ``activities.language_ports`` in the rows of one job's run.

    Args:
        step: of the calls that write; those that take notes have a step of their own.
        fresh: no run before this one can have left anything.
        tries: how many tries in vain there may be, a lost worker one of them; 0: not counted.
        prices: of the models.
    """

    def __init__(
        self,
        database: Database,
        job_id: str,
        user_id: str,
        *,
        round: int,  # noqa: A002 - the name the job has for it
        step: Step,
        fresh: bool,
        tries: int = 0,
        prices: Prices = UNPRICED,
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._user_id = user_id
        self._round = round
        self._step = step
        self._unclosed = not fresh
        self._tries = tries
        self._prices = prices
        self._given_up = False
        self._numbers: dict[int, int] = {}
        self._over: list[ModelCall] = []
        self._noted: dict[asyncio.Task[Any] | None, ModelCall] = {}
        self.has_notes = not fresh

    async def began(self, call: ModelCall) -> None:
        """Write the attempt, and close those a lost worker left.

        Raises:
            ProviderFailure: ``worker_lost``, workers died in this once too often to pay for more.
        """
        if call.tier == LOCAL:
            return
        async with self._database.write() as tx:
            await self._close_lost(tx)
            if not self._given_up:
                self._numbers[call.number] = await tx.attempts.begin_beside(
                    self._job_id,
                    self._user_id,
                    call,
                    round=self._round,
                    step=self._step_of(call),
                    bill=self._bill(call),
                )
        if self._given_up:
            raise ProviderFailure("Workers died in every try", code="worker_lost")

    async def ended(self, call: ModelCall) -> None:
        """Close the attempt, at once unless something is about to be written with it."""
        if call.tier == LOCAL:
            self._over.append(call)
        elif call.outcome is not AttemptOutcome.SUCCEEDED:
            async with self._database.write() as tx:
                await self._close(tx, call)
        elif call.purpose in KEPT:
            self._noted[asyncio.current_task()] = call
        else:
            self._over.append(call)

    async def notes(self, key: str) -> str | None:
        """Notes that an earlier attempt of this request kept under that key."""
        async with self._database.read() as tx:
            notes = await tx.language.notes(self._job_id, self._user_id, key)
        self.has_notes = self.has_notes or notes is not None
        return notes

    async def keep_notes(self, key: str, notes: str) -> None:
        """Keep notes and close the attempt that took them."""
        call = self._noted.pop(asyncio.current_task(), None)
        self.has_notes = True
        async with self._database.write() as tx:
            await tx.language.keep_notes(self._job_id, self._user_id, key, notes)
            if call is not None:
                await self._close(tx, call)

    async def close(self, tx: Transaction, *, superseded: bool = False) -> None:
        """Close what is over, in the transaction of what was written.

        Args:
            superseded: nothing was written: the job had ended.
        """
        await self._close_lost(tx)
        for call in self._over:
            outcome = AttemptOutcome.SUPERSEDED if superseded else call.outcome
            await self._close(tx, call.model_copy(update={"outcome": outcome}))
        self._over.clear()

    async def _close(self, tx: Transaction, call: ModelCall) -> None:
        bill = self._bill(call)
        bills.count(call.tier, call.provider, bill)
        number = self._numbers.get(call.number)
        if number is None:
            await tx.attempts.record(
                self._job_id,
                self._user_id,
                call,
                round=self._round,
                step=self._step_of(call),
                bill=bill,
            )
            return
        await tx.attempts.end(
            self._job_id,
            self._user_id,
            number,
            call.outcome or AttemptOutcome.FAILED,
            seconds=call.seconds or 0.0,
            code=call.code,
            message=call.message,
            bill=bill,
        )

    async def _close_lost(self, tx: Transaction) -> None:
        """What an earlier run left open is looked for once."""
        if not self._unclosed:
            return
        self._unclosed = False
        lost = await tx.attempts.close_lost_beside(self._job_id, self._user_id)
        if lost and self._tries:
            vain = await tx.language.count_vain(self._job_id, self._user_id, self._round)
            self._given_up = vain >= self._tries

    def _bill(self, call: ModelCall) -> Bill:
        return self._prices.bill(Metered.LANGUAGE, call.tier, call.units)

    def _step_of(self, call: ModelCall) -> Step:
        return Step.NOTES if call.purpose is Purpose.NOTES else self._step
