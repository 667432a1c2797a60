"""Starts the job of something to be written about memos: its rows, by ``job_start``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from api.dependencies import Services
from api.job_start import Entered, check_credits
from api.user_settings import UserSettings
from contracts.errors import InvalidInput
from contracts.ids import language_job
from contracts.jobs import LONGEST_JOB_SECONDS, JobState, StaleJob
from contracts.language import Use
from contracts.language_job import LanguageJob, LanguageOrder
from contracts.language_texts import spoken_language
from contracts.memo import Memo
from contracts.pricing import language_price

if TYPE_CHECKING:
    from store.database import Transaction


class Wanted(NamedTuple):
    """Something to be written.

    Attributes:
        user_id: who asks and pays.
        memos: what is to be read, in this order; each of them was checked to be readable.
        subject_id: the memo it is about, or the id of the one that is to be made.
    """

    use: Use
    user_id: str
    memos: Sequence[Memo]
    subject_id: str
    order: LanguageOrder


async def enter_language(tx: "Transaction", services: Services, wanted: Wanted) -> Entered:
    """Write the rows of its job.

    Raises:
        InvalidInput: ``no_transcript``, there is nothing to read in one of the memos.
        InsufficientCredits: too few are free.
    """
    check_transcripts(wanted.memos)
    request = LanguageJob(
        job_id=language_job(wanted.use, str(uuid4())),
        use=wanted.use,
        user_id=wanted.user_id,
        subject_id=wanted.subject_id,
        memo_ids=tuple(memo.id for memo in wanted.memos),
        price=language_price(wanted.use),
        heartbeat_seconds=services.settings.limits.heartbeat_timeout_seconds,
    )
    await check_credits(tx, wanted.user_id, request.price)
    stale = StaleJob(
        id=request.job_id,
        kind=request.use,
        user_id=request.user_id,
        request=request.model_dump(mode="json"),
    )
    await tx.jobs.create(
        stale.id,
        stale.user_id,
        kind=stale.kind,
        subject_id=request.subject_id,
        request=stale.request,
        deadline_seconds=LONGEST_JOB_SECONDS,
    )
    await tx.language.order(request, wanted.order)
    answer = {"success": True, "jobId": stale.id, "status": JobState.QUEUED}
    return Entered(answer, stale, fresh=True)


def check_transcripts(memos: Sequence[Memo]) -> None:
    """Whether there is something to read in each of them.

    Raises:
        InvalidInput: ``no_transcript``.
    """
    for memo in memos:
        text = memo.source.get("transcript")
        if not isinstance(text, str) or not text.strip():
            raise InvalidInput("The memo has no transcript", code="no_transcript")


def answer_language(memos: Sequence[Memo], settings: UserSettings) -> str | None:
    """The user's language where the recordings tell none; else none: it is theirs."""
    return None if spoken_language(memos) else settings.language
