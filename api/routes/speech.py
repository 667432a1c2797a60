"""Texts that are read aloud: ordered, listened to, deleted."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path, Query, Request
from sse_starlette.sse import EventSourceResponse
from starlette.responses import JSONResponse, Response

from api import stored_audio
from api.admission import CurrentUser, PollingRoute, user_router
from api.dependencies import Needs, Services
from api.idempotency import Claimed
from api.paging import DEFAULT_LIMIT, CursorText, Limit, place_of
from api.routes.events import STREAM, LastEventId, stream_of
from api.routes.jobs import find_job
from api.shapes.errors import LIST, READ, error_responses
from api.shapes.speech import (
    NewSpeech,
    SpeechDeleted,
    SpeechList,
    SpeechStarted,
    SpeechView,
    TimingFormat,
    Timings,
    TimingView,
)
from api.speech_start import SpeechStart
from contracts.api_keys import READ_ALOUD
from contracts.errors import NotFound
from contracts.ids import is_uuid
from contracts.paging import Cursor
from contracts.speech import as_vtt
from contracts.speech_job import SpeechFile, SpeechState

if TYPE_CHECKING:
    from store.database import Transaction

router = user_router("Read aloud", scope=READ_ALOUD)
polled = user_router("Read aloud", scope=READ_ALOUD, route_class=PollingRoute)

SpeechId = Annotated[str, Path(description="Id of a text that is read aloud.")]

_AUDIO: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The audio.", "content": {"audio/*": {}}},
    206: {"description": "The piece of it that was asked for."},
    304: {"description": "The client has it."},
    416: {"description": "It ends before the piece that was asked for."},
    **error_responses(401, 404, 503),
}


@router.post(
    "/speech",
    status_code=201,
    summary="Read a text aloud",
    response_description="The text and the job that speaks it.",
    response_model=SpeechStarted,
    responses={
        200: {"description": "It is there already.", "model": SpeechStarted},
        **error_responses(400, 401, 402, 409, 413, 422, 429, 503),
    },
)
async def create_speech(
    body: NewSpeech, user: CurrentUser, needs: Needs, *, claim: Claimed
) -> Response:
    """Start the durable job that speaks a text of up to 50 000 characters.

    Equal requests have one file: what is there is answered at once and costs nothing, what is being
    made is joined, what failed is made again. Parts of the text that were spoken before are not
    bought again.
    """
    order = body.order()
    fields = body.model_dump(mode="json", exclude_unset=True)
    file = await SpeechStart(needs).start(user.id, order, claim.over(fields))
    answer = SpeechStarted(speech=SpeechView.of(file)).model_dump(mode="json", by_alias=True)
    return JSONResponse(answer, 200 if file.state is SpeechState.READY else 201)


@router.get(
    "/speech",
    summary="List texts that are read aloud",
    response_description="A page of them.",
    responses=error_responses(*LIST),
)
async def list_speech(
    user: CurrentUser, needs: Needs, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> SpeechList:
    """One's own texts, newest first, in pages."""
    async with needs.database.read() as tx:
        found = await tx.speech.page(user.id, limit=limit, after=place_of(cursor))
    more, page = len(found) > limit, found[:limit]
    end = Cursor(created_at=page[-1].created_at, id=page[-1].id).encode() if more else None
    return SpeechList(speech=[SpeechView.of(file) for file in page], next_cursor=end)


@polled.get(
    "/speech/{speech_id}",
    summary="State of a text that is read aloud",
    response_description="The text's state.",
    responses=error_responses(401, 404, 503),
)
async def get_speech(speech_id: SpeechId, user: CurrentUser, needs: Needs) -> SpeechStarted:
    """May be polled as often as one likes; `…/events` tells the same without polling."""
    async with needs.database.read() as tx:
        file = await find_speech(tx, speech_id, user.id)
    return SpeechStarted(speech=SpeechView.of(file))


@router.delete(
    "/speech/{speech_id}",
    summary="Delete a text that is read aloud",
    response_description="It is gone.",
    responses=error_responses(*READ),
)
async def delete_speech(speech_id: SpeechId, user: CurrentUser, needs: Needs) -> SpeechDeleted:
    """Gone for every reader at once, its audio and the parts of it with it."""
    await remove_speech(needs, speech_id, user.id)
    return SpeechDeleted()


@polled.head(
    "/speech/{speech_id}/audio",
    operation_id="head_speech_audio",
    summary="Length and version of the audio",
    response_class=Response,
    responses=_AUDIO,
)
@polled.get(
    "/speech/{speech_id}/audio",
    summary="Listen to a text",
    response_class=Response,
    responses=_AUDIO,
)
async def get_speech_audio(
    speech_id: SpeechId, request: Request, user: CurrentUser, needs: Needs
) -> Response:
    """The audio, whole or a `Range` of it; listening lets it live on. 404 until it is there."""
    return await audio_of(request, needs, speech_id, user.id)


@router.get(
    "/speech/{speech_id}/timings",
    summary="When what is said",
    response_model=Timings,
    responses={
        200: {
            "description": "Every word or sentence with its times.",
            "content": {"text/vtt": {"schema": {"type": "string"}}},
        },
        **error_responses(400, *READ),
    },
)
async def get_speech_timings(
    speech_id: SpeechId,
    user: CurrentUser,
    needs: Needs,
    form: Annotated[
        TimingFormat, Query(alias="format", description="JSON, or WebVTT for a player.")
    ] = TimingFormat.JSON,
) -> Response:
    """As far as the engine tells: the local one and Azure's SDK tell words.

    404 until the audio is there.
    """
    async with needs.database.read() as tx:
        file = await find_speech(tx, speech_id, user.id)
        timings = await tx.speech.timings(speech_id, user.id)
    if file.state is not SpeechState.READY:
        raise NotFound
    if form is TimingFormat.VTT:
        return Response(as_vtt(timings), media_type="text/vtt; charset=utf-8")
    told = Timings(timings=[TimingView.of(timing) for timing in timings])
    return JSONResponse(told.model_dump(mode="json", by_alias=True))


@polled.get(
    "/speech/{speech_id}/events",
    summary="Follow a text that is being spoken",
    response_class=EventSourceResponse,
    responses=STREAM,
)
async def speech_events(
    speech_id: SpeechId,
    request: Request,
    user: CurrentUser,
    needs: Needs,
    last_event_id: LastEventId = None,
) -> Response:
    """As `/jobs/{jobId}/events`, for its job."""
    async with needs.database.read() as tx:
        file = await find_speech(tx, speech_id, user.id)
    job = await find_job(needs.database, file.job_id, user.id)
    return stream_of(request, needs, job, last_event_id)


async def find_speech(tx: "Transaction", speech_id: str, user_id: str) -> SpeechFile:
    """A file of the user's own.

    Raises:
        NotFound: absent, or somebody else's.
    """
    file = await tx.speech.find(speech_id, user_id) if is_uuid(speech_id) else None
    if file is None:
        raise NotFound
    return file


async def audio_of(request: Request, needs: Services, speech_id: str, user_id: str) -> Response:
    """The audio of a file of the user's own.

    Raises:
        NotFound: absent, somebody else's, or not there yet.
    """
    async with needs.database.read() as tx:
        file = await find_speech(tx, speech_id, user_id)
    if file.state is not SpeechState.READY or file.key is None or file.size is None:
        raise NotFound
    if not file.used_lately(datetime.now(UTC)):
        keep = needs.settings.speech.keep_seconds
        async with needs.database.write() as tx:
            await tx.speech.use(file.id, user_id, keep_seconds=keep)
    stored = stored_audio.Stored(
        file.key, file.size, file.order.format.media_type, file.sha256 or f"{file.id}-{file.size}"
    )
    return await stored_audio.answer(request, needs.files, stored)


async def remove_speech(needs: Services, speech_id: str, user_id: str) -> None:
    """Take it out of sight, end its job, delete what is stored.

    Raises:
        NotFound: absent, or somebody else's.
    """
    async with needs.database.write() as tx:
        file = await find_speech(tx, speech_id, user_id)
        gone = await tx.speech.remove(speech_id, user_id) or ()
        for owned in gone:
            await tx.media.loosen(owned.key, owned.user_id)
        if file.state is SpeechState.GENERATING:
            await tx.secrets.forget(file.job_id, user_id)
    if file.state is SpeechState.GENERATING:
        await needs.jobs.cancel(file.job_id)
    for owned in gone:
        await needs.files.delete(owned.key)
        async with needs.database.write() as tx:
            await tx.media.remove(owned.key, owned.user_id)
