"""One vendor call: its row is written before it is made, and how it ends in one place."""

import time
from typing import Self

from activities import bills
from activities.ports import Database, Transaction
from contracts.costs import (
    NOTHING,
    UNPRICED,
    Bill,
    Metered,
    Prices,
    Units,
    after_failure,
    audio,
    together,
)
from contracts.errors import Conflict, Failure, NoSpeech
from contracts.jobs import Step
from contracts.memo import TranscribeTier
from contracts.tiers import AttemptOutcome, Tries
from contracts.transcript import Transcript, TranscriptPart, TranscriptRef


class VendorCall:
    """An attempt that has begun.

    Attributes:
        number: of the attempt within its job.
    """

    def __init__(
        self, database: Database, order: TranscribeTier, number: int, prices: Prices = UNPRICED
    ) -> None:
        self._database = database
        self._job = order.job
        self._tier = order.tier
        self._overlap = 0.0 if order.chunk is None else order.chunk.lead_out
        self.number = number
        self._began = time.monotonic()
        self._prices = prices
        self._sent = audio(order.facts.seconds)
        self._told: list[Units] = []

    @classmethod
    async def begin(
        cls,
        database: Database,
        tx: Transaction,
        order: TranscribeTier,
        prices: Prices = UNPRICED,
    ) -> tuple[Self, Tries]:
        """Write the attempt; returns it and the tries before it that came to nothing.

        Should its worker be lost, the attempt counts as if it had been answered. A batch job is
        looked for by the next attempt, which pays for it then.
        """
        job, tier = order.job, order.tier
        chunk = None if order.chunk is None else order.chunk.index
        call = cls(database, order, 0, prices)
        call.number = await tx.attempts.begin(
            job.job_id,
            job.user_id,
            tier.name,
            tier.provider,
            job.round,
            chunk=chunk,
            bill=call._bill(NOTHING if tier.batch else call._sent),
        )
        tries = await tx.attempts.tries(job.job_id, job.user_id, tier.name, job.round, chunk=chunk)
        return call, tries

    def heard(self, part: TranscriptPart) -> None:
        """Take note of what the vendor says a part of its answer took."""
        self._told.append(part.units)

    async def succeeded(self, transcript: Transcript) -> TranscriptRef:
        """Save transcript and attempt together.

        Raises:
            Conflict: the job has ended meanwhile, and keeps its end.
        """
        job = self._job
        async with self._database.write() as tx:
            ref = None
            if await self._lives(tx):
                ref = await tx.transcripts.save(
                    job.job_id, job.user_id, job.memo_id, self._tier.name, transcript
                )
                if ref.tier != self._tier.name:
                    # Another one was recorded before it, an outside transcriber's.
                    await self._end(tx, AttemptOutcome.SUPERSEDED)
                    return ref
                await self._end(tx, AttemptOutcome.SUCCEEDED)
                await tx.jobs.advance(
                    job.job_id,
                    job.user_id,
                    Step.SETTLE,
                    tier=self._tier.name,
                    data={"step": Step.TRANSCRIBE, "seconds": self._seconds},
                )
        if ref is None:
            raise _ended()
        return ref

    async def kept(self, name: str, part: TranscriptPart) -> None:
        """Save a chunk's part and the attempt together; raises as ``succeeded``."""
        job = self._job
        async with self._database.write() as tx:
            lives = await self._lives(tx)
            if lives and await tx.transcripts.find(job.job_id, job.user_id) is not None:
                await self._end(tx, AttemptOutcome.SUPERSEDED)
            elif lives:
                await tx.transcripts.save_part(job.job_id, job.user_id, name, part)
                await self._end(tx, AttemptOutcome.SUCCEEDED)
                data = {"from": part.start, "to": part.end, "seconds": self._seconds}
                if self._overlap:
                    data["overlap"] = self._overlap
                await tx.jobs.advance(
                    job.job_id,
                    job.user_id,
                    Step.TRANSCRIBE,
                    tier=self._tier.name,
                    data=data,
                )
        if not lives:
            raise _ended()

    async def failed(self, failure: Failure, units: Units | None = None) -> None:
        """Write the failure's code and sentence.

        Args:
            units: what it took; none: by the kind of the failure.
        """
        outcome = AttemptOutcome.EMPTY if isinstance(failure, NoSpeech) else AttemptOutcome.FAILED
        async with self._database.write() as tx:
            await self._end(tx, outcome, failure, units or after_failure(failure, self.took))

    async def cancelled(self) -> None:
        """The job was cancelled, or this worker is being stopped."""
        async with self._database.write() as tx:
            await self._end(tx, AttemptOutcome.CANCELLED)

    async def _lives(self, tx: Transaction) -> bool:
        """Whether the job is still at work; else this attempt came too late and says so."""
        state = await tx.jobs.state(self._job.job_id, self._job.user_id)
        if state is None or state.final:
            await self._end(tx, AttemptOutcome.SUPERSEDED)
            return False
        return True

    @property
    def took(self) -> Units:
        """What it takes when it is answered: the audio, and what the vendor has said so far."""
        return together(self._told).over(self._sent)

    def _bill(self, units: Units) -> Bill:
        return self._prices.bill(Metered.TRANSCRIPTION, self._tier.name, units)

    @property
    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)

    async def _end(
        self,
        tx: Transaction,
        outcome: AttemptOutcome,
        failure: Failure | None = None,
        units: Units | None = None,
    ) -> None:
        bill = self._bill(units or self.took)
        bills.count(self._tier.name, self._tier.provider, bill)
        await tx.attempts.end(
            self._job.job_id,
            self._job.user_id,
            self.number,
            outcome,
            seconds=self._seconds,
            code=failure.code if failure else None,
            message=failure.message if failure else None,
            bill=bill,
        )


def _ended() -> Conflict:
    return Conflict("The job ended before its transcript came", code="job_ended")
