"""What the activities of batch transcription need, as Protocols.

One operation is staged, looked for, submitted when it is not found, asked about, fetched and
deleted. Its id is made of the job's id and the step, so a lost answer is found again before
anything is bought twice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from contracts.audio import AudioFacts
from contracts.batch import BatchState, VendorJob
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart


class BatchTranscriber(Protocol):
    """One vendor of batch transcription.

    Every method raises ProviderFailure, one of its classes.
    """

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""

    async def find(self, operation: str) -> Sequence[VendorJob]:
        """The jobs of an operation, the one to go on with first.

        More than one means that an answer was lost while the vendor was still working on it: the
        others are to be deleted.

        Raises:
            ProviderBusy: it cannot be known now; nothing may be submitted then.
        """

    async def submit(
        self,
        operation: str,
        audio_url: str,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,
    ) -> VendorJob:
        """Submit what `find` did not find.

        Args:
            audio_url: where the vendor reads the audio for a day and more; a secret.

        Raises:
            ProviderBusy: not submitted, or submitted and its answer lost: look for it first.
        """

    async def state(self, job: VendorJob) -> BatchState:
        """How far a job is.

        Raises:
            ProviderFailure: the vendor says that it failed, or knows it no more; the class says
                why.
        """

    async def results(
        self, job: VendorJob, facts: AudioFacts, *, languages: Sequence[str]
    ) -> TranscriptPart:
        """What a job that is done has heard, over the whole audio.

        Raises:
            NoSpeech: nothing.
        """

    async def delete(self, job: VendorJob) -> None:
        """Remove a job and its results from the vendor, finished or not; again is no error."""


class Staging(Protocol):
    """Where a vendor can read audio that is private everywhere else.

    Every method raises ProviderFailure, one of its classes.
    """

    async def stage(self, key: str, audio: Path, *, media_type: str) -> str:
        """Put a file there, over what may be there under the key, and return its address.

        The address is a secret: it can be read by whoever has it, for two days.
        """

    async def remove(self, key: str) -> bool:
        """Remove a staged file; false when there is none."""

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what was staged so long ago that no job can need it; returns how many files."""
