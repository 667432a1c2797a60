"""Bodies and answers about texts that are read aloud."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints

from api.shapes.fields import EXAMPLE_MEMO, EXAMPLE_TIME, Answer, Body, Omittable, Part, example
from api.shapes.memos import Language
from contracts.speech import MAX_SPEED, MIN_SPEED, SpeechFormat, SpeechOrder, Timing
from contracts.speech_job import SpeechFile, SpeechState
from contracts.speech_text import MAX_CHARACTERS, normalised

EXAMPLE_HASH: Final = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"

SPEECH_EXAMPLE: Final = {
    "id": EXAMPLE_MEMO,
    "contentHash": EXAMPLE_HASH,
    "status": "ready",
    "voice": "nova",
    "model": None,
    "format": "mp3",
    "speed": 1.0,
    "language": None,
    "characters": 42,
    "seconds": 2.551,
    "size": 31_725,
    "tier": "openai",
    "url": f"/api/v1/speech/{EXAMPLE_MEMO}/audio",
    "error": None,
    "jobId": f"speech-{EXAMPLE_MEMO}",
    "createdAt": EXAMPLE_TIME,
    "expiresAt": "2026-02-07T09:15:00.000000+00:00",
}

Voice = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class NewSpeech(Body):
    """A text that is to be read aloud."""

    model_config = example(
        {"text": "The lighthouse keeper counted seven ships.", "voice": "nova", "format": "mp3"}
    )
    text: str = Field(
        min_length=1,
        max_length=MAX_CHARACTERS,
        description="What is to be said; markup in it is said too, never obeyed.",
    )
    voice: Voice = Field(
        "alloy",
        description="A name of the table (`alloy`, `nova`, …), or an engine's own "
        "(`de-DE-KatjaNeural`, `espeak:de`).",
    )
    model: Omittable[Voice] = Field(
        None, description="Model of the vendor; else the configured one."
    )
    format: SpeechFormat = Field(
        SpeechFormat.MP3,
        strict=False,
        description="`opus` is Opus in Ogg, `aac` is ADTS, `pcm` is 24 000 Hz mono signed 16 bit "
        "little endian.",
    )
    speed: float = Field(1.0, ge=MIN_SPEED, le=MAX_SPEED, description="1 is the voice's own.")
    language: Omittable[Language] = Field(
        None, description="Language of the text, BCP 47; else it is found out where it matters."
    )

    def order(self) -> SpeechOrder:
        """What is asked for, the text made regular.

        Raises:
            InvalidInput: ``invalid_text``, ``text_too_long`` or ``nothing_to_say``.
        """
        return SpeechOrder(
            text=normalised(self.text),
            voice=self.voice,
            model=self.model or "",
            format=self.format,
            speed=self.speed,
            language=self.language,
        )


class SpeechError(Part):
    """Why it could not be made."""

    code: str
    message: str


class SpeechView(Part):
    """A text that is read aloud."""

    id: str = Field(examples=[EXAMPLE_MEMO])
    content_hash: str = Field(description="The same for equal requests.", examples=[EXAMPLE_HASH])
    status: SpeechState = Field(description="`generating`, `ready` or `failed`.")
    voice: str
    model: str | None
    format: SpeechFormat
    speed: float
    language: str | None
    characters: int
    seconds: float | None = Field(description="Length of the audio, once it is there.")
    size: int | None = Field(description="Bytes of the audio.")
    tier: str | None = Field(description="Who spoke.")
    url: str | None = Field(description="Where the audio is, once it is there.")
    error: SpeechError | None
    job_id: str = Field(description="For `/jobs/{jobId}`, which tells every attempt and its cost.")
    created_at: str = Field(examples=[EXAMPLE_TIME])
    expires_at: str = Field(
        description="When it goes, unless somebody listens to it before.", examples=[EXAMPLE_TIME]
    )

    @classmethod
    def of(cls, file: SpeechFile) -> Self:
        """As its row has it; the text itself is not told again."""
        ready, failed = file.state is SpeechState.READY, file.state is SpeechState.FAILED
        return cls(
            id=file.id,
            content_hash=file.content_hash,
            status=file.state,
            voice=file.order.voice,
            model=file.order.model or None,
            format=file.order.format,
            speed=file.order.speed,
            language=file.order.language,
            characters=len(file.order.text),
            seconds=file.seconds,
            size=file.size,
            tier=file.tier,
            url=f"/api/v1/speech/{file.id}/audio" if ready else None,
            error=SpeechError(code=file.error_code or "", message=file.error_message or "")
            if failed
            else None,
            job_id=file.job_id,
            created_at=file.created_at.isoformat(),
            expires_at=file.expires_at.isoformat(),
        )


class SpeechStarted(Answer):
    """One text; its job runs, or its audio is there."""

    speech: SpeechView


class SpeechList(Answer):
    """A page of them, newest first."""

    speech: list[SpeechView]
    next_cursor: str | None = Field(description="For the next page; none: this is the last.")


class SpeechDeleted(Answer):
    """It is gone for every reader."""

    deleted: bool = True


class TimingFormat(StrEnum):
    """How timings are told."""

    JSON = "json"
    VTT = "vtt"


class TimingView(Part):
    """When something is said; seconds from the beginning of the audio."""

    kind: str = Field(description="`word` or `sentence`.")
    text: str
    start: float
    end: float

    @classmethod
    def of(cls, timing: Timing) -> Self:
        """To the millisecond."""
        return cls(
            kind=timing.kind,
            text=timing.text,
            start=round(timing.start, 3),
            end=round(timing.end, 3),
        )


class Timings(Answer):
    """All of one text, in order."""

    timings: list[TimingView] = Field(description="Empty where the engine does not tell.")
