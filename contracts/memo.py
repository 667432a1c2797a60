"""The values of the memo workflow: one in, one out, at every border."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from contracts.audio import AudioFacts
from contracts.batch import VendorJob
from contracts.chunks import Chunk
from contracts.jobs import JobFailure, JobState
from contracts.paging import Cursor
from contracts.tiers import PlannedTier
from contracts.transcript import Gap, TranscriptRef
from contracts.values import Value
from contracts.webhooks import Delivery


class MemoStatus(StrEnum):
    """Status of a memo's transcription or headline, in ``metadata.processing`` and in answers."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    COMPLETED_NO_TRANSCRIPT = "completed_no_transcript"
    FAILED = "failed"
    CANCELLED = "cancelled"


class MemoJob(Value):
    """What the memo workflow is started with; kept as ``jobs.request`` to start it again.

    Attributes:
        job_id: the workflow's id.
        user_id: owner; every query carries it.
        audio_path: storage key of the recording.
        claimed_seconds: the client's hint, used for the first hold only.
        languages: BCP 47 tags asked for; empty means whatever is spoken.
        diarization: tell speakers apart where the tier can.
        round: 1 for the first run, 2 for the first retry, …
        fetch: the recording is at an address, kept apart, and has to be fetched first.
        address_digest: SHA-256 of that address, so that the same one is known again.
        audio_wait_seconds: how long to wait for audio that is not in storage yet.
        heartbeat_seconds: after so long without a sign of life a worker counts as lost.
        announced: webhook messages that tell of the new memo.
        blueprint_id: memories are made by this blueprint when there is a transcript; it was
            checked that the owner may use it.
        space_id: the space it was made in, which may pay for it.
    """

    job_id: str
    memo_id: str
    user_id: str
    audio_path: str
    claimed_seconds: float = 0.0
    languages: tuple[str, ...] = ()
    diarization: bool = True
    fetch: bool = False
    address_digest: str = ""
    round: int = 1
    audio_wait_seconds: float = 60.0
    heartbeat_seconds: float = 60.0
    announced: tuple[Delivery, ...] = ()
    blueprint_id: str | None = None
    space_id: str | None = None


class FetchedAudio(Value):
    """A recording fetched into storage; size in bytes, 0 when an earlier try fetched it."""

    key: str
    size: int = 0


class Reserved(Value):
    """Answer of the first step.

    Attributes:
        present: false when the row was withdrawn before the workflow began: nothing is to be done.
        held: credits held.
        result: the transcript of an earlier life of this job, so that nothing is bought twice.
    """

    present: bool
    held: int = 0
    result: TranscriptRef | None = None


class ProbedAudio(Value):
    """What the probe found, the tiers to try for it, and the credits now held for it."""

    facts: AudioFacts
    plan: tuple[PlannedTier, ...]
    held: int = 0


class ConvertedAudio(Value):
    """The 16 kHz mono WAV an activity left in storage for the next one; size in bytes.

    Attributes:
        chunks: of it in order, when they were asked for.
    """

    key: str
    size: int
    seconds: float
    chunks: tuple[Chunk, ...] = ()


class ConvertAudio(Value):
    """Ask for the 16 kHz mono WAV of a recording.

    Attributes:
        chunk_seconds: find out too where to cut it, so that no piece is longer; 0: it stays whole.
    """

    job: MemoJob
    facts: AudioFacts
    chunk_seconds: float = 0.0


class ListenForSpeech(Value):
    """Ask for the seconds of speech in a converted recording."""

    job: MemoJob
    key: str


class VoiceFacts(Value):
    """Seconds of speech the voice activity detection found."""

    speech_seconds: float


class CutAudio(Value):
    """Ask where to cut a converted recording, so that no piece is longer than this."""

    job: MemoJob
    key: str
    seconds: float
    chunk_seconds: float


class CutPlan(Value):
    """The chunks of a recording, in order."""

    chunks: tuple[Chunk, ...]


class TranscribeTier(Value):
    """One attempt: this tier, on this file or on one chunk of it.

    Attributes:
        chunk: of the 16 kHz mono WAV under ``key``; none: the whole file.
    """

    job: MemoJob
    tier: PlannedTier
    key: str
    facts: AudioFacts
    chunk: Chunk | None = None


class HeardChunk(Value):
    """That a chunk is saved; ``words`` counts them, none when nothing was said in it."""

    index: int
    tier: str
    words: int


class SubmittedBatch(Value):
    """A job at a vendor, and the number of the attempt it stands for."""

    number: int
    job: VendorJob


class BatchOrder(Value):
    """Ask for what a submitted job has heard."""

    tier: TranscribeTier
    submitted: SubmittedBatch


class JoinChunks(Value):
    """Make one transcript of the chunks that are saved.

    Attributes:
        gaps: what no tier could transcribe.
        route: the tier that served, or ``mixed``.
        seconds: length of the recording.
    """

    job: MemoJob
    chunks: tuple[Chunk, ...]
    gaps: tuple[Gap, ...] = ()
    route: str
    seconds: float


class Settled(Value):
    """What a transcription was charged, and the webhook messages that tell of it."""

    charged: int
    announced: tuple[Delivery, ...] = ()


class SettleMemo(Value):
    """Charge the measured seconds for the recorded transcript."""

    job: MemoJob
    transcript: TranscriptRef
    seconds: float


class HeadlineMemo(Value):
    """Ask for headline and intro of a saved transcript."""

    job: MemoJob
    transcript: TranscriptRef


class HeadlineRef(Value):
    """That a headline was written; the words stay in the database."""

    engine: str
    characters: int


class OrderBlueprint(Value):
    """Ask for the memories of the memo's blueprint; ``language`` is the transcript's."""

    job: MemoJob
    language: str | None = None


class EndMemo(Value):
    """The last word on a job.

    Attributes:
        state: the final state.
        failure: why, for ``failed``.
        headline_failure: why a completed memo has no headline.
        result: facts for ``jobs.result``.
    """

    job: MemoJob
    state: JobState
    failure: JobFailure | None = None
    headline_failure: JobFailure | None = None
    result: dict[str, Any] = {}


class Ended(Value):
    """The webhook messages that tell of a job's end."""

    announced: tuple[Delivery, ...] = ()


class MemoResult(Value):
    """What the workflow returns: enough for an operator, nothing spoken."""

    state: JobState
    charged: int = 0
    seconds: float = 0.0
    tier: str | None = None
    words: int = 0
    failure: JobFailure | None = None


class EraseJob(Value):
    """Remove everything of one memo: media, transcripts, parts, rows."""

    job_id: str
    user_id: str
    memo_id: str


class EraseReceipt(Value):
    """What an erasure removed, counted; ``requests`` are those to language models."""

    files: int
    transcripts: int
    memories: int = 0
    requests: int = 0


class Healed(Value):
    """What one tick of ``reconcile`` mended."""

    started: int = 0
    reports_told: int = 0
    webhooks_sent: int = 0
    failed: int = 0
    holds_released: int = 0
    keys_forgotten: int = 0
    files_removed: int = 0
    staged_removed: int = 0
    mail_sent: int = 0
    reservations_healed: int = 0


class Memo(Value):
    """A memo's row, as its readers know it.

    Attributes:
        job_id: the job that transcribes it.
    """

    id: str
    user_id: str
    title: str | None = None
    intro: str | None = None
    source: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    style: dict[str, Any] | None = None
    is_pinned: bool = False
    is_archived: bool = False
    is_public: bool = False
    created_at: datetime
    updated_at: datetime
    job_id: str | None = None

    @property
    def status(self) -> MemoStatus:
        """Status of its transcription; pending before anything is known of it."""
        processing = self.metadata.get("processing") or {}
        return MemoStatus((processing.get("transcription") or {}).get("status", "pending"))


class MemoPage(Value):
    """Memos, newest first.

    Attributes:
        next: where the following page begins; none on the last.
        total: how many there are in all, when it was asked for.
    """

    memos: tuple[Memo, ...]
    next: Cursor | None = None
    total: int | None = None
