"""One attempt of one tier, recorded before it can be paid for twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio import activity

from activities.liveness import alive
from activities.ports import Database, Files, Transaction, Transcriber
from contracts.errors import (
    Conflict,
    Failure,
    NoSpeech,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
)
from contracts.jobs import Step
from contracts.memo import MemoJob, TranscribeTier
from contracts.tiers import AttemptOutcome, PlannedTier
from contracts.transcript import Transcript, TranscriptPart, TranscriptRef, has_speech, join_parts

FREE_TRIES = 10
"""How often a call that costs nothing is repeated after its worker died."""


@dataclass(frozen=True)
class TierBounds:
    """Bounds from the settings: tries of one tier, first pause in seconds (doubling)."""

    tries: int
    backoff_seconds: float


class TranscriptionActivities:
    """Transcribes with the engine behind a tier and saves what it said."""

    def __init__(
        self,
        database: Database,
        files: Files,
        transcribers: Mapping[str, Transcriber],
        bounds: TierBounds,
    ) -> None:
        self._database = database
        self._files = files
        self._transcribers = transcribers
        self._bounds = bounds

    @activity.defn(name="transcribe")
    async def transcribe(self, order: TranscribeTier) -> TranscriptRef:
        """Make and record the transcript of one recording by one tier.

        A transcript that is recorded already is returned without a call. Every call is one row,
        written before it is made.

        Raises:
            ProviderBusy: the same tier again after the pause it asks for.
            ProviderFailure: final for this tier; the class's code says what comes next.
            NoSpeech: the tier heard nothing.
        """
        job, tier = order.job, order.tier
        transcriber = self._transcribers.get(tier.name)
        if transcriber is None:
            raise ProviderOut(f"The tier {tier.name} is not configured on this worker")
        async with self._database.write() as tx:
            recorded = await tx.transcripts.find(job.job_id, job.user_id)
            if recorded is not None:
                return recorded
            number = await tx.attempts.begin(
                job.job_id, job.user_id, tier.name, tier.provider, job.round
            )
            tries = await tx.attempts.tries(job.job_id, job.user_id, tier.name, job.round)
            lost_bound = FREE_TRIES if transcriber.capabilities.free else self._bounds.tries
        call = _Call(self._database, order, number)
        if tries.lost >= lost_bound:
            failure = ProviderFailure("Workers died in every try of this tier", code="worker_lost")
            await call.failed(failure)
            raise failure
        try:
            transcript = await self._listen(order, transcriber)
        except ProviderFailure as failure:
            await call.failed(failure)
            raise self._after(failure, tries.busy + tries.lost + 1) from failure
        except asyncio.CancelledError:
            await asyncio.shield(call.cancelled())
            raise
        return await call.succeeded(transcript)

    def _after(self, failure: ProviderFailure, tries: int) -> ProviderFailure:
        """The failure to raise: a busy tier whose tries are used up is final."""
        if not isinstance(failure, ProviderBusy):
            return failure
        if tries >= self._bounds.tries:
            return ProviderFailure(failure.message, code=failure.code)
        pause = self._bounds.backoff_seconds * 2 ** (tries - 1)
        return ProviderBusy(
            failure.message, code=failure.code, retry_after=failure.retry_after or pause
        )

    async def _listen(self, order: TranscribeTier, transcriber: Transcriber) -> Transcript:
        job, seconds = order.job, order.facts.seconds
        async with self._database.read() as tx:
            parts = list(await tx.transcripts.parts(job.job_id, job.user_id, order.tier.name))
        done = parts[-1].end if parts else 0.0
        async with (
            alive(self._database, job.job_id, job.user_id, lambda: {"audio_seconds": done}),
            self._files.local(order.key) as path,
            _closing(
                transcriber.transcribe(
                    path,
                    order.facts,
                    languages=job.languages,
                    diarization=job.diarization,
                    after=done,
                )
            ) as stream,
        ):
            async for part in stream:
                parts.append(part)
                done = part.end
                if done < seconds:
                    await self._keep(job, order.tier, part, seconds)
        transcript = join_parts(parts, seconds)
        if not has_speech(transcript):
            raise NoSpeech("The tier heard no words")
        return transcript

    async def _keep(
        self, job: MemoJob, tier: PlannedTier, part: TranscriptPart, seconds: float
    ) -> None:
        async with self._database.write() as tx:
            await tx.transcripts.save_part(job.job_id, job.user_id, tier.name, part)
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.TRANSCRIBE,
                tier=tier.name,
                data={"percent": min(99, int(part.end / seconds * 100))},
            )


class _Call:
    """One vendor call: how it ends is written in one place."""

    def __init__(self, database: Database, order: TranscribeTier, number: int) -> None:
        self._database = database
        self._job = order.job
        self._tier = order.tier
        self._number = number
        self._began = time.monotonic()

    async def succeeded(self, transcript: Transcript) -> TranscriptRef:
        """Save transcript and attempt together; a job that has ended meanwhile keeps its end."""
        job = self._job
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is None or state.final:
                await self._end(tx, AttemptOutcome.SUPERSEDED)
                ref = None
            else:
                ref = await tx.transcripts.save(
                    job.job_id, job.user_id, job.memo_id, self._tier.name, transcript
                )
                await self._end(tx, AttemptOutcome.SUCCEEDED)
                await tx.jobs.advance(
                    job.job_id,
                    job.user_id,
                    Step.SETTLE,
                    tier=self._tier.name,
                    data={"step": Step.TRANSCRIBE, "seconds": self._seconds},
                )
        if ref is None:
            raise Conflict("The job ended before its transcript came", code="job_ended")
        return ref

    async def failed(self, failure: Failure) -> None:
        """Write the failure's code; the words of a vendor's error may stand in its message."""
        outcome = AttemptOutcome.EMPTY if isinstance(failure, NoSpeech) else AttemptOutcome.FAILED
        async with self._database.write() as tx:
            await self._end(tx, outcome, failure)

    async def cancelled(self) -> None:
        """The job was cancelled, or this worker is being stopped."""
        async with self._database.write() as tx:
            await self._end(tx, AttemptOutcome.CANCELLED)

    @property
    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)

    async def _end(
        self, tx: Transaction, outcome: AttemptOutcome, failure: Failure | None = None
    ) -> None:
        await tx.attempts.end(
            self._job.job_id,
            self._job.user_id,
            self._number,
            outcome,
            seconds=self._seconds,
            code=failure.code if failure else None,
            message=failure.message if failure else None,
        )


@asynccontextmanager
async def _closing(
    stream: AsyncIterator[TranscriptPart],
) -> AsyncIterator[AsyncIterator[TranscriptPart]]:
    """Close an engine's stream on every exit: that is what ends its call to the vendor."""
    try:
        yield stream
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
