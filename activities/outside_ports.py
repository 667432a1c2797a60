"""What is remembered of outsiders, inside a transaction, as Protocols."""

from collections.abc import Sequence
from typing import Protocol

from contracts.batch import JobOwner
from contracts.outside import DueReport, OutsideTranscript


class Outside(Protocol):
    """Reports of outside transcribers."""

    async def transcript(self, job_id: str, user_id: str) -> OutsideTranscript | None:
        """The transcript that waits to be taken over."""

    async def failure(
        self,
        job_id: str,
        user_id: str,
        round: int,  # noqa: A002 - the name the job has for it
    ) -> tuple[str, str, str] | None:
        """Provider, code and words of the failure reported in a round."""

    async def forget_words(self, job_id: str, user_id: str) -> None:
        """The job has the transcript, or never will: what stays is that it came."""

    async def done(self, report: DueReport) -> None:
        """The job knows of it."""

    async def postpone(self, report: DueReport) -> None:
        """Tell the job again later, unless it takes it before."""

    async def due(self, *, limit: int) -> Sequence[DueReport]:
        """Reports of every owner that are to be told now, the oldest first."""


class VendorJobs(Protocol):
    """Jobs at vendors."""

    async def keep(self, vendor: str, vendor_id: str, owner: JobOwner) -> None:
        """Remember whose it is; a second time changes nothing."""

    async def forget(self, vendor: str, vendor_id: str) -> None:
        """It is deleted at the vendor."""
