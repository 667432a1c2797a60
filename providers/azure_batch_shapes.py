"""What Azure batch transcription shows of its jobs and their files, and what it is sent.

By the reference "Transcriptions" of the speech to text REST API 2025-10-15; only what is used.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field

from contracts.audio import AudioFacts
from contracts.batch import BatchPhase

LONGEST_DIARIZATION: Final = 240 * 60.0
"""Seconds; speakers of longer audio cannot be told apart."""
MOST_CANDIDATES: Final = 10
"""Languages the vendor chooses among."""
KEPT_HOURS: Final = 48
"""How long the vendor keeps a job that nobody deletes; 6 to 744."""
PHASES: Final[Mapping[str, BatchPhase]] = MappingProxyType(
    {
        "NotStarted": BatchPhase.WAITING,
        "Running": BatchPhase.RUNNING,
        "Succeeded": BatchPhase.SUCCEEDED,
    }
)
FAILED: Final = "Failed"
_JOB_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


def job_id(address: str) -> str:
    """The id at the end of a job's address.

    Raises:
        ValueError: there is none.
    """
    name = urlsplit(address).path.rstrip("/").rpartition("/")[2]
    if not _JOB_ID.fullmatch(name):
        raise ValueError("the address names no job")
    return name


class Made(BaseModel):
    """The answer to a submission."""

    id: Annotated[str, AfterValidator(job_id)] = Field(alias="self")


class Problem(BaseModel):
    """Why a job failed."""

    code: str | None = None


class Properties(BaseModel):
    """Of a job."""

    error: Problem | None = None


class Job(Made):
    """A job; ``status`` is a key of `PHASES`, or `FAILED`."""

    status: str
    name: str = Field("", alias="displayName")
    created: str = Field("", alias="createdDateTime")
    properties: Properties = Properties()


class Page(BaseModel):
    """One page of a list, with the address of the next one."""

    next: str | None = Field(None, alias="@nextLink")


class Jobs(Page):
    """One page of jobs."""

    values: list[Job]


class Links(BaseModel):
    """Where a file is."""

    content: str = Field(alias="contentUrl")


class File(BaseModel):
    """A file of a job: ``Transcription`` or ``TranscriptionReport``, or one of no interest."""

    kind: str
    links: Links


class Files(Page):
    """One page of files."""

    values: list[File]


class Detail(BaseModel):
    """What became of one recording."""

    status: str
    kind: str | None = Field(None, alias="errorKind")


class Report(BaseModel):
    """What became of the recordings of a job: one that succeeded can hold some that failed."""

    failed: int = Field(alias="failedTranscriptionsCount")
    details: list[Detail] = []


def submission(
    operation: str,
    audio_url: str,
    facts: AudioFacts,
    *,
    locales: Sequence[str],
    speakers: int,
) -> dict[str, Any]:
    """The body of a submission.

    Args:
        operation: becomes the ``displayName``, by which a lost answer is found again.
        locales: what may be spoken, the main one first.
        speakers: most speakers told apart; 0 for not telling them apart.
    """
    properties: dict[str, Any] = {
        "timeToLiveHours": KEPT_HOURS,
        "wordLevelTimestampsEnabled": True,
        "displayFormWordLevelTimestampsEnabled": True,
        "punctuationMode": "DictatedAndAutomatic",
        "profanityFilterMode": "None",
        "channels": [0],
    }
    if len(locales) > 1:
        candidates = list(locales[:MOST_CANDIDATES])
        properties["languageIdentification"] = {
            "candidateLocales": candidates,
            "mode": "Continuous",
        }
    if speakers and facts.channels == 1 and facts.seconds <= LONGEST_DIARIZATION:
        properties["diarization"] = {"enabled": True, "maxSpeakers": speakers}
    return {
        "contentUrls": [audio_url],
        "locale": locales[0],
        "displayName": operation,
        "properties": properties,
    }
