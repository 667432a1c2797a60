"""One request: a recording goes up, its memo begins."""

from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.idempotency import Claimed
from api.memo_start import MemoStart, Recording
from api.routes.memos import START_ERRORS, AcceptLanguage, first_language
from api.shapes.errors import error_responses
from api.shapes.memos import MemoStarted, UploadFields
from api.upload import FILE_PART, receive
from contracts.api_keys import MEMOS

router = user_router("Memos", scope=MEMOS)


_EMPTY: Final = ("spaceId", "blueprintId", "memoId", "title")


def _form() -> dict[str, Any]:
    """The body in OpenAPI's words: it is read as a stream, so no parameter says it."""
    fields = UploadFields.model_json_schema()["properties"]
    for name in _EMPTY:
        # The page fills in what it finds; an id it made up would be refused.
        fields[name]["examples"] = [""]
    file = {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "The recording; its first bytes decide what it is.",
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FILE_PART],
                    "properties": {FILE_PART: file, **fields},
                }
            }
        },
    }


_BODY: Final = {"requestBody": _form()}


@router.post(
    "/memos/upload",
    status_code=201,
    summary="Upload a recording and begin its memo",
    response_description="The memo and the job that transcribes it.",
    response_model=MemoStarted,
    responses=error_responses(*START_ERRORS, 413, 415),
    openapi_extra=_BODY,
)
async def upload_memo(
    request: Request,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
    accept_language: AcceptLanguage = None,
) -> Response:
    """Send a recording in one request; its durable job starts when all of it has arrived.

    Taken are m4a/mp4/mov, mp3, ogg/opus, wav, flac, webm/mka, aac, amr, aiff, wma and caf, up to
    the size the operator allows. A retry with the same `Idempotency-Key`, fields and file gets the
    first answer, whatever its multipart boundary.
    """
    async with receive(request, needs, user.id) as upload:
        recording = Recording(
            user_id=user.id,
            path=upload.key,
            seconds=upload.fields.duration,
            media_type=upload.media_type,
            options=upload.fields.model_copy(update={"memo_id": upload.memo_id}),
            language=first_language(accept_language),
        )
        fields = upload.fields.model_dump(mode="json", exclude_unset=True)
        started = await MemoStart(needs).start(recording, claim.over(fields, upload.sha256))
        if not started.adopted:
            await upload.discard()
    return JSONResponse(started.answer, 201)
