"""OpenAI's API for recordings that are transcribed, over memos and their jobs."""

from fastapi import Request
from starlette.responses import Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.idempotency import Claimed
from api.job_wait import unless_gone
from api.openai_errors import PREFIX
from api.openai_recordings import answers, begun, form_of, read, said
from api.openai_transcripts import EVENTS, answer_of
from api.routes.memos import AcceptLanguage, first_language
from api.shapes.openai_recordings import OpenAITranscript, OpenAITranscription
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
    """
    async with receive(
        request, needs, user.id, lambda form: read(form, OpenAITranscription).options()
    ) as upload:
        asked, language = read(upload.form, OpenAITranscription), first_language(accept_language)
        started = await begun(needs, user.id, asked, upload, claim=claim, language=language)
    job_id, seconds = str(started.answer["jobId"]), needs.settings.limits.openai_wait_seconds
    return answer_of(await unless_gone(request, said(needs, job_id, user.id, seconds)), asked)
