"""OpenAI's API for recordings that are transcribed, over memos and their jobs."""

from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.responses import Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.errors import openai_event
from api.idempotency import Claimed
from api.job_wait import unless_gone
from api.live_response import LiveResponse
from api.openai_errors import PREFIX
from api.openai_recordings import answers, begun, form_of, read, said
from api.openai_transcript_stream import LiveTranscript
from api.openai_transcripts import EVENTS, answer_of
from api.routes.memos import AcceptLanguage, first_language
from api.shapes.openai_recordings import OpenAITranscript, OpenAITranscription, TranscriptionFormat
from api.upload import receive
from contracts.api_keys import MEMOS

router = user_router("OpenAI", scope=MEMOS, prefix=PREFIX)


@router.post(
    "/audio/transcriptions",
    summary="Transcribe a recording, as OpenAI does",
    response_model=OpenAITranscript,
    responses=answers("What was said.", EVENTS),
    openapi_extra={"requestBody": form_of(OpenAITranscription)},
)
async def create_openai_transcription(
    request: Request,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
    accept_language: AcceptLanguage = None,
) -> Response:
    """Answer with what is said in a recording, in any of the six forms, or as events.

    Behind it is a memo like any other, listed, charged and transcribed once. The same file asked
    for again within 24 hours in the same languages, or with the same `Idempotency-Key`, finds that
    memo: a client that hung up loses nothing, and another form of the answer costs nothing.

    With `stream` the text comes as it is heard, where it is heard in parts: a recording in chunks,
    each when the next one is there. After the first event an `error` event says what goes wrong.
    """
    async with receive(
        request, needs, user.id, lambda form: read(form, OpenAITranscription).options()
    ) as upload:
        asked, language = read(upload.form, OpenAITranscription), first_language(accept_language)
        started = await begun(needs, user.id, asked, upload, claim=claim, language=language)
    job_id, seconds = str(started.answer["jobId"]), needs.settings.limits.openai_wait_seconds
    if asked.stream:
        diarized = asked.response_format is TranscriptionFormat.DIARIZED
        events = LiveTranscript(needs, job_id, user.id, diarized=diarized).events()
        first = await unless_gone(request, _first(events))
        pause = needs.settings.speech.pause_seconds
        return LiveResponse(
            _whole(first, events), events.aclose, media_type=EVENTS, pause=pause, told=openai_event
        )
    return answer_of(await unless_gone(request, said(needs, job_id, user.id, seconds)), asked)


async def _first(events: AsyncGenerator[bytes, None]) -> bytes:
    """What goes wrong before it is there is told by a status."""
    return await anext(events)


async def _whole(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for line in rest:
        yield line
