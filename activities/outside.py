"""What outside transcribers report: waited for, taken over, told again when it was not heard."""

from functools import partial

from temporalio import activity

from activities.ports import Database, JobStarter, Transaction
from activities.wallet_ports import OwnWallet, Wallet
from contracts import ids
from contracts.errors import Conflict, NoSpeech, NotFound
from contracts.jobs import LONGEST_JOB_SECONDS, JobState, StaleJob, Step
from contracts.memo import MemoJob, MemoStatus, TranscribeTier
from contracts.outside import (
    EXTERNAL,
    FAILED,
    REPORT_SIGNAL,
    SILENT,
    DueReport,
    EndOutside,
    OutsideEnd,
    OutsideReport,
    OutsideTranscript,
)
from contracts.pricing import transcription_price
from contracts.reservations import Need
from contracts.tiers import AttemptOutcome
from contracts.transcript import TranscriptRef

PAGE = 200
TRANSCRIPTION = "transcription"


class OutsideActivities:
    """The tier ``external``; each step is one transaction and safe to do twice."""

    def __init__(self, database: Database, wallet: Wallet | None = None) -> None:
        self._database = database
        self._wallet = wallet or OwnWallet()

    @activity.defn(name="await_outside")
    async def await_outside(self, order: TranscribeTier) -> OutsideReport | None:
        """Write down that the tier waits; a failure that was reported before is the answer."""
        job, tier = order.job, order.tier.name
        async with self._database.write() as tx:
            if not await tx.attempts.is_open(job.job_id, job.user_id, tier):
                await tx.attempts.begin(
                    job.job_id, job.user_id, tier, order.tier.provider, job.round
                )
                await tx.jobs.advance(job.job_id, job.user_id, Step.TRANSCRIBE, tier=tier)
            told = await tx.outside.failure(job.job_id, job.user_id, job.round)
        if told is None:
            return None
        return OutsideReport(round=job.round, success=False, code=told[1])

    @activity.defn(name="end_outside")
    async def end_outside(self, order: EndOutside) -> None:
        """Write down why the tier came to nothing."""
        job = order.job
        async with self._database.write() as tx:
            provider, code, message = await _why(tx, order)
            await tx.attempts.end_open(
                job.job_id,
                job.user_id,
                EXTERNAL,
                _outcome(order.end, code),
                provider=provider,
                code=code,
                message=message,
            )
            failed = DueReport(
                job_id=job.job_id, user_id=job.user_id, round=job.round, success=False
            )
            await tx.outside.done(failed)

    @activity.defn(name="adopt_outside")
    async def adopt_outside(self, job: MemoJob) -> TranscriptRef:
        """Record the reported transcript as the job's, unless a tier's was recorded before it.

        Raises:
            InsufficientCredits: its length costs more than is free; nothing is recorded.
            Conflict: ``job_ended``.
            NotFound: none was reported.
        """
        key = ids.step_key(job.job_id, "hold_outside", job.round)
        need = Need(job_id=job.job_id, user_id=job.user_id, key=key, round=job.round)
        await self._wallet.cover(need, partial(_price_outside, job=job))
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is None or state.final:
                raise Conflict("The job ended before its transcript came", code="job_ended")
            said = await tx.outside.transcript(job.job_id, job.user_id)
            recorded = await tx.transcripts.find(job.job_id, job.user_id)
            if said is not None and recorded is None:
                price = transcription_price(await seconds_of(tx, job, said))
                await tx.credits.adjust_hold(job.user_id, job.job_id, key, price)
                await self._wallet.adjusted(tx, job.job_id, job.user_id)
            ref = await take_over(tx, job, said, recorded)
        if ref is None:
            raise NotFound
        return ref


async def _price_outside(tx: Transaction, *, job: MemoJob) -> int:
    """Nothing when there is nothing to take over."""
    said = await tx.outside.transcript(job.job_id, job.user_id)
    if said is None or await tx.transcripts.find(job.job_id, job.user_id) is not None:
        return 0
    return transcription_price(await seconds_of(tx, job, said))


async def seconds_of(tx: Transaction, job: MemoJob, said: OutsideTranscript) -> float:
    """What is charged: the measured length, else what the reporter says, else what the client."""
    measured = await tx.media.seconds(job.audio_path, job.user_id)
    return measured or said.transcript.seconds or job.claimed_seconds


async def take_over(
    tx: Transaction,
    job: MemoJob,
    said: OutsideTranscript | None,
    recorded: TranscriptRef | None,
) -> TranscriptRef | None:
    """Make what was reported the job's transcript; what is recorded first stays."""
    if said is None:
        return recorded
    outcome = AttemptOutcome.SUPERSEDED
    ref = recorded
    if ref is None:
        outcome = AttemptOutcome.SUCCEEDED
        seconds = await seconds_of(tx, job, said)
        ref = await tx.transcripts.save(
            job.job_id,
            job.user_id,
            job.memo_id,
            EXTERNAL,
            said.transcript.model_copy(update={"seconds": seconds}),
        )
        data = {"step": Step.TRANSCRIBE}
        await tx.jobs.advance(job.job_id, job.user_id, Step.SETTLE, tier=EXTERNAL, data=data)
    own = (job.job_id, job.user_id)
    if not await tx.attempts.end_open(*own, EXTERNAL, outcome, provider=said.provider):
        number = await tx.attempts.begin(*own, EXTERNAL, said.provider, job.round)
        await tx.attempts.end(*own, number, outcome, seconds=0)
    await tx.outside.forget_words(*own)
    return ref


async def _why(tx: Transaction, order: EndOutside) -> tuple[str | None, str | None, str | None]:
    """Provider, code and words for the attempt's row."""
    if order.end is OutsideEnd.CANCELLED:
        return None, None, None
    if order.end is OutsideEnd.SILENT:
        return None, SILENT, "No outside transcriber reported in time"
    told = await tx.outside.failure(order.job.job_id, order.job.user_id, order.job.round)
    return told or (None, order.code or FAILED, "The outside transcriber reported a failure")


def _outcome(end: OutsideEnd, code: str | None) -> AttemptOutcome:
    if end is OutsideEnd.CANCELLED:
        return AttemptOutcome.CANCELLED
    return AttemptOutcome.EMPTY if code == NoSpeech.code else AttemptOutcome.FAILED


class OutsideDelivery:
    """Tells jobs what was reported of them and not taken: the signal was lost, or Temporal away."""

    def __init__(self, database: Database, starter: JobStarter) -> None:
        self._database = database
        self._starter = starter

    async def deliver(self) -> int:
        """Tell every job that is due once; returns how many were told."""
        async with self._database.read() as tx:
            page = await tx.outside.due(limit=PAGE)
        told = 0
        for report in page:
            told += await self._deliver(report)
            activity.heartbeat(told)
        return told

    async def _deliver(self, report: DueReport) -> bool:
        async with self._database.write() as tx:
            state = await tx.jobs.state(report.job_id, report.user_id)
            if state is JobState.FAILED and report.success:
                again = await self._again(tx, report)
            elif state is None or state.final:
                await tx.outside.done(report)
                await tx.outside.forget_words(report.job_id, report.user_id)
                return False
            else:
                again = None
        if again is not None:
            return await self._starter.start(again.kind, again.id, again.user_id, again.request)
        told = state is JobState.RUNNING and await self._starter.signal(
            report.job_id, REPORT_SIGNAL, report.report
        )
        async with self._database.write() as tx:
            # A transcript is told again until the job has taken it; a failure is heard or moot.
            await (tx.outside.done if told and not report.success else tx.outside.postpone)(report)
        return told

    @staticmethod
    async def _again(tx: Transaction, report: DueReport) -> StaleJob:
        """A late success: the next round finds the transcript when it begins."""
        job = await tx.jobs.requeue(
            report.job_id, report.user_id, deadline_seconds=LONGEST_JOB_SECONDS
        )
        await tx.memos.set_processing(
            job.request["memo_id"], job.user_id, TRANSCRIPTION, MemoStatus.PENDING, error=None
        )
        await tx.outside.done(report)
        return job
