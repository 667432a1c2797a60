"""One call of an engine that speaks: its row is written before it is made."""

import time
from typing import Self

from activities import bills
from activities.ports import Database, Transaction
from contracts import ids
from contracts.costs import Bill, Metered, Prices, Units, after_failure
from contracts.errors import Conflict, Failure
from contracts.jobs import Step
from contracts.speech_job import KeptPart, SpeakPart
from contracts.tiers import AttemptOutcome, Tries


class SpeechCall:
    """An attempt that has begun.

    Attributes:
        tries: that came to nothing before it.
    """

    def __init__(
        self, database: Database, order: SpeakPart, text: str, prices: Prices, tries: Tries
    ) -> None:
        self._database = database
        self._job = order.job
        self._tier = order.voice
        self._index = order.index
        self._prices = prices
        self._sent = Units(characters=len(text))
        self._told = self._sent
        self._answered = False
        part_hash = order.voice.part_hash(text)
        self._key = ids.part_key(order.job.user_id, order.job.file_id, part_hash)
        self._number = 0
        self._began = time.monotonic()
        self.tries = tries

    @classmethod
    async def begin(
        cls, database: Database, tx: Transaction, order: SpeakPart, text: str, prices: Prices
    ) -> Self:
        """Write the attempt; should its worker be lost, it counts as if it had been answered."""
        job, tier = order.job, order.voice
        call = cls(database, order, text, prices, Tries())
        call._number = await tx.attempts.begin(
            job.job_id,
            job.user_id,
            tier.name,
            tier.provider,
            job.round,
            chunk=order.index,
            step=Step.SPEAK,
            bill=call._bill(call._sent),
        )
        call.tries = await tx.attempts.tries(
            job.job_id, job.user_id, tier.name, job.round, chunk=order.index, step=Step.SPEAK
        )
        return call

    def answered(self, units: Units) -> None:
        """Take note of what the vendor says it took."""
        self._told = units.over(self._sent)
        self._answered = True

    async def kept(self, scope: str, part: KeptPart) -> None:
        """Keep part and attempt together.

        Raises:
            Conflict: the job has ended meanwhile; what was stored is left to the sweep.
        """
        job = self._job
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            lives = state is not None and not state.final
            outcome = AttemptOutcome.SUCCEEDED if lives else AttemptOutcome.SUPERSEDED
            await self._end(tx, outcome)
            if lives and await tx.speech.keep_part(scope, job.user_id, job.file_id, part):
                await tx.media.stand(part.key, job.user_id)
            if lives:
                data = {
                    "part": self._index,
                    "audio_seconds": part.seconds,
                    "seconds": self._seconds,
                }
                await tx.jobs.advance(
                    job.job_id, job.user_id, Step.SPEAK, tier=self._tier.name, data=data
                )
        if not lives:
            raise Conflict("The job ended before its part was spoken", code="job_ended")

    async def failed(self, failure: Failure) -> None:
        """Write the failure's code and sentence."""
        async with self._database.write() as tx:
            await self._end(tx, AttemptOutcome.FAILED, failure)
            await self._nothing_stored(tx)

    async def cancelled(self) -> None:
        """The job was cancelled, or this worker is being stopped."""
        async with self._database.write() as tx:
            await self._end(tx, AttemptOutcome.CANCELLED)
            await self._nothing_stored(tx)

    async def _nothing_stored(self, tx: Transaction) -> None:
        """Forget the file that was announced; one that may be there is left to the sweep."""
        if not self._answered and not self.tries.lost:
            await tx.media.remove(self._key, self._job.user_id)

    @property
    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)

    def _bill(self, units: Units) -> Bill:
        if self._tier.own_token:  # whoever owns the token pays
            return Bill(units=units, micros=0)
        return self._prices.bill(Metered.SPEECH, self._tier.name, units)

    async def _end(
        self, tx: Transaction, outcome: AttemptOutcome, failure: Failure | None = None
    ) -> None:
        units = self._told if failure is None else after_failure(failure, self._told)
        bill = self._bill(units)
        bills.count(self._tier.name, self._tier.provider, bill)
        await tx.attempts.end(
            self._job.job_id,
            self._job.user_id,
            self._number,
            outcome,
            seconds=self._seconds,
            code=failure.code if failure else None,
            message=failure.message if failure else None,
            bill=bill,
        )
