"""Takes the report of an outside transcriber: kept first, told to the job next.

What is kept is told again by ``reconcile`` until the job has it: whatever was answered with success
is never lost, also when Temporal is away or this process dies.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from api.dependencies import Services
from api.job_start import Entered, JobStart, OutcomeUnknown
from api.shapes.outside import ReportTaken, TranscriptionCompleted
from contracts.errors import NoSpeech, NotFound, Unavailable
from contracts.ids import MEMO
from contracts.jobs import LONGEST_JOB_SECONDS, Job, JobState, StaleJob
from contracts.memo import MemoStatus
from contracts.outside import (
    EXTERNAL,
    FAILED,
    REPORT_SIGNAL,
    DueReport,
    OutsideTranscript,
    is_silent,
    reason,
)
from contracts.transcript import Transcript

if TYPE_CHECKING:
    from store.database import Transaction

TAKEN: Final = 200

log = structlog.get_logger()


class _Told(NamedTuple):
    """What a report is to a job.

    Attributes:
        ignored: the job has no use for it.
        report: what the job is to be told; none: it knows, or its next round will.
        start: the job, when it may not run yet.
    """

    ignored: bool = False
    report: DueReport | None = None
    start: StaleJob | None = None


class OutsideReports:
    """Takes reports."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def take(self, body: TranscriptionCompleted) -> ReportTaken:
        """Keep a report and tell the job.

        Raises:
            NotFound: no such memo of that user.
            Unavailable: the database is away; nothing is kept, or it is not known.
        """
        taking = _Taking(body)
        try:
            starting = JobStart(self._services, TAKEN, bounded=False)
            await starting.start(body.user_id, None, taking.enter)
        except OutcomeUnknown:
            raise
        except Unavailable:
            if taking.answer is None:
                raise
            log.warning("report.not_told", memo_id=body.memo_id)
        else:
            await self._tell(taking.told.report)
        if taking.answer is None:
            raise NotFound
        return taking.answer

    async def _tell(self, report: DueReport | None) -> None:
        if report is None:
            return
        try:
            told = await self._services.jobs.signal(report.job_id, REPORT_SIGNAL, report.report)
        except Unavailable:
            log.warning("report.not_told", job_id=report.job_id)
            return
        if told and not report.success:
            async with self._services.database.write() as tx:
                await tx.outside.done(report)


class _Taking:
    """One report on its way into the database."""

    def __init__(self, body: TranscriptionCompleted) -> None:
        self._body = body
        self._said: Transcript | None = None
        if body.success and body.transcription_result is not None:
            self._said = body.transcription_result.value()
        self._silent = self._said is not None and is_silent(self._said)
        if self._silent:
            self._said = None
        self.told = _Told()
        self.answer: ReportTaken | None = None

    async def enter(self, tx: "Transaction") -> Entered:
        """Keep it, by what the job is at now; the job's row is locked first."""
        body = self._body
        memo = await tx.memos.find(body.memo_id, body.user_id)
        if memo is None or memo.user_id != body.user_id or memo.job_id is None:
            raise NotFound
        state = await tx.jobs.state(memo.job_id, memo.user_id)
        job = await tx.jobs.find(memo.job_id, memo.user_id)
        if state is None or job is None or job.kind != MEMO:
            raise NotFound
        self.told = await self._told(tx, job)
        self.answer = ReportTaken(memo_id=memo.id, job_id=job.id, ignored=self.told.ignored)
        return Entered(self.answer.model_dump(by_alias=True), self.told.start)

    async def _told(self, tx: "Transaction", job: Job) -> _Told:
        provider = self._body.route or EXTERNAL
        report = DueReport(
            job_id=job.id,
            user_id=job.user_id,
            round=job.round,
            success=self._said is not None,
            code=None if self._said is not None else NoSpeech.code if self._silent else FAILED,
        )
        if job.state.final and (job.state is not JobState.FAILED or self._said is None):
            return _Told(ignored=True)
        if self._said is None:
            message = reason(self._body.fallback_stage, self._body.error)
            new = await tx.outside.record_failure(report, job.subject_id, provider, message)
            return _Told(report=report, start=_waiting(job)) if new else _Told()
        recorded = await tx.outside.recorded(job.id, job.user_id)
        if recorded is not None:
            return _Told(ignored=job.state.final or recorded != self._said.sha256)
        said = OutsideTranscript(provider=provider, transcript=self._said)
        late = job.state is JobState.FAILED
        await tx.outside.record(report, job.subject_id, said, due=not late)
        if not late:
            return _Told(report=report, start=_waiting(job))
        again = await tx.jobs.requeue(job.id, job.user_id, deadline_seconds=LONGEST_JOB_SECONDS)
        await tx.memos.set_processing(
            job.subject_id, job.user_id, "transcription", MemoStatus.PENDING, error=None
        )
        # Its next round finds the transcript when it begins, and buys nothing.
        return _Told(start=again)


def _waiting(job: Job) -> StaleJob | None:
    """A job whose workflow may not have been started; it has to run to be told."""
    if job.state is not JobState.QUEUED:
        return None
    return StaleJob(id=job.id, kind=job.kind, user_id=job.user_id, request=job.request)
