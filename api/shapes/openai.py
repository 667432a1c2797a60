"""Bodies and answers in the shapes of OpenAI's audio API (types of openai 3.52, `types/audio/`)."""

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.job_wait import STILL_WORKING
from api.openai_errors import PARAM, as_openai, openai_body
from api.shapes.fields import Omittable, drop_null_defaults, example
from api.shapes.speech import Voice
from contracts.errors import (
    Conflict,
    Failure,
    Forbidden,
    InsufficientCredits,
    InvalidInput,
    KeyReused,
    ProviderFailure,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from contracts.speech import MAX_SPEED, MIN_SPEED, SpeechFormat, SpeechOrder
from contracts.speech_text import MAX_CHARACTERS, normalised

TRANSCRIBERS: Final = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
)
"""Names that clients ask for; whatever they ask for, the tiers of the settings transcribe."""


class OpenAIBody(BaseModel):
    """What a client sends; unknown fields are ignored, as there."""

    model_config = ConfigDict(extra="ignore", strict=True, json_schema_extra=drop_null_defaults)


class StreamFormat(StrEnum):
    """How audio is sent."""

    AUDIO = "audio"
    SSE = "sse"


class VoiceId(OpenAIBody):
    """A voice by its id."""

    id: Voice


class OpenAISpeech(OpenAIBody):
    """A text that is to be read aloud."""

    model_config = example(
        {"input": "The lighthouse keeper counted seven ships.", "model": "tts-1", "voice": "nova"}
    )
    input: str = Field(
        min_length=1,
        max_length=MAX_CHARACTERS,
        description="What is to be said, up to 50 000 characters; markup in it is said too.",
    )
    model: Voice = Field(description="One that `GET /v1/models` tells.")
    voice: Voice | VoiceId = Field(
        description="A name (`alloy`, `nova`, …), or an engine's own (`de-DE-KatjaNeural`)."
    )
    response_format: SpeechFormat = Field(
        SpeechFormat.MP3,
        strict=False,
        description="`opus` is Opus in Ogg, `aac` is ADTS, `pcm` is 24 000 Hz mono signed 16 bit "
        "little endian.",
    )
    speed: float = Field(1.0, ge=MIN_SPEED, le=MAX_SPEED, description="1 is the voice's own.")
    stream_format: StreamFormat = Field(
        StreamFormat.AUDIO,
        strict=False,
        description="`sse`: events `speech.audio.delta` with base64, and `speech.audio.done`.",
    )
    instructions: Omittable[str] = Field(
        None, max_length=MAX_CHARACTERS, description="Taken, and not used: no engine is told."
    )

    def order(self) -> SpeechOrder:
        """What is asked for, the text made regular.

        Raises:
            InvalidInput: ``invalid_text``, ``text_too_long`` or ``nothing_to_say``.
        """
        return SpeechOrder(
            text=normalised(self.input),
            voice=self.voice if isinstance(self.voice, str) else self.voice.id,
            model=self.model,
            format=self.response_format,
            speed=self.speed,
        )


class OpenAIModel(BaseModel):
    """A model that a request may name."""

    id: str = Field(examples=["tts-1"])
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="Not known: always 0.")
    owned_by: str = Field(default="voicekeep", description="Always `voicekeep`.")


class OpenAIModels(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


class OpenAIErrorPart(BaseModel):
    """What is wrong; some codes bring further fields."""

    model_config = ConfigDict(extra="allow")

    message: str = Field(description="One sentence for a person.")
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(description="The field of the request that is wrong, if it is one.")
    code: str = Field(description="Stable name for programs.")


class OpenAIError(BaseModel):
    """Every error answer below `/v1`."""

    error: OpenAIErrorPart


_MEANINGS: Final[dict[int, tuple[str, Failure]]] = {
    400: (
        "A field is not of the form asked for, or the file is no audio that is taken.",
        InvalidInput("input is required", extra={PARAM: "input"}),
    ),
    401: (
        "No credential, or one that is not believed.",
        Unauthenticated("Invalid or expired token"),
    ),
    402: ("Too few credits are free.", InsufficientCredits(120, 30)),
    403: (
        "The API key has not the scope that is needed.",
        Forbidden("It has not the scope", code="missing_scope", extra={"requiredScope": "speech"}),
    ),
    404: ("There is no such model.", InvalidInput("No such model", code="unknown_model")),
    409: (
        "The job is still at work: the same request again goes on waiting for it.",
        Conflict("The job is still at work", code=STILL_WORKING),
    ),
    413: ("More bytes than are taken.", TooLarge("The file is larger than 2048 MB")),
    422: (
        "The Idempotency-Key came before with another request.",
        KeyReused("This Idempotency-Key was used before, for another request"),
    ),
    429: (
        "Too many requests within a minute, or too much under way.",
        TooManyRequests("Rate limit of 100 requests per minute exceeded"),
    ),
    502: ("No engine could serve; nothing was charged.", ProviderFailure("No tier could serve")),
    503: ("A dependency is away: ask again later.", Unavailable("Temporal does not answer")),
}


def openai_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an operation below ``/v1``: these error statuses with an example."""
    return {status: _response(status) for status in statuses}


def _response(status: int) -> dict[str, Any]:
    description, failure = _MEANINGS[status]
    told = as_openai(failure)
    body = openai_body(status, told.message, told.code, **told.extra)
    content = {"application/json": {"examples": {body["error"]["code"]: {"value": body}}}}
    return {"description": description, "model": OpenAIError, "content": content}
