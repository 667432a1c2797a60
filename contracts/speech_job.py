"""The values of the speech workflow; texts and timings stay in the database."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from contracts.jobs import JobFailure, JobState
from contracts.speech import SAMPLE_RATE, PlannedVoice, SpeechFormat, SpeechOrder, Timing
from contracts.values import Value
from contracts.webhooks import Delivery

USED_LATELY_SECONDS: Final = 60.0
"""A file that is read in many pieces is not written down as used by each."""


class SpeechState(StrEnum):
    """How far a file is; ``deleting`` is seen by nobody."""

    GENERATING = "generating"
    READY = "ready"
    FAILED = "failed"
    DELETING = "deleting"


class SpeechJob(Value):
    """What the speech workflow is started with; kept as ``jobs.request`` to start it again.

    Attributes:
        job_id: the workflow's id, ``speech-<file id>``.
        user_id: who asks, pays and owns the file.
        price: credits, held before an engine is called and settled when the file is there.
        round: 1 for the first run, 2 for the first retry, …
        window: parts of the text that are spoken at once.
        heartbeat_seconds: after so long without a sign of life a worker counts as lost.
        own_token: a token of the user speaks; it is sealed in a row of its own.
    """

    job_id: str
    user_id: str
    file_id: str
    form: SpeechFormat
    price: int = 0
    round: int = 1
    window: int = 4
    heartbeat_seconds: float = 60.0
    own_token: bool = False

    def scope(self, everybody: str | None) -> str:
        """Whom its parts may serve: the user alone, or everybody where parts are shared.

        What somebody pays for with a token of their own serves nobody else.

        Args:
            everybody: the name of that scope; none where parts are not shared.
        """
        return self.user_id if self.own_token else everybody or self.user_id


class SpeechPlan(Value):
    """Answer of the first step.

    Attributes:
        present: false when the row was withdrawn before the workflow began.
        tiers: who may speak, in order.
        characters: of the text.
    """

    present: bool
    tiers: tuple["PlannedTexts", ...] = ()
    characters: int = 0


class PlannedTexts(Value):
    """One tier, and the parts of the text as it takes them.

    Attributes:
        parts: how many there are.
        missing: which of them have to be spoken, each one once: the others are there, or are equal
            to one of these.
    """

    voice: PlannedVoice
    parts: int
    missing: tuple[int, ...]


class SpeakPart(Value):
    """One part that is to be there."""

    job: SpeechJob
    voice: PlannedVoice
    index: int


class SpokenPart(Value):
    """That it is there.

    Attributes:
        samples: length of its audio.
        bought: an engine was called for it now; else it was there before.
    """

    samples: int
    bought: bool = True


class JoinSpeech(Value):
    """All parts are there: the file is to be made of them."""

    job: SpeechJob
    voice: PlannedVoice


class SpeechReady(Value):
    """That the file is there.

    Attributes:
        seconds: length of the audio.
        size: bytes.
        announced: webhook messages that tell of it.
    """

    seconds: float
    size: int
    charged: int = 0
    announced: tuple[Delivery, ...] = ()


class EndSpeech(Value):
    """The last word on a speech job that has no file."""

    job: SpeechJob
    state: JobState
    failure: JobFailure | None = None


class SpeechEnded(Value):
    """How it ended: a file that was made before the order came stays."""

    state: JobState
    ready: SpeechReady | None = None
    announced: tuple[Delivery, ...] = ()


class SpeechResult(Value):
    """What the workflow returns: enough for an operator, nothing spoken."""

    state: JobState
    tier: str | None = None
    parts: int = 0
    bought: int = 0
    ready: SpeechReady | None = None
    failure: JobFailure | None = None


class SpeechFile(Value):
    """A text that is read aloud, as its row has it.

    Attributes:
        order: what was asked for; its words are the owner's alone.
        key: storage key of the audio, once it is there.
        sha256: of the audio.
        tier: that spoke.
        expires_at: when it goes, unless it is used before.
    """

    id: str
    user_id: str
    job_id: str
    content_hash: str
    state: SpeechState
    order: SpeechOrder
    key: str | None = None
    size: int | None = None
    seconds: float | None = None
    sha256: str | None = None
    tier: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    created_at: datetime
    used_at: datetime
    expires_at: datetime

    def used_lately(self, now: datetime) -> bool:
        """Whether it was wanted a moment ago: that need not be written down once more."""
        return (now - self.used_at).total_seconds() < USED_LATELY_SECONDS


class KeptPart(Value):
    """One part that was spoken before.

    Attributes:
        key: storage key of its samples.
        timings: within the part, before any change of tempo.
        speed: that the engine did itself.
    """

    hash: str
    key: str
    samples: int
    speed: float = 1.0
    timings: tuple[Timing, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of its audio."""
        return self.samples / SAMPLE_RATE


class SpeechUsage(Value):
    """What somebody has stored.

    Attributes:
        files: that are ready.
        bytes: of all of them.
        today: made since midnight, UTC.
        cleaned_at: when files nobody used were last removed; none: not yet.
    """

    files: int
    bytes: int
    today: int
    cleaned_at: datetime | None = None


class Expired(Value):
    """What one tick of ``speech_expiry`` removed.

    Attributes:
        files: whose time was over, or that somebody had begun to delete.
        parts: likewise.
    """

    files: int = 0
    parts: int = 0
