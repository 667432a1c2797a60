"""What somebody outside tells of a job: a transcript of another's making, a vendor's event."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from contracts.errors import NoSpeech
from contracts.jobs import JobFailure
from contracts.memo import MemoJob
from contracts.transcript import Transcript, Utterance, has_speech
from contracts.values import Value

EXTERNAL: Final = "external"
"""The tier that waits for an outside transcriber; also its provider until it has a name."""

REPORT_SIGNAL: Final = "external_transcript"
VENDOR_SIGNAL: Final = "vendor_event"

FAILED: Final = "external_failed"
SILENT: Final = "external_timed_out"
LONGEST_REASON: Final = 500

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")


class Heard(Value):
    """What one speaker said, in an outside transcriber's spelling; times in milliseconds."""

    text: str
    offset: float
    duration: float
    speaker: int | str | None = None


class OutsideReport(Value):
    """What a signal carries of a report: where to look, nothing that was said.

    Attributes:
        round: of the job in which it came; a failure counts in that round alone.
        success: a transcript is recorded under the job's id.
        code: why there is none.
    """

    round: int
    success: bool
    code: str | None = None


class VendorEvent(Value):
    """That a vendor had something to tell of one of its jobs; what, the vendor is asked."""

    vendor_job: str


class OutsideEnd(StrEnum):
    """How waiting for an outside transcriber ended without its transcript."""

    FAILED = "failed"
    SILENT = "silent"
    CANCELLED = "cancelled"


class EndOutside(Value):
    """Write down that the tier came to nothing."""

    job: MemoJob
    end: OutsideEnd
    code: str | None = None


class OutsideTranscript(Value):
    """A transcript from outside, as it is kept until a job takes it over.

    Attributes:
        provider: who made it.
    """

    provider: str
    transcript: Transcript


class DueReport(Value):
    """A report that a job may not have heard of yet.

    Attributes:
        deliveries: how often it was tried to tell.
    """

    job_id: str
    user_id: str
    round: int
    success: bool
    code: str | None = None
    deliveries: int = 0

    @property
    def report(self) -> OutsideReport:
        """What the job is told."""
        return OutsideReport(round=self.round, success=self.success, code=self.code)


def reason(*said: str | None) -> str:
    """What an outside transcriber said of its failure, short and without addresses in it."""
    text = ": ".join(part.strip() for part in said if part and part.strip())
    return _ADDRESS.sub("…", text)[:LONGEST_REASON] or "The outside transcriber reported a failure"


def failure_of(code: str | None) -> JobFailure:
    """What a reported failure is to the job: its words stay in the database."""
    if code == NoSpeech.code:
        return JobFailure(code=NoSpeech.code, message="The outside transcriber heard no words")
    return JobFailure(code=code or FAILED, message="The outside transcriber reported a failure")


def as_transcript(
    text: str,
    heard: Sequence[Heard],
    *,
    seconds: float,
    names: Mapping[str, Any],
    languages: Sequence[str],
    primary_language: str | None,
) -> Transcript:
    """Our transcript of theirs: utterances in their order, speakers numbered from 1.

    Args:
        text: all of it; when it is blank the utterances are joined.
        names: of the speakers, by their labels; what is no text is no name.
    """
    ordered = sorted(heard, key=lambda each: (each.offset, each.duration))
    numbers = _numbers([each.speaker for each in ordered if each.speaker is not None])
    speakers = {str(number): f"Speaker {number}" for number in sorted(numbers.values())}
    for label, name in names.items():
        if label in numbers and isinstance(name, str) and name.strip():
            speakers[str(numbers[label])] = name.strip()
    given = tuple(dict.fromkeys(each for each in languages if each))
    return Transcript(
        text=text.strip() or " ".join(each.text.strip() for each in ordered if each.text.strip()),
        seconds=seconds,
        utterances=tuple(
            Utterance(
                text=each.text,
                offset=round(each.offset),
                duration=round(each.duration),
                speaker=None if each.speaker is None else numbers[str(each.speaker)],
            )
            for each in ordered
        ),
        languages=given,
        primary_language=primary_language or next(iter(given), None),
        speakers=speakers,
    )


def is_silent(transcript: Transcript) -> bool:
    """Whether it holds no words: then it is a failure, and the next tier may hear some."""
    return not has_speech(transcript)


def _numbers(labels: Sequence[int | str]) -> dict[str, int]:
    """A number for each label: the label itself where all are numbers, else in order seen."""
    distinct = list(dict.fromkeys(str(label) for label in labels))
    if all(_NUMBER.fullmatch(label) for label in distinct):
        return {label: int(label) for label in distinct}
    return {label: number for number, label in enumerate(distinct, start=1)}
