"""Forms that recordings come in (types of openai 3.52, `types/audio/`)."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.shapes.fields import Omittable, drop_null_defaults
from api.shapes.memos import Language, UploadFields
from api.shapes.speech import Voice


class TranscriptionFormat(StrEnum):
    """What a transcription is answered in."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE = "verbose_json"
    VTT = "vtt"
    DIARIZED = "diarized_json"


class TranslationFormat(StrEnum):
    """What a translation is answered in."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE = "verbose_json"
    VTT = "vtt"


class Granularity(StrEnum):
    """What `verbose_json` tells the times of."""

    WORD = "word"
    SEGMENT = "segment"


class OpenAIRecording(BaseModel):
    """The form fields beside the file."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=drop_null_defaults)

    model: Voice = Field(
        description="One that `GET /v1/models` tells; the tiers of the settings transcribe.",
        examples=["whisper-1"],
    )
    language: Omittable[Language] = Field(None, description="Language spoken (ISO 639-1, BCP 47).")
    languages: list[Language] = Field(
        [], max_length=20, description="Several of them, as a repeated field `languages[]`."
    )
    prompt: Omittable[str] = Field(None, description="Taken, and not used.")
    temperature: Omittable[float] = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="Taken, and not used."
    )

    @property
    def diarization(self) -> bool:
        """Whether speakers are to be told apart."""
        return False

    def options(self) -> UploadFields:
        """What that is of a memo."""
        spoken = [*self.languages, *([self.language] if self.language else [])]
        return UploadFields(
            recordingLanguages=list(dict.fromkeys(spoken)), enableDiarization=self.diarization
        )


class OpenAITranscription(OpenAIRecording):
    """A recording that is to be transcribed."""

    response_format: TranscriptionFormat = Field(
        TranscriptionFormat.JSON, description="Form of the answer."
    )
    timestamp_granularities: list[Granularity] = Field(
        [],
        max_length=9,
        description="Of `verbose_json`, as a repeated field `timestamp_granularities[]`; "
        "`segment` when none is said.",
    )
    stream: bool = Field(
        default=False,
        description="Events `transcript.text.delta` as it is heard, and `transcript.text.done`; "
        "with `diarized_json` also `transcript.text.segment`.",
    )

    @property
    def diarization(self) -> bool:
        """Whether speakers are to be told apart."""
        return self.response_format is TranscriptionFormat.DIARIZED or "diarize" in self.model


class OpenAITranslation(OpenAIRecording):
    """A recording that is to be transcribed and translated into English."""

    response_format: TranslationFormat = Field(
        TranslationFormat.JSON, description="Form of the answer."
    )


class OpenAITranscript(BaseModel):
    """What was said; `verbose_json` and `diarized_json` tell more of it."""

    model_config = ConfigDict(extra="allow")

    text: str = Field(examples=["Bread, milk and a birthday card."])
    usage: dict[str, Any] = Field(examples=[{"type": "duration", "seconds": 3.1}])


class OpenAITranslated(BaseModel):
    """What was said, in English; `verbose_json` tells more of it."""

    model_config = ConfigDict(extra="allow")

    text: str = Field(examples=["Bread, milk and a birthday card."])
