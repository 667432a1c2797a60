"""States of a job, the transitions that are allowed, and its events."""

from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from contracts.values import Value


class JobState(StrEnum):
    """State of a job as clients see it."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_NO_TRANSCRIPT = "completed_no_transcript"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job has ended."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class Step(StrEnum):
    """A step of a job, in the words of the Temporal UI and of the timeline."""

    QUEUED = "queued"
    RESERVE = "reserve"
    FETCH = "fetch"
    PROBE = "probe"
    CONVERT = "convert"
    TRANSCRIBE = "transcribe"
    SETTLE = "settle"
    HEADLINE = "headline"
    NOTES = "notes"
    WRITE = "write"
    SPEAK = "speak"
    JOIN = "join"
    ANNOUNCE = "announce"
    ERASE = "erase"
    DONE = "done"


LONGEST_JOB_SECONDS: Final = 48 * 3600.0
"""Bound of a job, retries and queueing included: longer audio than MAX_AUDIO_HOURS never begins."""

ENDS: Final = frozenset(state for state in JobState if state.final)

TRANSITIONS: Final = MappingProxyType(
    {
        None: frozenset({JobState.QUEUED}),
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
        JobState.RUNNING: ENDS,
        # A retry, or a late report of an outside transcriber.
        JobState.FAILED: frozenset({JobState.QUEUED, JobState.COMPLETED}),
        JobState.CANCELLED: frozenset({JobState.QUEUED}),
        JobState.COMPLETED: frozenset[JobState](),
        JobState.COMPLETED_NO_TRANSCRIPT: frozenset[JobState](),
    }
)
"""Which state may follow which; ``None`` is a job that does not exist yet."""


class EventType(StrEnum):
    """Type of a job event, and the ``event:`` field of the SSE stream."""

    STATE = "state"
    PROGRESS = "progress"
    DONE = "done"


class JobEvent(Value):
    """One line of a job's timeline.

    Attributes:
        seq: 1, 2, 3, … within the job, without a hole; the SSE ``id:``.
        at: ISO 8601 with time zone.
        data: step, tier, seconds, percent, state, previous; small facts only.
    """

    job_id: str
    seq: int
    type: EventType
    at: str
    data: dict[str, Any] = {}


class JobRef(Value):
    """Which job an event is about.

    Attributes:
        subject_id: what the job is about: the memo's id.
    """

    id: str
    user_id: str
    kind: str
    subject_id: str


class ToldEvent(Value):
    """An event with the job it is about, as it was committed."""

    about: JobRef
    event: JobEvent


class UserEvent(Value):
    """One line of a user's stream: an event of any of the user's jobs.

    Attributes:
        id: larger for a user with every commit, never given twice; the SSE ``id:``.
        seq: of the event within its job.
    """

    id: int
    user_id: str
    job_id: str
    kind: str
    subject_id: str
    seq: int
    type: EventType
    at: str
    data: dict[str, Any] = {}


class JobFailure(Value):
    """Why a job ended without a result."""

    code: str
    message: str


class Job(Value):
    """A job as its owner may see it.

    Attributes:
        id: the workflow's id.
        subject_id: what it is about: the memo's id.
        round: 1 for the first run, 2 for the first retry, …
        request: the workflow's input.
        failure: why it failed.
        event_seq: ``seq`` of its latest event.
    """

    id: str
    user_id: str
    kind: str
    subject_id: str
    state: JobState
    step: str
    tier: str | None = None
    round: int = 1
    request: dict[str, Any] = {}
    result: dict[str, Any] | None = None
    failure: JobFailure | None = None
    event_seq: int = 0
    deadline_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class StaleJob(Value):
    """A job that may have lost its workflow: all that is needed to start it again."""

    id: str
    kind: str
    user_id: str
    request: dict[str, Any]
