"""Memos: begin one over a stored recording, list, read, change, delete."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

from fastapi import Header
from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, User, user_router
from api.dependencies import Needs, Services
from api.egress import expected_key
from api.idempotency import Claimed
from api.identifiers import MemoId
from api.memo_start import MemoStart, Recording
from api.paging import DEFAULT_LIMIT, CursorText, Limit, Offset, place_of
from api.shapes.errors import LIST, READ, error_responses
from api.shapes.memos import (
    MemoChange,
    MemoDeleted,
    MemoList,
    MemoStarted,
    MemoView,
    NewMemo,
    OneMemo,
)
from contracts.api_keys import MEMOS
from contracts.errors import Forbidden, InvalidInput, NotFound, Unavailable
from contracts.ids import ERASE, erase_job, is_uuid
from contracts.jobs import LONGEST_JOB_SECONDS
from contracts.memo import EraseJob, Memo
from store.storage_keys import names_of

if TYPE_CHECKING:
    from store.database import Transaction

router = user_router("Memos", scope=MEMOS)

START_ERRORS: Final = (400, 401, 402, 403, 404, 409, 422, 429, 503)

AcceptLanguage = Annotated[
    str | None,
    Header(alias="Accept-Language", include_in_schema=False),
]


def check_path(path: str, user_id: str) -> str:
    """A storage key of the user's own.

    Raises:
        InvalidInput: ``invalid_path``; somebody else's file and no file are told apart by nobody.
    """
    try:
        names = names_of(path)
    except InvalidInput as failure:
        message = "filePath is not a valid storage path"
        raise InvalidInput(message, code="invalid_path") from failure
    if names[0] != user_id or len(names) == 1:
        message = "filePath must lie under the caller's own id"
        raise InvalidInput(message, code="invalid_path")
    return path


async def _recording(needs: Services, user: User, body: NewMemo, language: str | None) -> Recording:
    recording = Recording(
        user_id=user.id,
        path=body.file_path,
        seconds=body.duration,
        media_type=body.media_type,
        options=body,
        language=language,
    )
    url = body.media_url
    if url is None:
        check_path(body.file_path, user.id)
        return recording
    await needs.egress.check(url)
    memo_id = body.memo_id or str(uuid4())
    return recording._replace(
        path=expected_key(url, user.id, memo_id, datetime.now(UTC)),
        options=body.model_copy(update={"memo_id": memo_id}),
        address=needs.egress.media(url, memo_id),
    )


def first_language(accepted: str | None) -> str | None:
    """The language a client likes best, by its ``Accept-Language``."""
    return (accepted or "").partition(",")[0].partition(";")[0].strip() or None


@router.post(
    "/memos/process",
    status_code=201,
    operation_id="process_memo",
    response_description="The memo and the job that transcribes it.",
    summary="Begin a memo over a stored recording (older spelling)",
    response_model=MemoStarted,
    responses=error_responses(*START_ERRORS),
)
@router.post(
    "/memos",
    status_code=201,
    summary="Begin a memo over a stored recording",
    response_description="The memo and the job that transcribes it.",
    response_model=MemoStarted,
    responses=error_responses(*START_ERRORS),
)
async def create_memo(
    body: NewMemo,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
    accept_language: AcceptLanguage = None,
) -> Response:
    """Start the durable job that transcribes a recording.

    The recording may still be on its way: the job waits for it a while. With `mediaUrl` instead of
    `filePath` the job fetches it first, and `audioPath` is where it is going to be. `duration` is a
    hint; what is charged is the measured length, once, when there is a transcript. The same
    `memoId` again joins a job that waits, and runs one again that failed or was cancelled.
    """
    recording = await _recording(needs, user, body, first_language(accept_language))
    fields = body.model_dump(mode="json", exclude_unset=True)
    started = await MemoStart(needs).start(recording, claim.over(fields))
    return JSONResponse(started.answer, 201)


@router.get(
    "/memos",
    summary="List memos",
    response_description="A page of memos.",
    responses=error_responses(*LIST),
)
async def list_memos(
    user: CurrentUser,
    needs: Needs,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    cursor: CursorText = None,
) -> MemoList:
    """Memos of the caller and of their spaces, newest first.

    `cursor` is as fast on the last page as on the first; `offset` grows slower with every page.
    """
    after = place_of(cursor)
    skipped = 0 if after else offset
    async with needs.database.read() as tx:
        page = await tx.memos.page(user.id, limit=limit, offset=skipped, after=after)
    return MemoList(
        memos=[MemoView.of(memo) for memo in page.memos],
        total=page.total,
        limit=limit,
        offset=skipped,
        next_cursor=page.next.encode() if page.next else None,
    )


@router.get(
    "/memos/{memo_id}",
    summary="Read a memo",
    response_description="The memo.",
    responses=error_responses(*READ),
)
async def get_memo(memo_id: MemoId, user: CurrentUser, needs: Needs) -> OneMemo:
    """The memo's row with its status and its job."""
    async with needs.database.read() as tx:
        memo = await find_memo(tx, memo_id, user)
    return OneMemo(memo=MemoView.of(memo))


@router.patch(
    "/memos/{memo_id}",
    summary="Change a memo",
    response_description="The memo as it is now.",
    responses=error_responses(400, 401, 403, 404, 429, 503),
)
async def change_memo(
    memo_id: MemoId, body: MemoChange, user: CurrentUser, needs: Needs
) -> OneMemo:
    """Change title, intro, or whether it is pinned or archived; only its owner may.

    A title set by hand is never replaced by a headline.
    """
    changes = body.model_dump(exclude_unset=True)
    async with needs.database.write() as tx:
        memo = await own_memo(tx, memo_id, user)
        if changes:
            memo = await tx.memos.patch(memo_id, user.id, **changes)
    return OneMemo(memo=MemoView.of(memo))


@router.delete(
    "/memos/{memo_id}",
    status_code=202,
    summary="Delete a memo",
    response_description="The memo is gone; the job erases what it left.",
    responses=error_responses(401, 403, 404, 429, 503),
)
async def delete_memo(memo_id: MemoId, user: CurrentUser, needs: Needs) -> MemoDeleted:
    """Make the memo disappear for every reader at once; a durable job erases all of it.

    A job that still transcribes it is cancelled first. Only its owner may.
    """
    erasure = EraseJob(job_id=erase_job(memo_id.lower()), user_id=user.id, memo_id=memo_id.lower())
    async with needs.database.write() as tx:
        await own_memo(tx, memo_id, user)
        await tx.memos.mark_deleted(memo_id, user.id)
        await tx.jobs.create(
            erasure.job_id,
            user.id,
            kind=ERASE,
            subject_id=erasure.memo_id,
            request=erasure.model_dump(),
            deadline_seconds=LONGEST_JOB_SECONDS,
        )
    await _begin_erasure(needs, erasure)
    return MemoDeleted(memo_id=erasure.memo_id, job_id=erasure.job_id)


async def find_memo(tx: "Transaction", memo_id: str, user: User) -> Memo:
    """A memo the user may read.

    Raises:
        NotFound: absent, or somebody else's.
    """
    memo = await tx.memos.find(memo_id, user.id) if is_uuid(memo_id) else None
    if memo is None:
        raise NotFound
    return memo


async def own_memo(tx: "Transaction", memo_id: str, user: User) -> Memo:
    """A memo of the user's own.

    Raises:
        NotFound: absent, or somebody else's.
        Forbidden: shared with the user by a space.
    """
    memo = await find_memo(tx, memo_id, user)
    if memo.user_id != user.id:
        raise Forbidden("Only its owner may change a memo")
    return memo


async def _begin_erasure(needs: Services, erasure: EraseJob) -> None:
    try:
        await needs.jobs.start(ERASE, erasure.job_id, erasure.user_id, erasure.model_dump())
    except Unavailable:
        # The memo is gone already and its job stands in the queue: `reconcile` starts it.
        return
    needs.measures.jobs_started.labels(ERASE).inc()
