"""What the activities need, as Protocols.

Implementations live in ``store/`` (database, files) and ``providers/`` (media tools, transcribers,
language models); ``worker.py`` puts them together. All of them raise ``contracts.errors.Failure``.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from activities.attempt_ports import Attempts
from activities.fetch_ports import Addresses
from activities.notification_ports import Notifications
from activities.outside_ports import Outside, VendorJobs
from activities.row_ports import (
    Blueprints,
    Credits,
    Jobs,
    Keys,
    Language,
    Media,
    Memories,
    Memos,
    Spaces,
    Transcripts,
)
from activities.secret_ports import Secrets
from activities.speech_ports import Speech
from activities.upload_ports import Uploads
from activities.wallet_ports import Reservations
from activities.webhook_ports import Webhooks
from contracts.audio import AudioFacts, StoredFile
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart
from contracts.values import Value


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
    def memories(self) -> Memories:
        """Memories within this transaction."""

    @property
    def language(self) -> Language:
        """Requests to language models within this transaction."""

    @property
    def blueprints(self) -> Blueprints:
        """Blueprints within this transaction."""

    @property
    def credits(self) -> Credits:
        """Credits within this transaction."""

    @property
    def spaces(self) -> Spaces:
        """Spaces within this transaction."""

    @property
    def reservations(self) -> Reservations:
        """Reservations at a credits service within this transaction."""

    @property
    def idempotency(self) -> Keys:
        """Idempotency keys within this transaction."""

    @property
    def outside(self) -> Outside:
        """Reports of outside transcribers within this transaction."""

    @property
    def vendor_jobs(self) -> VendorJobs:
        """Jobs at vendors within this transaction."""

    @property
    def webhooks(self) -> Webhooks:
        """Webhook messages within this transaction."""

    @property
    def speech(self) -> Speech:
        """Texts that are read aloud, within this transaction."""

    @property
    def secrets(self) -> Secrets:
        """Secrets users gave for one job, within this transaction."""

    @property
    def notifications(self) -> Notifications:
        """Mail within this transaction."""

    @property
    def media(self) -> Media:
        """Media within this transaction."""

    @property
    def uploads(self) -> Uploads:
        """Uploads within this transaction."""

    @property
    def addresses(self) -> Addresses:
        """Addresses of recordings within this transaction."""


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

    async def signal(self, job_id: str, name: str, value: Value) -> bool:
        """Tell the job's workflow something; false when it does not run.

        Raises:
            Unavailable: Temporal does not answer.
        """
