"""What the activities need, as Protocols.

Implementations live in ``store/`` (database, files) and ``providers/`` (media tools, transcribers,
language models); ``worker.py`` puts them together. All of them raise ``contracts.errors.Failure``.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from contracts.audio import AudioFacts, MediaKind, OwnedKey, StoredFile
from contracts.credits import JobCredits, OpenHold
from contracts.headline import Headline
from contracts.jobs import EventType, JobFailure, JobState, StaleJob, Step
from contracts.memo import EraseReceipt, MemoStatus
from contracts.tiers import AttemptOutcome, Capabilities, Tries
from contracts.transcript import Transcript, TranscriptPart, TranscriptRef


class Jobs(Protocol):
    """The job rows and their events, inside a transaction."""

    async def state(self, job_id: str, user_id: str) -> JobState | None:
        """State of the job, with its row locked; none when it is not there."""

    async def move(
        self,
        job_id: str,
        user_id: str,
        to: JobState,
        *,
        step: Step,
        failure: JobFailure | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Move to another state and write the ``state`` event (``done`` when final).

        Returns:
            False when the job already is in that state; nothing is written then.

        Raises:
            Conflict: ``invalid_transition``, the present state does not allow it.
        """

    async def advance(
        self,
        job_id: str,
        user_id: str,
        step: Step,
        *,
        tier: str | None = None,
        data: Mapping[str, Any] | None = None,
        type: EventType = EventType.PROGRESS,  # noqa: A002 - the event's name
    ) -> None:
        """Set the job's present step (and tier) and write one ``progress`` event."""

    async def described(self, job_id: str, user_id: str) -> StaleJob | None:
        """What the job was asked for, so that it can be ended without its workflow."""

    async def stale(
        self, state: JobState, *, older_than_seconds: float, after: str, limit: int
    ) -> Sequence[StaleJob]:
        """Jobs of every owner still in ``state``, not touched for so long, by id after ``after``.

        A queued one may never have been started; a running one may have lost its workflow.
        """


class Attempts(Protocol):
    """One row per vendor call."""

    async def begin(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        provider: str,
        round: int,  # noqa: A002 - the name the job has for it
        *,
        chunk: int | None = None,
    ) -> int:
        """Write the attempt before the vendor is called; returns its number within the job.

        An attempt of the same tier and chunk that never ended (its worker died) is closed first,
        as ``failed`` with ``worker_lost``.
        """

    async def end(
        self,
        job_id: str,
        user_id: str,
        number: int,
        outcome: AttemptOutcome,
        *,
        seconds: float,
        code: str | None = None,
        message: str | None = None,
    ) -> None:
        """Write how it ended; ``seconds`` is the time the call took."""

    async def tries(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        round: int,  # noqa: A002 - as above
        *,
        chunk: int | None = None,
    ) -> Tries:
        """How often this tier was tried in this round in vain, by cause."""


class Transcripts(Protocol):
    """Saved transcripts and the parts of unfinished ones."""

    async def find(self, job_id: str, user_id: str) -> TranscriptRef | None:
        """The recorded transcript of a job."""

    async def load(self, job_id: str, user_id: str) -> Transcript:
        """The whole transcript; raises NotFound."""

    async def save(
        self, job_id: str, user_id: str, memo_id: str, tier: str, transcript: Transcript
    ) -> TranscriptRef:
        """Record it, once: a second save for the same job returns the first.

        Writes ``memos.source`` (text, utterances, speakers, languages, route) too and drops the
        saved parts.
        """

    async def parts(self, job_id: str, user_id: str, tier: str) -> Sequence[TranscriptPart]:
        """The parts an earlier attempt of this tier left."""

    async def save_part(self, job_id: str, user_id: str, tier: str, part: TranscriptPart) -> None:
        """Keep one part, so that a killed attempt goes on after it."""


class Memos(Protocol):
    """The memo rows; JSON columns are merged in SQL under a row lock."""

    async def set_processing(
        self, memo_id: str, user_id: str, process: str, status: MemoStatus, **fields: Any
    ) -> None:
        """Merge into ``metadata.processing.<process>``: status, updated_at and the given fields."""

    async def save_headline(self, memo_id: str, user_id: str, headline: Headline) -> None:
        """Write title and intro; a title the user set by hand is kept."""

    async def language(self, memo_id: str, user_id: str) -> str | None:
        """The language the memo asked for or was found to be in; BCP 47."""

    async def erase(self, memo_id: str, user_id: str) -> EraseReceipt:
        """Remove rows of the memo; the receipt counts rows only."""


class Credits(Protocol):
    """The two-phase ledger: hold, then settle or release; every row unique per (job, step)."""

    async def hold(self, user_id: str, job_id: str, key: str, amount: int) -> int:
        """Hold credits for a job; the same key again changes nothing. Returns what is held.

        Raises:
            InsufficientCredits: fewer are free.
        """

    async def adjust_hold(self, user_id: str, job_id: str, key: str, amount: int) -> int:
        """Correct the job's open hold to ``amount``; the same key again changes nothing.

        Raises:
            InsufficientCredits: the difference is not free; the old hold stays as it is.
        """

    async def settle(
        self, user_id: str, job_id: str, key: str, amount: int, *, operation: str
    ) -> int:
        """Charge ``amount`` and end the hold; once per job, whatever the round. Returns the charge.

        Zero when the job has been charged before.
        """

    async def left_over(self, *, after: str, limit: int) -> Sequence[OpenHold]:
        """Holds of every owner whose job has ended or is gone, by key after ``after``."""

    async def of_job(self, user_id: str, job_id: str) -> JobCredits:
        """What the job holds now, and what it has been charged in its life."""

    async def release(self, user_id: str, job_id: str, key: str) -> int:
        """End the job's open hold without a charge; returns what was released, 0 for none."""


class Keys(Protocol):
    """Idempotency keys and the answers kept under them."""

    async def forget_expired(self, limit: int) -> int:
        """Remove about so many of those whose day is over; returns how many went."""


class Media(Protocol):
    """One row per stored file, written before the file is: what has no row is an orphan."""

    async def add(
        self, key: str, user_id: str, *, kind: MediaKind, memo_id: str | None, job_id: str | None
    ) -> None:
        """Announce a file that is about to be stored; a second time changes nothing."""

    async def remove(self, key: str, user_id: str) -> None:
        """Forget a file that has been deleted."""

    async def of_job(self, job_id: str, user_id: str, kind: MediaKind) -> Sequence[str]:
        """Keys of the files of one kind that belong to a job."""

    async def of_memo(self, memo_id: str, user_id: str) -> Sequence[str]:
        """Keys of the files of a memo that no other memo uses."""

    async def abandoned(self, *, older_than_seconds: float, limit: int) -> Sequence[OwnedKey]:
        """Work files of ended jobs and uploads that never became a memo, of every owner."""

    async def save_facts(self, key: str, user_id: str, memo_id: str, facts: AudioFacts) -> None:
        """Record what the probe measured."""


class VoiceActivity(Protocol):
    """Finds speech without knowing words."""

    async def speech_seconds(self, wav: Path) -> float:
        """Seconds of speech in a 16 kHz mono WAV."""

    async def cutting_places(self, wav: Path) -> Sequence[tuple[float, bool, float]]:
        """Where it can be cut, in order: second, whether nobody speaks there, speech since."""


class Transaction(Protocol):
    """One database transaction: all of it happens, or none."""

    @property
    def jobs(self) -> Jobs:
        """Jobs within this transaction."""

    @property
    def attempts(self) -> Attempts:
        """Attempts within this transaction."""

    @property
    def transcripts(self) -> Transcripts:
        """Transcripts within this transaction."""

    @property
    def memos(self) -> Memos:
        """Memos within this transaction."""

    @property
    def credits(self) -> Credits:
        """Credits within this transaction."""

    @property
    def idempotency(self) -> Keys:
        """Idempotency keys within this transaction."""

    @property
    def media(self) -> Media:
        """Media within this transaction."""


class Database(Protocol):
    """Where rows are kept.

    Raises:
        Unavailable: the database does not answer.
    """

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that may write; commits when the block ends, rolls back when it raises."""

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that only reads."""


class Files(Protocol):
    """Where recordings are kept.

    Keys begin with their owner's id. Every method raises Unavailable when storage is away and
    InvalidInput (``invalid_path``) for a key that is not one.
    """

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        """Store a stream whole or not at all; an existing file is replaced in one move."""

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:
        """Store a local file whole or not at all."""

    async def find(self, key: str) -> StoredFile | None:
        """Size and time of a file, or none."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``; raises NotFound."""

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A local file with the content, for tools that need one; raises NotFound.

        The path is for reading, and is gone when the block ends (a disk store hands out its own
        file and keeps it).
        """

    async def delete(self, key: str) -> bool:
        """Remove a file; false when there was none."""

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what was begun so long ago and never finished; returns how many."""

    def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        """Every file below a prefix, recursively."""


class MediaTools(Protocol):
    """Probe and conversion, each outside the worker's own process."""

    async def probe(self, path: Path) -> AudioFacts:
        """Look into a file: positive list by its first bytes, then measured over its packets.

        Raises:
            UnsupportedMedia: the first bytes are of no container that is taken.
            MediaRejected: ``audio_corrupt`` or ``audio_not_supported``.
        """

    def workspace(self) -> AbstractAsyncContextManager[Path]:
        """A directory for one activity, gone when the block ends, or swept when its worker died."""

    async def convert(
        self,
        source: Path,
        target: Path,
        facts: AudioFacts,
        *,
        max_seconds: float,
        progress: Callable[[float], None],
    ) -> float:
        """Make a 16 kHz mono PCM WAV; returns its measured seconds.

        Args:
            progress: called with the seconds done, about once a second.

        Raises:
            MediaRejected: ffmpeg refuses the input, or writes nothing.
            Unavailable: no room on the disk, or no ffmpeg.

        Cancelling the call kills ffmpeg's whole process group.
        """


class Transcriber(Protocol):
    """One provider of transcription, behind one or more tiers."""

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""

    def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Yield what is heard, part by part, from ``after`` seconds on.

        Raises:
            ProviderFailure: one of its classes; nothing yielded so far is lost.

        Closing the iterator, or cancelling it, ends the call to the vendor.
        """


class Headliner(Protocol):
    """Makes headline and intro of a transcript."""

    @property
    def provider(self) -> str:
        """Name of the engine on the result."""

    async def headline(self, transcript: Transcript, language: str | None) -> Headline:
        """A headline of at most 60 characters and an intro of two or three sentences.

        Raises:
            ProviderFailure: nothing usable came of it.
        """


class JobStarter(Protocol):
    """Starts workflows and asks what became of them."""

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        """Start the job's workflow; false when it runs already.

        Raises:
            Unavailable: Temporal does not answer.
        """

    async def running(self, job_id: str) -> bool:
        """Whether the job's workflow runs now."""

    async def cancel(self, job_id: str) -> bool:
        """Ask the job's workflow to cancel; false when it does not run."""
