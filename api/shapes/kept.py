"""Bodies and answers of the read-aloud contract that older clients know: snake_case."""

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.shapes.errors import error_responses
from api.shapes.fields import EXAMPLE_MEMO, EXAMPLE_TIME, EXAMPLE_USER, Omittable, example
from api.shapes.speech import EXAMPLE_HASH, NewSpeech, Voice
from contracts.sessions import Session
from contracts.speech import MAX_SPEED, MIN_SPEED, SpeechFormat, SpeechOrder
from contracts.speech_job import SpeechFile, SpeechState, SpeechUsage
from contracts.speech_text import MAX_CHARACTERS

MEGABYTE: Final = 1 << 20
EXAMPLE_SESSION: Final = "eyJhbGciOiJFZERTQSIs…"


class KeptError(BaseModel):
    """Every error answer of these routes."""

    error: str = Field(description="Stable name for programs.", examples=["unauthorized"])
    message: str = Field(description="One sentence for a person.")


def kept_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an operation: those of the house, in this contract's form."""
    return {status: _kept(told) for status, told in error_responses(*statuses).items()}


def _kept(told: dict[str, Any]) -> dict[str, Any]:
    usual = told["content"]["application/json"]["examples"]
    examples = {
        code: {"value": {"error": code, "message": each["value"]["error"]}}
        for code, each in usual.items()
    }
    content = {"application/json": {"examples": examples}}
    return told | {"model": KeptError, "content": content}


class _Body(BaseModel):
    """Unknown fields are ignored, nothing is converted silently."""

    model_config = ConfigDict(extra="ignore", strict=True)


class VendorToken(_Body):
    """A token somebody signs in with."""

    model_config = example({"openai_token": "sk-…"})
    openai_token: str = Field(
        min_length=1, description="Of OpenAI, or of the server the installation names instead."
    )


class OldSession(_Body):
    """A session that is to go on."""

    model_config = example({"session_token": EXAMPLE_SESSION})
    session_token: Omittable[str] = Field(None, description="It may come as a bearer token too.")


class SessionAnswer(BaseModel):
    """A session."""

    user_id: str = Field(description="The same for the same token.", examples=[EXAMPLE_USER])
    session_token: str = Field(
        description="Bearer token of further requests.", examples=[EXAMPLE_SESSION]
    )
    expires_at: str = Field(examples=[EXAMPLE_TIME])

    @classmethod
    def of(cls, session: Session) -> Self:
        """As it was signed."""
        return cls(
            user_id=session.user_id,
            session_token=session.token,
            expires_at=session.expires_at.isoformat(timespec="seconds"),
        )


class NewReading(_Body):
    """A text that is to be read aloud."""

    model_config = example(
        {"text": "The lighthouse keeper counted seven ships.", "voice": "nova", "format": "mp3"}
    )
    text: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="What is to be said.")
    voice: Voice = Field("alloy", description="A name of the table, or an engine's own.")
    model: Omittable[Voice] = Field(
        None, description="Model of the vendor; else the configured one."
    )
    format: SpeechFormat = Field(SpeechFormat.MP3, strict=False, description="Of the audio.")
    speed: float = Field(1.0, ge=MIN_SPEED, le=MAX_SPEED, description="1 is the voice's own.")
    openai_token: SecretStr | None = Field(
        None,
        min_length=1,
        description="A token of one's own that is to speak, and pays; kept, sealed, until the file "
        "is there.",
    )

    def order(self) -> SpeechOrder:
        """What is asked for, the text made regular; raises as `NewSpeech.order` does."""
        given = self.model_dump(exclude_unset=True, exclude={"openai_token"})
        return NewSpeech.model_validate(given).order()


class Reading(BaseModel):
    """A text that is read aloud."""

    file_id: str = Field(examples=[EXAMPLE_MEMO])
    content_hash: str = Field(description="The same for equal requests.", examples=[EXAMPLE_HASH])
    status: SpeechState = Field(description="`generating`, `ready` or `failed`.")
    url: str | None = Field(None, description="Where the audio is, once it is there.")
    expires_at: str = Field(description="When it goes, unless it is used.", examples=[EXAMPLE_TIME])

    @classmethod
    def of(cls, file: SpeechFile) -> Self:
        """As its row has it."""
        return cls(
            file_id=file.id,
            content_hash=file.content_hash,
            status=file.state,
            url=f"/files/{file.id}" if file.state is SpeechState.READY else None,
            expires_at=file.expires_at.isoformat(),
        )


class ReadingStatus(BaseModel):
    """How far it is."""

    status: SpeechState = Field(description="`generating`, `ready` or `failed`.")
    file_id: str = Field(examples=[EXAMPLE_MEMO])
    expires_at: str = Field(examples=[EXAMPLE_TIME])

    @classmethod
    def of(cls, file: SpeechFile) -> Self:
        """As its row has it."""
        return cls(status=file.state, file_id=file.id, expires_at=file.expires_at.isoformat())


class ReadingDeleted(BaseModel):
    """It is gone for every reader."""

    deleted: bool = Field(default=True, description="Always true; an error answer says why not.")


class ReadingUsage(BaseModel):
    """What somebody has stored."""

    files_count: int = Field(description="Files that can be listened to.")
    storage_used_mb: float = Field(description="All of them, in units of 1 048 576 bytes.")
    generated_today: int = Field(description="Files asked for since midnight, UTC.")
    last_cleanup: str | None = Field(
        description="When files that nobody used were last removed; null: not yet.",
        examples=[EXAMPLE_TIME],
    )

    @classmethod
    def of(cls, usage: SpeechUsage) -> Self:
        """As it was counted."""
        cleaned = usage.cleaned_at
        return cls(
            files_count=usage.files,
            storage_used_mb=round(usage.bytes / MEGABYTE, 3),
            generated_today=usage.today,
            last_cleanup=None if cleaned is None else cleaned.isoformat(),
        )
