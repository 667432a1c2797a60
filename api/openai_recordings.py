"""Recordings that OpenAI's clients send: the form they come in, and the memos behind them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from api.dependencies import Services
from api.errors import field_of, validation_failure
from api.idempotency import Claim
from api.job_wait import awaited, failure_of, still_working
from api.memo_start import MemoStart, Recording, Started
from api.openai_errors import PARAM
from api.openai_models import models
from api.shapes.openai import openai_errors
from api.shapes.openai_recordings import OpenAIRecording
from api.upload import FILE_PART, Upload
from contracts.errors import Conflict, InvalidInput, NotFound
from contracts.jobs import Job, JobState, Step
from contracts.memo import MemoJob
from contracts.transcript import Transcript

HEARD: Final = frozenset({Step.SETTLE, Step.HEADLINE, Step.NOTES, Step.ANNOUNCE, Step.DONE})
"""Steps of a memo's job that come when its transcript is there."""

_LISTS: Final = frozenset({"languages", "timestamp_granularities"})

Form = TypeVar("Form", bound=OpenAIRecording)


def form_of(shape: type[BaseModel]) -> dict[str, Any]:
    """The body in OpenAPI's words: it is read as a stream, so no parameter says it."""
    schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    fields = schema["properties"]
    for name in _LISTS & fields.keys():
        fields[name]["items"] = {"type": "string"}
    fields["response_format"].pop("$ref", None)
    fields["response_format"] |= {"type": "string"}
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    told = {FILE_PART: file | {"description": "The recording; its first bytes decide what it is."}}
    body = {"type": "object", "required": [FILE_PART, "model"], "properties": told | fields}
    return {"required": True, "content": {"multipart/form-data": {"schema": body}}}


def answers(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """What an operation answers, beside JSON as one of these."""
    text = {"schema": {"type": "string"}}
    content = dict.fromkeys(("text/plain", "application/x-subrip", "text/vtt", *media_types), text)
    return {
        200: {"description": description, "content": content},
        **openai_errors(400, 401, 402, 403, 404, 409, 413, 422, 429, 502, 503),
    }


def read(form: Mapping[str, Sequence[str]], shape: type[Form]) -> Form:
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
        return shape.model_validate(raw)
    except ValidationError as error:
        failure = validation_failure(error.errors())
        failure.extra[PARAM] = field_of(error.errors()[0])
        raise failure from None


async def begun(
    needs: Services,
    user_id: str,
    asked: OpenAIRecording,
    upload: Upload,
    *,
    claim: Claim,
    language: str | None,
) -> Started:
    """The memo of a recording, begun now or before; one that failed or was deleted begun again.

    A file that is there already is not kept twice.

    Args:
        language: what the client asks for, for the title until there is a headline.

    Raises:
        InvalidInput: ``unknown_model``.
    """
    if asked.model not in models(needs):
        raise InvalidInput("There is no such model", code="unknown_model")
    recording = Recording(
        user_id=user_id,
        path=upload.key,
        seconds=0,
        media_type=upload.media_type,
        options=upload.fields.model_copy(update={"memo_id": upload.memo_id}),
        language=language,
    )
    started = await _begun(needs, recording, upload, claim)
    if not started.adopted:
        await upload.discard()
    return started


async def _begun(needs: Services, recording: Recording, upload: Upload, claim: Claim) -> Started:
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


async def said(needs: Services, job_id: str, user_id: str, seconds: float) -> Transcript:
    """The transcript, as soon as it is there; empty when nothing was said.

    Args:
        seconds: how long it is waited for.

    Raises:
        Conflict: ``still_working``, or ``job_cancelled``.
        Failure: what the job ended with.
    """
    job = await awaited(needs, job_id, user_id, seconds, enough=HEARD)
    if not job.state.final and job.step not in HEARD:
        raise still_working()
    return await transcript_of(needs, job)


async def transcript_of(needs: Services, job: Job) -> Transcript:
    """What a job has heard; empty when nothing was said.

    Raises:
        Failure: what the job ended with.
        NotFound: it was erased.
    """
    if job.state in {JobState.FAILED, JobState.CANCELLED}:
        raise await failure_of(needs, job)
    async with needs.database.read() as tx:
        if job.state is not JobState.COMPLETED_NO_TRANSCRIPT:
            return await tx.transcripts.load(job.id, job.user_id)
        path = MemoJob.model_validate(job.request).audio_path
        seconds = await tx.media.seconds(path, job.user_id)
    if seconds is None:
        raise NotFound
    return Transcript(text="", seconds=seconds)
