"""The calls of vendors as activities write them down, inside a transaction, as a Protocol."""

from typing import Protocol

from contracts.costs import UNKNOWN, Bill
from contracts.jobs import Step
from contracts.language import ModelCall
from contracts.tiers import AttemptOutcome, Tries


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
        step: Step = Step.TRANSCRIBE,
        bill: Bill = UNKNOWN,
    ) -> int:
        """Write the attempt before the vendor is called; returns its number within the job.

        An attempt of the same tier and chunk that never ended (its worker died) is closed first,
        as ``failed`` with ``worker_lost``.

        Args:
            bill: what it costs should its end never be written.
        """

    async def begin_beside(
        self,
        job_id: str,
        user_id: str,
        call: ModelCall,
        *,
        round: int,  # noqa: A002 - as above
        step: Step,
        bill: Bill = UNKNOWN,
    ) -> int:
        """Write an attempt that closes no other: calls of a language model may overlap."""

    async def close_lost_beside(self, job_id: str, user_id: str) -> int:
        """Close those of them that an earlier run left open, as lost; returns how many."""

    async def record(
        self,
        job_id: str,
        user_id: str,
        call: ModelCall,
        *,
        round: int,  # noqa: A002 - as above
        step: Step,
        bill: Bill = UNKNOWN,
    ) -> None:
        """Write a call that is over and cost nothing: it did not have to be written before."""

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
        bill: Bill | None = None,
    ) -> None:
        """Write how it ended; ``seconds`` is the time the call took.

        Args:
            bill: what it took; none: as it was written when it began.
        """

    async def tries(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        round: int,  # noqa: A002 - as above
        *,
        chunk: int | None = None,
        step: Step = Step.TRANSCRIBE,
    ) -> Tries:
        """How often this tier was tried in this round in vain, by cause."""

    async def is_open(self, job_id: str, user_id: str, tier: str) -> bool:
        """Whether an attempt of the tier still runs."""

    async def end_open(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        outcome: AttemptOutcome,
        *,
        provider: str | None = None,
        code: str | None = None,
        message: str | None = None,
        bill: Bill | None = None,
    ) -> bool:
        """End the attempt of a tier that still runs, by our clock; false when none does."""
