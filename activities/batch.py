"""Transcription that a vendor makes in its own time: submit, collect, discard."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.batch_ports import BatchTranscriber, Staging
from activities.liveness import alive
from activities.ports import Database, Files
from activities.transcription import FREE_TRIES, TierBounds, check_lost
from activities.vendor_call import VendorCall
from contracts import ids
from contracts.batch import BatchState, JobOwner, VendorJob, staging_key
from contracts.costs import NOTHING, UNPRICED, Metered, Prices, audio
from contracts.errors import (
    NoSpeech,
    NotThereYet,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
)
from contracts.memo import BatchOrder, SubmittedBatch, TranscribeTier
from contracts.signatures import CONTAINERS
from contracts.tiers import AttemptOutcome
from contracts.transcript import TranscriptRef, has_speech, join_parts

LONGEST_PAUSE_SECONDS = 300.0

STAGED_SECONDS = 3 * 86_400.0
"""No job lives so long, nor does a link to what is staged."""
MOST_AWAY = 12
"""So many looks in a row, at least half an hour, may find the vendor away; then the next tier
serves."""


@dataclass(frozen=True)
class BatchEngine:
    """A vendor of batch transcription, and where it reads the audio."""

    transcriber: BatchTranscriber
    staging: Staging


class BatchActivities:
    """A lost answer is looked up before anything is submitted again.

    Args:
        engines: by the name of their tier.
        poll_seconds: first pause between two looks at a job, growing to five minutes.
    """

    def __init__(
        self,
        *,
        database: Database,
        files: Files,
        engines: Mapping[str, BatchEngine],
        bounds: TierBounds,
        poll_seconds: float,
        prices: Prices = UNPRICED,
    ) -> None:
        self._database = database
        self._files = files
        self._engines = engines
        self._bounds = bounds
        self._poll_seconds = poll_seconds
        self._prices = prices

    @activity.defn(name="submit_batch")
    async def submit(self, order: TranscribeTier) -> SubmittedBatch:
        """Find the vendor's job of this operation, or stage the audio and make one.

        Raises:
            ProviderBusy: again after a pause; nothing is submitted while it cannot be looked up.
            ProviderFailure: final for this tier.
        """
        job, engine = order.job, self._engine(order)
        async with self._database.write() as tx:
            call, tries = await VendorCall.begin(self._database, tx, order, self._prices)
        try:
            check_lost(tries, FREE_TRIES)
            async with alive(self._database, job.job_id, job.user_id):
                vendor_job = await self._found_or_made(order, engine)
        except ProviderFailure as failure:
            after = self._bounds.after(failure, tries.busy + 1)
            found = await _made_after_all(order, engine) if after.final else None
            if found is None:
                # A job that was made all the same is found, and paid for, by the next attempt.
                await call.failed(failure, NOTHING)
                raise after from failure
            vendor_job = found
        await self._keep(order, engine, vendor_job)
        return SubmittedBatch(number=call.number, job=vendor_job)

    async def _keep(
        self, order: TranscribeTier, engine: BatchEngine, vendor_job: VendorJob
    ) -> None:
        """Remember whose the vendor's job is: its events name nothing else."""
        job = order.job
        owner = JobOwner(job_id=job.job_id, user_id=job.user_id)
        async with self._database.write() as tx:
            await tx.vendor_jobs.keep(engine.transcriber.provider, vendor_job.id, owner)
            await tx.memos.name_vendor_job(job.memo_id, job.user_id, vendor_job.id, batch=True)

    async def _found_or_made(self, order: TranscribeTier, engine: BatchEngine) -> VendorJob:
        operation = operation_of(order)
        found = await engine.transcriber.find(operation)
        for spare in found[1:]:
            await engine.transcriber.delete(spare)
        if found:
            return found[0]
        kind = CONTAINERS[order.facts.container]
        async with self._files.local(order.key) as path:
            url = await engine.staging.stage(
                staging_key(operation, kind.extension), path, media_type=kind.media_type
            )
        return await engine.transcriber.submit(
            operation,
            url,
            order.facts,
            languages=order.job.languages,
            diarization=order.job.diarization,
        )

    @activity.defn(name="collect_batch")
    async def collect(self, order: BatchOrder) -> TranscriptRef:
        """Record the transcript of a job that is done.

        Raises:
            NotThereYet: it is still at work; asked again later, which writes no history.
            ProviderBusy: the vendor does not answer now; the job goes on.
            ProviderFailure: the job failed; final for this tier.
        """
        tier, vendor_job = order.tier, order.submitted.job
        job, engine = tier.job, self._engine(tier)
        async with self._database.read() as tx:
            recorded = await tx.transcripts.find(job.job_id, job.user_id)
        if recorded is not None:
            return recorded
        call = VendorCall(self._database, tier, order.submitted.number, self._prices)
        try:
            # A worker that dies in a look is missed in a minute, not when its time is over.
            async with alive(self._database, job.job_id, job.user_id, _times_away):
                self._check_done(await engine.transcriber.state(vendor_job))
                part = await engine.transcriber.results(
                    vendor_job, tier.facts, languages=job.languages
                )
            transcript = join_parts([part], tier.facts.seconds)
            if not has_speech(transcript):
                raise NoSpeech("The tier heard no words")
        except NotThereYet:
            _is_away(0)
            raise
        except ProviderFailure as failure:
            after = self._after(failure)
            if after.final:
                # The job of a vendor that is away goes on.
                busy = isinstance(failure, ProviderBusy)
                await call.failed(failure, call.took if busy else None)
            raise after from failure
        return await call.succeeded(transcript)

    def _check_done(self, state: BatchState) -> None:
        if not state.done:
            raise NotThereYet(
                "The vendor's job is still at work",
                code="batch_running",
                retry_after=self._pause(state.retry_after),
            )

    def _after(self, failure: ProviderFailure) -> ProviderFailure:
        """The failure to raise: away once too often is final."""
        if not isinstance(failure, ProviderBusy):
            return failure
        away = _times_away() + 1
        if away >= MOST_AWAY:
            return ProviderFailure(failure.message, code=failure.code)
        _is_away(away)
        pause = self._pause(failure.retry_after)
        return ProviderBusy(failure.message, code=failure.code, retry_after=pause)

    def _pause(self, wanted: float | None) -> float:
        growing = self._poll_seconds * 1.5 ** min(activity.info().attempt - 1, 20)
        return max(min(growing, LONGEST_PAUSE_SECONDS), wanted or 0.0)

    @activity.defn(name="discard_batch")
    async def discard(self, order: TranscribeTier) -> int:
        """Delete the operation's jobs and its staged audio; returns how many things went."""
        engine = self._engine(order)
        job, operation = order.job, operation_of(order)
        kind = CONTAINERS[order.facts.container]
        async with self._database.write() as tx:
            # Of a job that was cancelled, or whose time was over while it was waited for.
            await tx.attempts.end_open(
                job.job_id,
                job.user_id,
                order.tier.name,
                AttemptOutcome.CANCELLED,
                bill=self._prices.bill(
                    Metered.TRANSCRIPTION, order.tier.name, audio(order.facts.seconds)
                ),
            )
        # Each goes whether or not the other can be had now.
        gone, failed = 0, None
        try:
            gone = int(await engine.staging.remove(staging_key(operation, kind.extension)))
        except ProviderFailure as failure:
            failed = failure
        gone += await self._forget_jobs(engine, operation)
        if failed is not None:
            raise failed
        return gone

    async def _forget_jobs(self, engine: BatchEngine, operation: str) -> int:
        found = await engine.transcriber.find(operation)
        for each in found:
            await engine.transcriber.delete(each)
        async with self._database.write() as tx:
            for each in found:
                await tx.vendor_jobs.forget(engine.transcriber.provider, each.id)
        return len(found)

    def _engine(self, order: TranscribeTier) -> BatchEngine:
        engine = self._engines.get(order.tier.name)
        if engine is None:
            raise ProviderOut(f"The tier {order.tier.name} is not configured on this worker")
        return engine


async def _made_after_all(order: TranscribeTier, engine: BatchEngine) -> VendorJob | None:
    """The job of a submission whose answer alone was lost: looked for before a tier is given up."""
    try:
        found = await engine.transcriber.find(operation_of(order))
    except ProviderFailure:
        return None
    return found[0] if found else None


def _times_away() -> int:
    """Looks in a row that found the vendor away: kept from try to try by their heartbeats."""
    kept = activity.info().heartbeat_details
    return int(kept[0]) if kept else 0


def _is_away(times: int) -> None:
    """Keep it; a heartbeat costs, so nothing is said as long as all is well."""
    if times or _times_away():
        activity.heartbeat(times)


def operation_of(order: TranscribeTier) -> str:
    """Idempotency key of the vendor's job."""
    return ids.step_key(order.job.job_id, order.tier.name, order.job.round)


class StagingSweep:
    """Staged audio that its job could not remove, because storage was away too long."""

    def __init__(self, engines: Mapping[str, BatchEngine]) -> None:
        self._engines = engines

    async def remove(self) -> int:
        """Remove what is older than any job; storage that is away is asked again by the next."""
        removed = 0
        for name, engine in self._engines.items():
            try:
                removed += await engine.staging.sweep(STAGED_SECONDS)
            except ProviderFailure as failure:
                activity.logger.warning(
                    "staging.not_swept", extra={"tier": name, "code": failure.code}
                )
        return removed
