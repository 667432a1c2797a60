"""OpenAI's API for recordings that are translated into English: a memo, and a job over it."""

from typing import Final

from fastapi import Request
from starlette.responses import Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs, Services
from api.idempotency import Claimed
from api.job_wait import unless_gone
from api.openai_errors import PARAM, PREFIX
from api.openai_recordings import answers, begun, form_of, read
from api.openai_transcripts import translation_of
from api.routes.memos import AcceptLanguage, first_language
from api.shapes.openai_recordings import OpenAITranslated, OpenAITranslation
from api.translation_start import in_english
from api.upload import receive
from contracts.api_keys import MEMOS
from contracts.errors import InvalidInput

TRANSCRIPTIONS: Final = f"{PREFIX}/audio/transcriptions"

router = user_router("OpenAI", scope=MEMOS, prefix=PREFIX)


@router.post(
    "/audio/translations",
    summary="Translate a recording into English, as OpenAI does",
    response_model=OpenAITranslated,
    responses=answers("What was said, in English."),
    openapi_extra={"requestBody": form_of(OpenAITranslation)},
)
async def create_openai_translation(
    request: Request,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
    accept_language: AcceptLanguage = None,
) -> Response:
    """Answer with what is said in a recording, in English, in any of the five forms.

    The memo behind it is that of `/v1/audio/transcriptions`: a recording is transcribed once,
    whichever is asked for first. A language model then translates what is not in English already,
    utterance by utterance, once for each memo; 400 `not_configured` where there is no such model.
    """
    async with receive(
        request, needs, user.id, lambda form: read(form, OpenAITranslation).options()
    ) as upload:
        asked, language = read(upload.form, OpenAITranslation), first_language(accept_language)
        _check_configured(needs)
        same = claim.beside(TRANSCRIPTIONS)
        started = await begun(needs, user.id, asked, upload, claim=same, language=language)
    memo_id, seconds = str(started.answer["memoId"]), needs.settings.limits.openai_wait_seconds
    told = await unless_gone(request, in_english(needs, memo_id, user.id, seconds))
    return translation_of(told, asked.response_format)


def _check_configured(needs: Services) -> None:
    """Whether there is anybody who can translate.

    Raises:
        InvalidInput: ``not_configured``; a 503 would have clients send the file again, in vain.
    """
    if not needs.settings.language_setup.models:
        message = "No language model is configured that could translate"
        raise InvalidInput(message, code="not_configured", extra={PARAM: "model"})
