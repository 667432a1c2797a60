"""OpenAI's API for recordings that are transcribed, over memos and their jobs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs, Services
from api.errors import field_of, validation_failure
from api.idempotency import Claim, Claimed
from api.job_wait import awaited, failure_of, unless_gone
from api.memo_start import MemoStart, Recording, Started
from api.openai_errors import PARAM, PREFIX
from api.openai_transcripts import EVENTS, answer_of
from api.routes.memos import AcceptLanguage, first_language
from api.routes.openai_audio import models, still_working
from api.shapes.openai import OpenAITranscript, OpenAITranscription, openai_errors
from api.upload import FILE_PART, Upload, receive
from contracts.api_keys import MEMOS
from contracts.errors import Conflict, InvalidInput, NotFound
from contracts.jobs import Job, JobState, Step
from contracts.memo import MemoJob
from contracts.transcript import Transcript

router = user_router("OpenAI", scope=MEMOS, prefix=PREFIX)

HEARD: Final = frozenset({Step.SETTLE, Step.HEADLINE, Step.NOTES, Step.ANNOUNCE, Step.DONE})
"""Steps of a memo's job that come when its transcript is there."""

_LISTS: Final = frozenset({"languages", "timestamp_granularities"})


def _form() -> dict[str, Any]:
    """The body in OpenAPI's words: it is read as a stream, so no parameter says it."""
    schema = OpenAITranscription.model_json_schema(ref_template="#/components/schemas/{model}")
    fields = schema["properties"]
    for name in _LISTS:
        fields[name]["items"] = {"type": "string"}
    fields["response_format"].pop("$ref", None)
    fields["response_format"] |= {"type": "string"}
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    told = {FILE_PART: file | {"description": "The recording; its first bytes decide what it is."}}
    body = {"type": "object", "required": [FILE_PART, "model"], "properties": told | fields}
    return {"required": True, "content": {"multipart/form-data": {"schema": body}}}


_TEXT: Final = {"schema": {"type": "string"}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What was said.",
        "content": {
            "text/plain": _TEXT,
            "application/x-subrip": _TEXT,
            "text/vtt": _TEXT,
            EVENTS: _TEXT,
        },
    },
    **openai_errors(400, 401, 402, 403, 404, 409, 413, 422, 429, 502, 503),
}


@router.post(
    "/audio/transcriptions",
    summary="Transcribe a recording, as OpenAI does",
    response_model=OpenAITranscript,
    responses=_ANSWERS,
    openapi_extra={"requestBody": _form()},
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
    async with receive(request, needs, user.id, lambda form: _read(form).options()) as upload:
        asked = _read(upload.form)
        if asked.model not in models(needs):
            raise InvalidInput("There is no such model", code="unknown_model")
        recording = Recording(
            user_id=user.id,
            path=upload.key,
            seconds=0,
            media_type=upload.media_type,
            options=upload.fields.model_copy(update={"memo_id": upload.memo_id}),
            language=first_language(accept_language),
        )
        started = await _begun(needs, recording, upload, claim)
        if not started.adopted:
            await upload.discard()
    job_id = str(started.answer["jobId"])
    said = await unless_gone(request, _said(needs, job_id, user.id))
    return answer_of(said, asked)


def _read(form: Mapping[str, Sequence[str]]) -> OpenAITranscription:
    """The fields of the form; a list is a repeated field, with ``[]`` behind its name or without.

    Raises:
        InvalidInput: with every message.
    """
    raw: dict[str, Any] = {}
    for field, values in form.items():
        name, given = field.removesuffix("[]"), [value for value in values if value.strip()]
        if name in _LISTS:
            raw[name] = [*raw.get(name, ()), *given]
        elif given:
            raw[name] = given[-1]
    try:
        return OpenAITranscription.model_validate(raw)
    except ValidationError as error:
        failure = validation_failure(error.errors())
        failure.extra[PARAM] = field_of(error.errors()[0])
        raise failure from None


async def _begun(needs: Services, recording: Recording, upload: Upload, claim: Claim) -> Started:
    """Its memo, begun now or before; one that failed or was deleted since is begun again."""
    options = recording.options
    heard_as = {"languages": options.recording_languages, "speakers": options.enable_diarization}
    key, starting = claim.always(heard_as, upload.sha256), MemoStart(needs)
    started = await starting.start(recording, key)
    if started.adopted:
        return started
    memo_id, job_id = str(started.answer["memoId"]), str(started.answer["jobId"])
    async with needs.database.write() as tx:
        memo = await tx.memos.find(memo_id, recording.user_id)
        state = await tx.jobs.state(job_id, recording.user_id)
        if memo is None or state is None:
            await tx.idempotency.forget(recording.user_id, key.text)
    if memo is None or state is None:
        return await starting.start(recording, key)
    if state not in {JobState.FAILED, JobState.CANCELLED}:
        return started
    again = recording._replace(options=options.model_copy(update={"memo_id": memo_id}))
    try:
        return await starting.start(again, None)
    except Conflict as conflict:
        if conflict.code != "already_running":
            raise
        return started


async def _said(needs: Services, job_id: str, user_id: str) -> Transcript:
    """The transcript, as soon as it is there.

    Raises:
        Conflict: ``still_working``, or ``job_cancelled``.
        Failure: what the job ended with.
    """
    seconds = needs.settings.limits.openai_wait_seconds
    job = await awaited(needs, job_id, user_id, seconds, enough=HEARD)
    if job.state in {JobState.FAILED, JobState.CANCELLED}:
        raise await failure_of(needs, job)
    if not job.state.final and job.step not in HEARD:
        raise still_working()
    return await _transcript(needs, job)


async def _transcript(needs: Services, job: Job) -> Transcript:
    async with needs.database.read() as tx:
        if job.state is not JobState.COMPLETED_NO_TRANSCRIPT:
            return await tx.transcripts.load(job.id, job.user_id)
        path = MemoJob.model_validate(job.request).audio_path
        seconds = await tx.media.seconds(path, job.user_id)
    if seconds is None:
        raise NotFound
    return Transcript(text="", seconds=seconds)
