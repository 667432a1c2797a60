"""A memo's transcript in English: one durable job for each memo, begun when it is first wanted."""

import time
from typing import TYPE_CHECKING, Any, Final

from api.dependencies import Services
from api.job_start import Entered, JobStart, check_credits
from api.job_wait import awaited, failure_of, still_working
from api.openai_recordings import said
from contracts.errors import Conflict, NotFound
from contracts.ids import language_job, memo_job
from contracts.jobs import LONGEST_JOB_SECONDS, Job, JobState, StaleJob
from contracts.language import Use
from contracts.language_job import LanguageJob, LanguageOrder
from contracts.transcript import Transcript
from contracts.translation import ENGLISH, foreign, translated

if TYPE_CHECKING:
    from store.database import Transaction

ACCEPTED: Final = 202
_OVERTAKEN: Final = frozenset({"job_exists", "invalid_transition"})
"""What is said when another request has begun the job since we looked."""


async def in_english(services: Services, memo_id: str, user_id: str, seconds: float) -> Transcript:
    """A memo's transcript in English, once it is there; what is English already needs no job.

    Args:
        seconds: how long it is waited for, transcription and translation together.

    Raises:
        Conflict: ``still_working``, or ``job_cancelled``.
        InsufficientCredits: too few for the translation.
        Failure: what one of the jobs ended with.
    """
    until = time.monotonic() + seconds
    heard = await said(services, memo_job(memo_id), user_id, seconds)
    if not foreign(heard):
        return heard
    job_id = await TranslationStart(services).start(memo_id, user_id)
    job = await awaited(services, job_id, user_id, max(until - time.monotonic(), 0.0))
    if not job.state.final:
        raise still_working()
    if job.state is not JobState.COMPLETED:
        raise await failure_of(services, job)
    async with services.database.read() as tx:
        texts = await tx.language.texts(job_id, user_id)
    return translated(heard, texts)


class TranslationStart:
    """Starts the job of a translation, or finds it; one that failed is run again."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def start(self, memo_id: str, user_id: str) -> str:
        """Id of the job: it exists, and runs or has written, once this returns.

        Raises:
            InsufficientCredits: too few are free.
            NotFound: the memo is gone.
            Unavailable: Temporal or the database is away; nothing was begun.
        """

        async def enter(tx: "Transaction") -> Entered:
            job = await tx.jobs.find(language_job(Use.TRANSLATE, memo_id), user_id)
            if job is None:
                return await self._create(tx, memo_id, user_id)
            return await self._again(tx, job)

        starting = JobStart(self._services, ACCEPTED)
        try:
            entered = await starting.start(user_id, None, enter)
        except Conflict as conflict:
            if conflict.code not in _OVERTAKEN:
                raise
            entered = await starting.start(user_id, None, enter)
        return str(entered.answer["jobId"])

    async def _create(self, tx: "Transaction", memo_id: str, user_id: str) -> Entered:
        if await tx.memos.find(memo_id, user_id) is None:
            raise NotFound
        settings = self._services.settings
        request = LanguageJob(
            job_id=language_job(Use.TRANSLATE, memo_id),
            use=Use.TRANSLATE,
            user_id=user_id,
            subject_id=memo_id,
            memo_ids=(memo_id,),
            price=settings.language.translation_credits,
            heartbeat_seconds=settings.limits.heartbeat_timeout_seconds,
        )
        await check_credits(tx, user_id, request.price)
        fields = request.model_dump(mode="json")
        await tx.jobs.create(
            request.job_id,
            user_id,
            kind=request.use,
            subject_id=memo_id,
            request=fields,
            deadline_seconds=LONGEST_JOB_SECONDS,
        )
        await tx.language.order(request, LanguageOrder(language=ENGLISH))
        stale = StaleJob(id=request.job_id, kind=request.use, user_id=user_id, request=fields)
        return Entered(_answer(stale.id), stale, fresh=True)

    async def _again(self, tx: "Transaction", job: Job) -> Entered:
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            price = self._services.settings.language.translation_credits
            await check_credits(tx, job.user_id, price)
            stale = await tx.jobs.requeue(
                job.id,
                job.user_id,
                deadline_seconds=LONGEST_JOB_SECONDS,
                changes={"price": price},
            )
            return Entered(_answer(job.id), stale)
        if job.state is JobState.QUEUED:
            # Whoever wrote it may have died before its workflow was started.
            stale = StaleJob(id=job.id, kind=job.kind, user_id=job.user_id, request=job.request)
            return Entered(_answer(job.id), stale)
        return Entered(_answer(job.id), None)


def _answer(job_id: str) -> dict[str, Any]:
    return {"jobId": job_id}
