"""OpenAI's API for texts that are read aloud, and its list of models, over the same jobs."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Annotated, Any, Final

from fastapi import Path, Request
from starlette.responses import Response, StreamingResponse

from api.admission import CurrentUser, user_router
from api.dependencies import Needs, Services
from api.errors import openai_event
from api.idempotency import Claimed, Key
from api.job_wait import awaited, failure_of, still_working, unless_gone
from api.live_response import LiveResponse
from api.openai_errors import PARAM, PREFIX
from api.openai_models import models
from api.openai_transcripts import EVENTS, event
from api.shapes.openai import (
    OpenAIModel,
    OpenAIModels,
    OpenAISpeech,
    StreamFormat,
    openai_errors,
)
from api.speech_start import SpeechStart
from api.speech_stream import SpokenText
from contracts.api_keys import READ_ALOUD
from contracts.errors import NotFound
from contracts.jobs import JobState
from contracts.speech import SpeechOrder
from contracts.speech_job import SpeechFile, SpeechState

router = user_router("OpenAI", scope=READ_ALOUD, prefix=PREFIX)

_AUDIO: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The audio, or its events.",
        "content": {"audio/*": {}, EVENTS: {"schema": {"type": "string"}}},
    },
    **openai_errors(400, 401, 402, 403, 404, 409, 413, 422, 429, 502, 503),
}


@router.post(
    "/audio/speech",
    summary="Read a text aloud, as OpenAI does",
    response_class=Response,
    responses=_AUDIO,
)
async def create_openai_speech(
    request: Request, body: OpenAISpeech, user: CurrentUser, needs: Needs, *, claim: Claimed
) -> Response:
    """Answer with the audio, in any of the six formats, as bytes or as events.

    The job behind it is the one of `POST /api/v1/speech`: equal requests have one file, what is
    there is sent at once, what is being made is sent as it is spoken, from its first part on. A
    client that hangs up and asks again finds the same job. What ends short (a chunked body without
    its end, or an `error` event) is not all: the same request again gets the whole file.
    """
    order, fields = body.order(), body.model_dump(mode="json", exclude_unset=True)
    file = await _ordered(needs, user.id, order, claim.over(fields))
    if file.state is SpeechState.READY:
        return await _sent(needs, file, body.stream_format)
    begun = await unless_gone(request, _begun(needs, file))
    if isinstance(begun, SpokenText):
        return _live(needs, begun, file, body.stream_format)
    return await _sent(needs, begun, body.stream_format)


@router.get(
    "/models",
    summary="Models, as OpenAI lists them",
    response_description="All of them.",
    responses=openai_errors(401, 403, 429, 503),
)
async def list_openai_models(needs: Needs) -> OpenAIModels:
    """The names that `/v1/audio/speech` and `/v1/audio/transcriptions` take for `model`.

    Who really speaks or transcribes is decided by the operator's tiers.
    """
    return OpenAIModels(data=[OpenAIModel(id=name) for name in models(needs)])


@router.get(
    "/models/{model}",
    summary="One model, as OpenAI shows it",
    response_description="The model.",
    responses=openai_errors(401, 403, 404, 429, 503),
)
async def get_openai_model(
    model: Annotated[str, Path(description="Name of a model.")], needs: Needs
) -> OpenAIModel:
    """Whether there is a model of that name."""
    if model not in models(needs):
        raise NotFound("There is no such model", code="model_not_found", extra={PARAM: "model"})
    return OpenAIModel(id=model)


async def _ordered(
    needs: Services, user_id: str, order: SpeechOrder, key: Key | None
) -> SpeechFile:
    """The file, its job begun or joined; what failed or went since the key came is made anew."""
    starting = SpeechStart(needs)
    if key is not None:
        with suppress(NotFound):
            file = await starting.start(user_id, order, key)
            if file.state is not SpeechState.FAILED:
                return file
    return await starting.start(user_id, order, None)


async def _begun(needs: Services, file: SpeechFile) -> SpokenText | SpeechFile:
    """The text as soon as bytes of it are there; its file, where it is not sent before."""
    seconds = needs.settings.limits.openai_wait_seconds
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    spoken = await SpokenText.of(needs, file)
    if spoken is not None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(spoken.aclose)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    if await spoken.begin():
                        stack.pop_all()
                        return spoken
    return await _made(needs, file, max(0.0, until - clock()))


async def _made(needs: Services, file: SpeechFile, seconds: float) -> SpeechFile:
    """The file, once its job has made it."""
    job = await awaited(needs, file.job_id, file.user_id, seconds)
    if not job.state.final:
        raise still_working()
    if job.state is not JobState.COMPLETED:
        raise await failure_of(needs, job)
    async with needs.database.read() as tx:
        made = await tx.speech.find(file.id, file.user_id)
    if made is None:
        raise NotFound
    return made


async def _sent(needs: Services, file: SpeechFile, form: StreamFormat) -> Response:
    if file.key is None:
        raise NotFound
    content = needs.files.read(file.key)
    # What cannot be read at all is told by a status.
    first = await anext(content, b"")
    audio = _whole(first, content)
    if form is StreamFormat.AUDIO:
        headers = None if file.size is None else {"Content-Length": str(file.size)}
        return StreamingResponse(audio, media_type=file.order.format.media_type, headers=headers)
    return StreamingResponse(_as_events(needs, audio, file), media_type=EVENTS)


def _live(
    needs: Services, spoken: SpokenText, file: SpeechFile, form: StreamFormat
) -> LiveResponse:
    pause = needs.settings.speech.pause_seconds
    if form is StreamFormat.AUDIO:
        kind = file.order.format.media_type
        return LiveResponse(spoken.chunks(), spoken.aclose, media_type=kind, pause=pause)
    events = _as_events(needs, spoken.chunks(), file)
    return LiveResponse(events, spoken.aclose, media_type=EVENTS, pause=pause, told=openai_event)


async def _whole(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _as_events(
    needs: Services, audio: AsyncIterator[bytes], file: SpeechFile
) -> AsyncGenerator[bytes, None]:
    async for chunk in audio:
        told = base64.b64encode(chunk).decode()
        yield event({"type": "speech.audio.delta", "audio": told}).encode()
    seconds = file.seconds
    if seconds is None:
        async with needs.database.read() as tx:
            made = await tx.speech.find(file.id, file.user_id)
        seconds = made.seconds if made else None
    # Tokens are counted by no engine that speaks here: what is counted stands beside them.
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    counted = {"characters": len(file.order.text), "seconds": seconds}
    yield event({"type": "speech.audio.done", "usage": usage | counted}).encode()
