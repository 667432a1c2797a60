"""What was said, in the format one asks for."""

from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.identifiers import MemoId
from api.shapes.errors import error_responses
from api.shapes.transcripts import TranscriptAnswer
from contracts.api_keys import MEMOS
from contracts.errors import NotFound
from contracts.ids import is_uuid
from contracts.memo import Memo
from contracts.transcript import Transcript
from contracts.transcript_formats import (
    MEDIA_TYPES,
    TranscriptFormat,
    as_md,
    as_srt,
    as_txt,
    as_vtt,
)

router = user_router("Memos", scope=MEMOS)

_EXAMPLES: Final = {
    TranscriptFormat.TXT: "Bread, milk and a birthday card.\n",
    TranscriptFormat.SRT: "1\n00:00:00,300 --> 00:00:03,100\nBread, milk and a birthday card.\n",
    TranscriptFormat.VTT: (
        "WEBVTT\n\n1\n00:00:00.300 --> 00:00:03.100\nBread, milk and a birthday card.\n"
    ),
    TranscriptFormat.MD: "# Shopping list\n\n`00:00:00` Bread, milk and a birthday card.\n",
}
_ANSWERS: Final[dict[str, Any]] = {
    MEDIA_TYPES[kind].partition(";")[0]: {"schema": {"type": "string"}, "example": text}
    for kind, text in _EXAMPLES.items()
}


@router.get(
    "/memos/{memo_id}/transcript",
    summary="Transcript",
    response_description="The transcript.",
    response_model=TranscriptAnswer,
    responses={200: {"content": _ANSWERS}, **error_responses(400, 401, 404, 429, 503)},
)
async def transcript(
    memo_id: MemoId,
    user: CurrentUser,
    needs: Needs,
    format: Annotated[  # noqa: A002 - the parameter's name in the API
        TranscriptFormat, Query(description="Format of the answer.")
    ] = TranscriptFormat.JSON,
) -> Response:
    """The transcript as JSON, plain text, SubRip or WebVTT subtitles, or Markdown.

    404 as long as there is none: the memo's `status` tells why.
    """
    memo, said = await _load(needs, memo_id, user.id)
    return Response(_render(memo, said, format), media_type=MEDIA_TYPES[format])


async def _load(needs: Needs, memo_id: str, user_id: str) -> tuple[Memo, Transcript]:
    if not is_uuid(memo_id):
        raise NotFound
    async with needs.database.read() as tx:
        memo = await tx.memos.find(memo_id, user_id)
        if memo is None or memo.job_id is None:
            raise NotFound
        # Shared by a space: the words are the owner's.
        return memo, await tx.transcripts.load(memo.job_id, memo.user_id)


def _render(memo: Memo, said: Transcript, kind: TranscriptFormat) -> str:
    match kind:
        case TranscriptFormat.JSON:
            return TranscriptAnswer.of(memo.id, said).model_dump_json(by_alias=True)
        case TranscriptFormat.TXT:
            return as_txt(said)
        case TranscriptFormat.SRT:
            return as_srt(said)
        case TranscriptFormat.VTT:
            return as_vtt(said)
        case TranscriptFormat.MD:
            return as_md(said, memo.title or "", memo.intro or "")
