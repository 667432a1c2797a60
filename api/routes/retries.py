"""Transcribing once more: what failed, in the same memo; anything, in a new one."""

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, User, user_router
from api.dependencies import Needs
from api.idempotency import Claimed
from api.identifiers import JobId, MemoId, check_job_id
from api.job_start import Entered, JobStart, check_credits
from api.memo_start import MemoStart
from api.reprocess import audio_path_of, options_of, recording_of, seconds_of
from api.routes.memos import AcceptLanguage, find_memo, first_language, own_memo
from api.shapes.errors import READ, error_responses
from api.shapes.memos import MemoOfJob, MemoOptions, Reprocessed, Reprocessing, Retried
from api.upload import discard_stored
from contracts.api_keys import MEMOS
from contracts.errors import Conflict, InvalidInput, NotFound
from contracts.ids import memo_job
from contracts.jobs import LONGEST_JOB_SECONDS, Job, JobState, StaleJob
from contracts.memo import Memo
from contracts.pricing import transcription_price

if TYPE_CHECKING:
    from store.database import Transaction

router = user_router("Memos", scope=MEMOS)

MOST_RETRIES: Final = 3
CREATED: Final = 201


@router.get(
    "/memos/find-by-job/{job_id}",
    summary="Find a memo by its job",
    response_description="The memo.",
    responses=error_responses(*READ),
)
async def find_memo_by_job(job_id: JobId, user: CurrentUser, needs: Needs) -> MemoOfJob:
    """The caller's memo that a job transcribes: a job of ours, or the vendor's of a batch."""
    check_job_id(job_id)
    async with needs.database.read() as tx:
        memo_id = await tx.memos.of_job(job_id, user.id)
    if memo_id is None:
        raise NotFound
    return MemoOfJob(memo_id=memo_id, user_id=user.id)


@router.post(
    "/memos/{memo_id}/retry-transcription",
    summary="Try a failed transcription again",
    response_description="The transcription is tried again.",
    response_model=Retried,
    responses=error_responses(400, 401, 402, 403, 404, 409, 422, 429, 503),
)
async def retry_transcription(
    memo_id: MemoId,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Transcribe a memo again whose transcription failed, at most three times; its owner may.

    A failure cost nothing, and a retry that succeeds costs what the first try would have. 400
    `no_audio` without a recording, `not_failed` unless it failed, `no_retries_left` after three;
    409 while it runs.
    """

    async def enter(tx: "Transaction") -> Entered:
        memo = await own_memo(tx, memo_id, user)
        path = audio_path_of(memo)
        job = await tx.jobs.find(memo_job(memo.id), user.id)
        if job is None:
            raise _not_failed()
        if _waits_again(job):
            # The answer to an earlier try was lost, or its workflow never started.
            return _joined(memo.id, job)
        _check_failed(job)
        price = transcription_price(seconds_of(memo))
        await check_credits(tx, user.id, price, space_id=job.request.get("space_id"))
        try:
            stale = await tx.jobs.requeue(job.id, user.id, deadline_seconds=LONGEST_JOB_SECONDS)
        except Conflict:
            # Another request may have done it since we looked.
            job = await tx.jobs.find(job.id, user.id)
            if job is None or not _waits_again(job):
                raise
            return _joined(memo.id, job)
        await tx.memos.begin_again(memo.id, user.id, source={"audio_path": path})
        return _retried(memo.id, stale)

    kept = claim.over()
    entered = await JobStart(needs, 200).start(user.id, kept, enter)
    answer = {name: value for name, value in entered.answer.items() if name != "jobId"}
    return JSONResponse(answer)


@router.post(
    "/memos/{memo_id}/reprocess",
    status_code=CREATED,
    summary="Transcribe a recording anew",
    response_description="The new memo and the job that transcribes it.",
    response_model=Reprocessed,
    responses=error_responses(400, 401, 402, 404, 409, 422, 429, 503),
)
async def reprocess_memo(
    memo_id: MemoId,
    user: CurrentUser,
    needs: Needs,
    body: Reprocessing | None = None,
    *,
    claim: Claimed,
    accept_language: AcceptLanguage = None,
) -> Response:
    """Make a new memo of one's own over the recording of one that one may read; charged as any new.

    What is left out stays as it was for the original, which is not touched; `blueprintId: null`
    takes the blueprint away. The recording of a memo shared by a space is copied.
    """
    wanted = body or Reprocessing()
    fields = wanted.model_dump(mode="json", exclude_unset=True)
    kept = claim.over(fields)
    memo, options = await _original(needs, memo_id, user, wanted)
    language = first_language(accept_language)
    async with recording_of(needs, memo, user.id, options, language) as recording:
        started = await MemoStart(needs).start(recording, kept)
        if not started.adopted and memo.user_id != user.id:
            await discard_stored(needs, recording.path, user.id)
    return JSONResponse(started.answer, CREATED)


async def _original(
    needs: Needs, memo_id: str, user: User, wanted: Reprocessing
) -> tuple[Memo, MemoOptions]:
    """The memo, and how it is to be transcribed; a blueprint one may not read is not inherited."""
    async with needs.database.read() as tx:
        memo = await find_memo(tx, memo_id, user)
        options = options_of(memo, wanted)
        inherited = options.blueprint_id
        if inherited is None or "blueprint_id" in wanted.model_fields_set:
            return memo, options
        if await tx.blueprints.find(inherited, user.id) is not None:
            return memo, options
    return memo, options.model_copy(update={"blueprint_id": None})


def _retried(memo_id: str, job: StaleJob) -> Entered:
    answer = Retried(memo_id=memo_id, retry_attempt=int(job.request["round"]) - 1)
    return Entered(answer.model_dump(mode="json", by_alias=True) | {"jobId": job.id}, job)


def _waits_again(job: Job) -> bool:
    return job.state is JobState.QUEUED and job.round > 1


def _joined(memo_id: str, job: Job) -> Entered:
    stale = StaleJob(id=job.id, kind=job.kind, user_id=job.user_id, request=job.request)
    return _retried(memo_id, stale)


def _check_failed(job: Job) -> None:
    if not job.state.final:
        raise Conflict("The memo is being transcribed", code="already_running")
    if job.state is not JobState.FAILED:
        raise _not_failed()
    if job.round > MOST_RETRIES:
        message = f"The transcription was tried again {MOST_RETRIES} times already"
        raise InvalidInput(message, code="no_retries_left")


def _not_failed() -> InvalidInput:
    return InvalidInput("Only a transcription that failed is tried again", code="not_failed")
