"""A transcription that a vendor makes in its own time: submitted, asked about, fetched, deleted."""

import re
from enum import StrEnum
from typing import Final

from contracts.values import Value

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9]+")


class VendorJob(Value):
    """A job at a vendor, and whose it is.

    Attributes:
        id: the vendor's id of it.
        credential: name of the credential that made it, never the key; no other one sees the job.
    """

    id: str
    credential: str


class BatchPhase(StrEnum):
    """How far a vendor's job is; one that failed is an exception instead."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"


class BatchState(Value):
    """What a vendor says of its job.

    Attributes:
        retry_after: seconds the vendor wants to be left alone before it is asked again.
    """

    phase: BatchPhase
    retry_after: float | None = None

    @property
    def done(self) -> bool:
        """Whether its results can be fetched."""
        return self.phase is BatchPhase.SUCCEEDED


def staging_key(operation: str, extension: str) -> str:
    """Name under which an operation's audio is staged: the same one on every try of it.

    Args:
        operation: the idempotency key of the vendor's job.
        extension: of the file, without a dot.
    """
    return f"{_UNSAFE.sub('-', operation).strip('-')}.{_UNSAFE.sub('', extension)}"


class JobOwner(Value):
    """The job of ours that a vendor's job was made for, and whose it is."""

    job_id: str
    user_id: str
