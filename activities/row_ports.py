"""The rows activities read and write, inside a transaction, as Protocols.

``store/`` implements them, one file per thing remembered.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from contracts.audio import AudioFacts, MediaKind, OwnedKey
from contracts.blueprint import Blueprint
from contracts.credits import Charge, JobCredits, OpenHold
from contracts.headline import Headline
from contracts.jobs import EventType, JobFailure, JobState, StaleJob, Step
from contracts.language import Usage
from contracts.language_job import KeptOrder, LanguageJob, LanguageOrder, WrittenRef
from contracts.memo import EraseReceipt, Memo, MemoStatus
from contracts.memory import NewMemory
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
        data: Mapping[str, Any] | None = None,
    ) -> bool:
        """Move to another state and write the ``state`` event (``done`` when final).

        Args:
            data: told in the event, beside the state.

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

    async def create(
        self,
        job_id: str,
        user_id: str,
        *,
        kind: str,
        subject_id: str,
        request: Mapping[str, Any],
        deadline_seconds: float,
    ) -> None:
        """Write a queued job; raises Conflict (``job_exists``)."""

    async def requeue(
        self,
        job_id: str,
        user_id: str,
        *,
        deadline_seconds: float,
        changes: Mapping[str, Any] | None = None,
    ) -> StaleJob:
        """Queue a failed or cancelled job once more: a round higher, in ``request`` too."""

    async def described(self, job_id: str, user_id: str) -> StaleJob | None:
        """What the job was asked for, so that it can be ended without its workflow."""

    async def stale(
        self, state: JobState, *, older_than_seconds: float, after: str, limit: int
    ) -> Sequence[StaleJob]:
        """Jobs of every owner still in ``state``, not touched for so long, by id after ``after``.

        A queued one may never have been started; a running one may have lost its workflow.
        """


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

    async def create(
        self,
        memo_id: str,
        user_id: str,
        *,
        title: str,
        title_by_user: bool,
        source: Mapping[str, Any],
        metadata: Mapping[str, Any],
        job_id: str,
        intro: str | None = None,
    ) -> Memo:
        """Write a memo; raises Conflict (``memo_exists``)."""

    async def find(self, memo_id: str, user_id: str) -> Memo | None:
        """A memo of the user's own, or shared by a space the user belongs to."""

    async def set_processing(
        self, memo_id: str, user_id: str, process: str, status: MemoStatus, **fields: Any
    ) -> None:
        """Merge into ``metadata.processing.<process>``: status, updated_at and the given fields."""

    async def save_headline(self, memo_id: str, user_id: str, headline: Headline) -> None:
        """Write title and intro; a title the user set by hand is kept."""

    async def name_vendor_job(
        self, memo_id: str, user_id: str, vendor_job: str, *, batch: bool
    ) -> bool:
        """Write which vendor's job transcribes it; false when there is no such memo of the user."""

    async def language(self, memo_id: str, user_id: str) -> str | None:
        """The language the memo asked for or was found to be in; BCP 47."""

    async def erase(self, memo_id: str, user_id: str) -> EraseReceipt:
        """Remove rows of the memo; the receipt counts rows only."""


class Memories(Protocol):
    """What was written about memos."""

    async def add(self, memo_id: str, user_id: str, written: Sequence[NewMemory]) -> None:
        """Write memories of a memo the user may read, after those it has; raises NotFound."""


class Blueprints(Protocol):
    """Prompts that belong together."""

    async def find(self, blueprint_id: str, user_id: str) -> Blueprint | None:
        """A blueprint of the user's own, or a public one."""


class Language(Protocol):
    """What language models are asked for, and their notes; all of it holds words."""

    async def order(self, job: LanguageJob, order: LanguageOrder) -> None:
        """Write what a job is asked for, in the transaction that makes the job's row."""

    async def order_of(self, job_id: str, user_id: str) -> KeptOrder | None:
        """What a job was asked for, and what was written; none when it was erased meanwhile."""

    async def count_vain(self, job_id: str, user_id: str, round: int) -> int:  # noqa: A002 - the job's word
        """Count a try of this round that came to nothing; returns how many there are now."""

    async def written(
        self,
        job_id: str,
        user_id: str,
        ref: WrittenRef,
        usage: Usage,
        *,
        texts: Mapping[int, str] | None = None,
    ) -> None:
        """Record what was written and how, and drop the notes it was written from.

        Args:
            texts: of a translation, by the places of its utterances.
        """

    async def notes(self, job_id: str, user_id: str, key: str) -> str | None:
        """Notes that an earlier attempt kept under that key."""

    async def keep_notes(self, job_id: str, user_id: str, key: str, notes: str) -> None:
        """Keep notes, once."""

    async def drop_notes(self, job_id: str, user_id: str) -> None:
        """Forget the notes of a job."""

    async def at_work_on(self, memo_id: str, user_id: str) -> Sequence[StaleJob]:
        """Jobs at work that read or make a memo of this user, whoever asked for them."""

    async def erase(self, memo_id: str, user_id: str) -> int:
        """Remove what was asked about a memo of this user, whoever asked; returns how many."""


class Credits(Protocol):
    """The two-phase ledger: hold, then settle or release; every row unique per (job, step)."""

    async def hold(
        self, user_id: str, job_id: str, key: str, amount: int, *, space_id: str | None = None
    ) -> int:
        """Hold credits for a job; the same key again changes nothing. Returns what is held.

        The space pays if it is set to, the user is a member, and so many are free there; the user
        does otherwise. That is decided here once: what ends the hold goes to the same account.

        Raises:
            InsufficientCredits: fewer are free to the user.
        """

    async def adjust_hold(self, user_id: str, job_id: str, key: str, amount: int) -> int:
        """Correct the job's open hold to ``amount``; the same key again changes nothing.

        Raises:
            InsufficientCredits: the difference is not free; the old hold stays as it is.
        """

    async def settle(
        self, user_id: str, job_id: str, key: str, amount: int, *, operation: str
    ) -> Charge:
        """Charge ``amount`` and end the hold; once per job, whatever the round.

        Of zero when the job has been charged before.
        """

    async def left_over(self, *, after: str, limit: int) -> Sequence[OpenHold]:
        """Holds of every owner whose job has ended or is gone, by job after ``after``."""

    async def of_job(self, user_id: str, job_id: str) -> JobCredits:
        """What the job holds now, and what it has been charged in its life."""

    async def release(self, user_id: str, job_id: str, key: str) -> int:
        """End the job's open hold without a charge; returns what was released, 0 for none."""


class Spaces(Protocol):
    """Who owns what several share."""

    async def owner(self, space_id: str) -> str | None:
        """Id of its owner; none: there is no such space."""


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

    async def stand(self, key: str, user_id: str) -> None:
        """Say that a text that is read aloud stands on the file."""

    async def loosen(self, key: str, user_id: str) -> None:
        """Say that nothing stands on it any more: what is not deleted now, the sweep deletes."""

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

    async def seconds(self, key: str, user_id: str) -> float | None:
        """Length of a recording as the probe measured it; none: it has not."""
