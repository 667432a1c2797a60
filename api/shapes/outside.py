"""What services tell of a memo: an outside transcript, a vendor's job."""

from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, model_validator

from api.shapes.fields import EXAMPLE_MEMO, EXAMPLE_USER, Answer, Body, Omittable, Uuid, example
from contracts.outside import Heard, as_transcript
from contracts.transcript import Transcript

MAX_REPORT_BYTES: Final = 8 * 1024 * 1024
"""A day of talk, each word of it twice: as text and in its utterance."""
MAX_UTTERANCES: Final = 100_000
MAX_TEXT: Final = 4_000_000
MAX_MILLISECONDS: Final = 48 * 3600 * 1000
EXAMPLE_VENDOR_JOB: Final = "7f4232d5-9873-47a7-a6f7-4a3f00d00dc0"

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
Milliseconds = Annotated[float, Field(ge=0, le=MAX_MILLISECONDS)]
Language = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{2,35}$")]
VendorJobId = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]


class ReportedUtterance(Body):
    """What one speaker said."""

    offset: Milliseconds = Field(description="Milliseconds from the beginning.")
    duration: Milliseconds = Field(description="Milliseconds.")
    text: str = Field(max_length=100_000, description="The words.")
    speaker: int | Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="Number or label of the speaker."
    )


class ReportedTranscript(Body):
    """What an outside transcriber heard."""

    transcript: str = Field(max_length=MAX_TEXT, description="All of the text.")
    utterances: list[ReportedUtterance] = Field(
        default=[], max_length=MAX_UTTERANCES, description="What was said by whom, and when."
    )
    speakers: dict[str, Any] = Field(
        default={}, max_length=200, description="Names of speakers, by number or label."
    )
    speaker_map: dict[str, Any] = Field(
        default={}, max_length=200, description="Names of speakers; win over `speakers`."
    )
    languages: list[Language] = Field(
        default=[], max_length=50, description="Languages that were heard; BCP 47."
    )
    primary_language: Omittable[Language] = Field(
        default=None, alias="primary_language", description="The one that was heard most."
    )
    duration: Omittable[Annotated[float, Field(ge=0, le=MAX_MILLISECONDS / 1000)]] = Field(
        default=None,
        description="Seconds of audio; the length measured here is charged, where there is one.",
    )

    def value(self) -> Transcript:
        """Our transcript of it."""
        ends = [each.offset + each.duration for each in self.utterances]
        return as_transcript(
            self.transcript,
            [
                Heard(text=u.text, offset=u.offset, duration=u.duration, speaker=u.speaker)
                for u in self.utterances
            ],
            seconds=self.duration or max(ends, default=0) / 1000,
            names=self.speakers | self.speaker_map,
            languages=self.languages,
            primary_language=self.primary_language,
        )


class TranscriptionCompleted(Body):
    """The report of an outside transcriber."""

    model_config = example(
        {
            "memoId": EXAMPLE_MEMO,
            "userId": EXAMPLE_USER,
            "success": True,
            "transcriptionResult": {
                "transcript": "Bread, milk and a birthday card.",
                "utterances": [
                    {
                        "offset": 300,
                        "duration": 2800,
                        "text": "Bread, milk and a birthday card.",
                        "speaker": 1,
                    }
                ],
                "speakers": {"1": "Speaker 1"},
                "languages": ["en-US"],
                "primary_language": "en-US",
                "duration": 3.4,
            },
            "route": "batch",
        }
    )

    memo_id: Uuid = Field(description="The memo that was transcribed.")
    user_id: Uuid = Field(description="Its owner.")
    success: bool = Field(description="Whether there is a transcript.")
    transcription_result: Omittable[ReportedTranscript] = Field(
        default=None, description="The transcript; required with `success`."
    )
    route: Omittable[Name] = Field(default=None, description="Who transcribed it.")
    error: Omittable[Annotated[str, Field(max_length=10_000)]] = Field(
        default=None, description="Why there is no transcript."
    )
    fallback_stage: Omittable[Annotated[str, Field(max_length=200)]] = Field(
        default=None, description="What the transcriber had come to."
    )

    @model_validator(mode="after")
    def _has_its_result(self) -> Self:
        if self.success and self.transcription_result is None:
            raise ValueError("transcriptionResult is required")
        return self


class ReportTaken(Answer):
    """That a report is kept; the job takes it over."""

    memo_id: str = Field(description="The memo.")
    job_id: str = Field(description="The job that was told.")
    ignored: bool = Field(description="The job has no use for it: it has ended, or has another.")


class BatchMetadata(Body):
    """Which vendor's job transcribes a memo."""

    model_config = example({"memoId": EXAMPLE_MEMO, "jobId": EXAMPLE_VENDOR_JOB})

    memo_id: Uuid = Field(description="The memo.")
    job_id: VendorJobId = Field(description="The vendor's id of its job.")
    batch_transcription: bool = Field(
        default=True, description="Whether the vendor works it off in its own time."
    )


class BatchMetadataKept(Answer):
    """That it was written to the memo's metadata."""

    memo_id: str = Field(description="The memo.")
    job_id: str = Field(description="The vendor's id of its job.")


class EventsTaken(Answer):
    """What came of a vendor's events."""

    woken: int = Field(description="Jobs that ask their vendor now.")
    ignored: bool = Field(description="Nobody waits for any of them.")
