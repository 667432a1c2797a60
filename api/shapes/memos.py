"""Bodies and answers about memos."""

from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from api.shapes.fields import (
    EXAMPLE_MEMO,
    EXAMPLE_PATH,
    EXAMPLE_TIME,
    EXAMPLE_USER,
    Answer,
    Body,
    Omittable,
    Time,
    Title,
    Uuid,
    drop_null_defaults,
    example,
)
from api.shapes.webhooks import EXAMPLE_URL, Secret, Url
from contracts.egress import MAX_URL
from contracts.memo import Memo, MemoStatus

LONGEST_SECONDS: Final = 366 * 86_400
"""Bound of a claimed duration: what is longer is no claim about a recording."""

Language = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,4}(-[A-Za-z0-9]{2,8}){0,3}$", max_length=35),
]
MediaType = Annotated[
    str,
    StringConstraints(
        pattern=r"^(audio|video|application)/[A-Za-z0-9.+-]+( ?; ?[a-z0-9-]+=[A-Za-z0-9.,+-]+)*$",
        max_length=100,
    ),
]


class MemoOptions(Body):
    """What may be said of a recording beside where it is."""

    space_id: Omittable[Uuid] = Field(
        None, description="Space the memo is shared with; one has to be a member."
    )
    blueprint_id: Omittable[Uuid] = Field(None, description="Blueprint whose prompts are run.")
    memo_id: Omittable[Uuid] = Field(
        None, description="Id of the memo, when the client draws it; else one is drawn."
    )
    recording_started_at: Omittable[Time] = Field(
        None, description="When the recording was begun.", examples=[EXAMPLE_TIME]
    )
    location: Omittable[dict[str, Any]] = Field(
        None,
        description="Where it was recorded, in any form.",
        examples=[{"latitude": 47.66, "longitude": 9.17}],
    )
    media_type: MediaType = Field("audio/m4a", description="A hint; the first bytes decide.")
    recording_languages: list[Language] = Field(
        [],
        max_length=20,
        description="Languages spoken (BCP 47); empty: whatever is spoken.",
        examples=[["de-DE", "en-US"]],
    )
    enable_diarization: bool = Field(
        default=True, description="Tell speakers apart where the engine can."
    )
    title: Omittable[Title] = Field(
        None, description="A title of one's own; no headline replaces it."
    )
    webhook_url: Omittable[Url] = Field(
        None,
        alias="webhook_url",
        description="Gets this memo's events too, beside the caller's webhook endpoints.",
        examples=[EXAMPLE_URL],
    )
    webhook_secret: Omittable[Secret] = Field(
        None,
        alias="webhook_secret",
        description="Signs what is sent to `webhook_url`; else the account's secret does.",
    )


_LEFT_OUT: Final[Any] = object()


def _either(value: Any, info: ValidationInfo) -> Any:
    """Ask for a path, or else for an address, and for one of the two only."""
    url = info.data.get("media_url", "")  # none at all: it is wrong, which is said already
    if value is _LEFT_OUT:
        if url is None:
            raise PydanticCustomError("value_error", "filePath is required")
        return ""
    if url:
        raise PydanticCustomError("value_error", "filePath and mediaUrl exclude each other")
    return value


def _hint(value: Any, info: ValidationInfo) -> Any:
    """A path comes with its seconds; what is at an address may be of any length."""
    if value is _LEFT_OUT and info.data.get("media_url", "") is None:
        raise PydanticCustomError("value_error", "duration is required")
    return 0.0 if value is _LEFT_OUT else value


def _one_of_two(schema: dict[str, Any]) -> None:
    drop_null_defaults(schema)
    schema["oneOf"] = [{"required": ["filePath", "duration"]}, {"required": ["mediaUrl"]}]
    schema["examples"] = [{"filePath": EXAMPLE_PATH, "duration": 61.5}]


class NewMemo(MemoOptions):
    """A recording that is in storage, on its way there, or at an address to be fetched from."""

    model_config = ConfigDict(json_schema_extra=_one_of_two)

    media_url: Omittable[Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]] = (
        Field(
            None,
            description="Address to fetch the recording from, instead of `filePath`: https to a "
            "public host. It is kept until the recording is stored, and shown nowhere.",
            examples=["https://media.example/memo.m4a"],
        )
    )
    file_path: Annotated[str, BeforeValidator(_either)] = Field(
        default_factory=lambda: _LEFT_OUT,
        validate_default=True,
        max_length=1024,
        description="Storage key below the caller's own id.",
        examples=[EXAMPLE_PATH],
    )
    duration: Annotated[float, BeforeValidator(_hint)] = Field(
        default_factory=lambda: _LEFT_OUT,
        validate_default=True,
        ge=0,
        le=LONGEST_SECONDS,
        allow_inf_nan=False,
        description="Seconds, as the client knows them: a hint. The measured length is charged.",
        examples=[61.5],
    )


class UploadFields(MemoOptions):
    """The form fields beside the file of an upload."""

    duration: float = Field(
        0, ge=0, le=LONGEST_SECONDS, allow_inf_nan=False, description="Seconds; a hint."
    )


class Reprocessing(Body):
    """How a recording is to be transcribed anew; what is left out stays as it was."""

    model_config = example({"recordingLanguages": ["de-DE"]})

    recording_languages: Omittable[list[Language]] = Field(
        None, max_length=20, description="Languages spoken (BCP 47); empty: whatever is spoken."
    )
    recording_started_at: Omittable[Time] = Field(
        None, description="When the recording was begun.", examples=[EXAMPLE_TIME]
    )
    blueprint_id: Uuid | None = Field(
        None, description="Blueprint whose prompts are run; null: none.", examples=[None]
    )
    enable_diarization: Omittable[bool] = Field(
        None, description="Tell speakers apart where the engine can."
    )


class MemoChange(Body):
    """What a user may change of a memo; what is left out stays."""

    model_config = example({"title": "Shopping list", "isPinned": True})

    title: Omittable[Title] = Field(None, examples=["Shopping list"])
    intro: Omittable[Annotated[str, StringConstraints(max_length=5000)]] = Field(None)
    is_pinned: Omittable[bool] = Field(None)
    is_archived: Omittable[bool] = Field(None)


MEMO_EXAMPLE: Final[dict[str, Any]] = {
    "id": EXAMPLE_MEMO,
    "user_id": EXAMPLE_USER,
    "title": "Shopping list",
    "intro": "Bread, milk and a birthday card. The card is for Anna.",
    "source": {
        "audio_path": EXAMPLE_PATH,
        "duration": 61.48,
        "media_type": "audio/m4a",
        "transcript": "Bread, milk and a birthday card …",
        "transcription_route": "local",
    },
    "metadata": {"processing": {"transcription": {"status": "completed"}}},
    "style": None,
    "is_pinned": False,
    "is_archived": False,
    "is_public": False,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
    "status": "completed",
    "jobId": f"memo-{EXAMPLE_MEMO}",
}


class MemoView(BaseModel):
    """The memo's row, its status and its job."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True,
    )

    id: str
    user_id: str
    title: str | None
    intro: str | None
    source: dict[str, Any] = Field(description="Audio path, transcript, utterances, speakers, …")
    metadata: dict[str, Any] = Field(description="Among others `processing`: status of each step.")
    style: dict[str, Any] | None
    is_pinned: bool
    is_archived: bool
    is_public: bool
    created_at: str
    updated_at: str
    status: MemoStatus
    job_id: str | None = Field(serialization_alias="jobId")

    @classmethod
    def of(cls, memo: Memo) -> "MemoView":
        """The view of a row."""
        times = {
            "created_at": memo.created_at.isoformat(),
            "updated_at": memo.updated_at.isoformat(),
        }
        return cls(**{**dict(memo), **times}, status=memo.status)


class MemoStarted(Answer):
    """A memo was accepted; its job runs."""

    memo_id: str
    audio_path: str
    memo: MemoView
    job_id: str


class Retried(Answer):
    """The memo's transcription is tried again."""

    memo_id: str
    retry_attempt: int = Field(description="1, 2 or 3.")


class Reprocessed(Answer):
    """A new memo over the same recording; its job runs."""

    message: str
    original_memo_id: str
    new_memo_id: str
    memo: MemoView
    job_id: str


class MemoOfJob(Answer):
    """The memo a job transcribes."""

    memo_id: str
    user_id: str


class OneMemo(Answer):
    """One memo."""

    memo: MemoView


class MemoList(Answer):
    """A page of memos, newest first."""

    memos: list[MemoView]
    total: int | None = Field(description="Memos in all; null on pages asked for by cursor.")
    limit: int
    offset: int
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class MemoDeleted(Answer):
    """The memo is gone for every reader; the job erases what it left."""

    memo_id: str
    job_id: str
