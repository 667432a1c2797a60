"""The read-aloud contract older clients know: at the root, beside `/api/v1/speech`."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from api.admission import CurrentUser, meter, user_router
from api.dependencies import Needs, Services
from api.idempotency import Claimed
from api.kept_contract import KeptPollingRoute, KeptRoute, KeptUserRoute
from api.own_token import OwnToken
from api.routes.speech import audio_of, remove_speech
from api.shapes.kept import (
    NewReading,
    OldSession,
    Reading,
    ReadingDeleted,
    ReadingStatus,
    ReadingUsage,
    SessionAnswer,
    VendorToken,
    kept_errors,
)
from api.sign_in import SignIn
from api.speech_start import SpeechStart
from contracts.api_keys import READ_ALOUD
from contracts.errors import NotFound, Unauthenticated, Unavailable

TAG: Final = "Read aloud, older clients"
signing_in = APIRouter(tags=[TAG], route_class=KeptRoute)
router = user_router(TAG, scope=READ_ALOUD, route_class=KeptUserRoute, prefix="")
polled = user_router(TAG, scope=READ_ALOUD, route_class=KeptPollingRoute, prefix="")

FileId = Annotated[str, Path(description="Id of a file, as `/tts/generate` tells it.")]
ContentHash = Annotated[str, Path(description="Hash of a text and how it is to sound, likewise.")]
Bearer = Annotated[
    str | None,
    Header(alias="Authorization", description="`Bearer` and the session, when no body has it."),
]

_SIGN_IN: Final = (400, 401, 413, 429, 503)
_READ: Final = (401, 403, 404, 429, 503)
_AUDIO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The audio.", "content": {"audio/*": {}}},
    206: {"description": "The piece of it that was asked for."},
    304: {"description": "The client has it."},
    416: {"description": "It ends before the piece that was asked for."},
    **kept_errors(401, 403, 404, 503),
}


@signing_in.post(
    "/auth/verify",
    summary="Sign in with a token of OpenAI",
    response_description="A session of a week.",
    responses=kept_errors(*_SIGN_IN),
)
async def verify_token(body: VendorToken, request: Request, needs: Needs) -> SessionAnswer:
    """The vendor is asked whether the token is one; it is not kept.

    The same token is the same user, known by a keyed hash. The session opens what reads aloud. 503
    when the vendor does not answer: the token may be good.
    """
    sign_in = _sign_in(needs)
    await _meter(request, needs, sign_in.user_id(body.openai_token))
    return SessionAnswer.of(await sign_in.verify(body.openai_token))


@signing_in.post(
    "/auth/refresh",
    summary="Go on with a session",
    response_description="A session of a week.",
    responses=kept_errors(*_SIGN_IN),
)
async def refresh_session(
    request: Request, needs: Needs, body: OldSession | None = None, authorization: Bearer = None
) -> SessionAnswer:
    """A new session for one that has not ended; the old one ends when it said it would."""
    sign_in = _sign_in(needs)
    token = body.session_token if body is not None else None
    if token is None:
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Missing session_token")
    session = await sign_in.refresh(token.strip(), needs.tokens)
    await _meter(request, needs, session.user_id)
    return SessionAnswer.of(session)


@router.post(
    "/tts/generate",
    summary="Have a text read aloud",
    response_description="The file, there or being made.",
    response_model_exclude_none=True,
    responses=kept_errors(400, 401, 402, 403, 409, 413, 422, 429, 503),
)
async def generate_speech(
    body: NewReading, user: CurrentUser, needs: Needs, *, claim: Claimed
) -> Reading:
    """As `POST /api/v1/speech`: equal requests of a user have one file and one job.

    Ask again, or `/tts/{content_hash}/status`, until `status` is `ready`; then `url` is there.
    With an `openai_token` the text is spoken at its owner's expense; 401 `vendor_token_refused`
    when the vendor refuses it, 503 when it does not say. A file that is there, or being made, needs
    none.
    """
    # Who pays is no part of what is asked for: the same request with another token is the same.
    fields = body.model_dump(mode="json", exclude_unset=True, exclude={"openai_token"})
    own = None if body.openai_token is None else OwnToken(needs, body.openai_token)
    start = SpeechStart(needs).start(user.id, body.order(), claim.over(fields), own)
    return Reading.of(await start)


@polled.get(
    "/tts/{content_hash}/status",
    operation_id="get_reading_status",
    summary="How far a text is",
    response_description="Its status.",
    responses=kept_errors(401, 403, 404, 503),
)
@polled.get(
    "/tts/status/{content_hash}",
    operation_id="get_reading_status_by_old_spelling",
    summary="How far a text is, by its old spelling",
    response_description="Its status.",
    responses=kept_errors(401, 403, 404, 503),
)
async def get_reading_status(
    content_hash: ContentHash, user: CurrentUser, needs: Needs
) -> ReadingStatus:
    """Of one's own texts: who asked for the same words tells nobody else."""
    async with needs.database.read() as tx:
        file = await tx.speech.of_content(user.id, content_hash)
    if file is None:
        raise NotFound
    return ReadingStatus.of(file)


@router.delete(
    "/tts/{file_id}",
    operation_id="delete_reading",
    summary="Delete a file",
    response_description="It is gone.",
    responses=kept_errors(*_READ),
)
@router.delete(
    "/tts/delete/{file_id}",
    operation_id="delete_reading_by_old_spelling",
    summary="Delete a file, by its old spelling",
    response_description="It is gone.",
    responses=kept_errors(*_READ),
)
async def delete_reading(file_id: FileId, user: CurrentUser, needs: Needs) -> ReadingDeleted:
    """Gone for every reader at once; a job that makes it ends."""
    await remove_speech(needs, file_id, user.id)
    return ReadingDeleted()


@polled.head(
    "/files/{file_id}",
    operation_id="head_file",
    summary="Length and version of a file",
    response_class=Response,
    responses=_AUDIO,
)
@polled.get(
    "/files/{file_id}",
    operation_id="get_file",
    summary="Listen to a file",
    response_class=Response,
    responses=_AUDIO,
)
async def get_file(file_id: FileId, request: Request, user: CurrentUser, needs: Needs) -> Response:
    """The audio, whole or a `Range` of it, to its owner alone; listening lets it live on."""
    return await audio_of(request, needs, file_id, user.id)


@router.get(
    "/user/usage",
    summary="What one has stored",
    response_description="Files, their size, and what was asked for today.",
    responses=kept_errors(401, 403, 429, 503),
)
async def get_reading_usage(user: CurrentUser, needs: Needs) -> ReadingUsage:
    """Counted when it is asked for: one's own files alone."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    async with needs.database.read() as tx:
        return ReadingUsage.of(await tx.speech.usage(user.id, midnight))


def _sign_in(needs: Services) -> SignIn:
    if needs.sign_in is None:
        message = "TOKEN_SIGN_IN is not set: this route is closed"
        raise Unavailable(message, code="not_configured")
    return needs.sign_in


async def _meter(request: Request, needs: Services, user_id: str) -> None:
    structlog.contextvars.bind_contextvars(user_id=user_id)
    await meter(request, needs, user_id)
