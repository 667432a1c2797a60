"""Answers about credits."""

from typing import Any

from pydantic import Field

from api.shapes.fields import Answer, Part
from contracts.credits import CreditEntry, EntryKind


class Pricing(Answer):
    """The public price list, in credits."""

    costs: dict[str, int] = Field(
        examples=[{"TRANSCRIPTION_PER_MINUTE": 2, "QUESTION_MEMO": 5, "MEMO_COMBINE": 5}]
    )


class BalanceAnswer(Answer):
    """The caller's account; ``held`` is set aside for jobs that run and still among ``credits``."""

    credits: int
    held: int
    total_earned: int
    total_spent: int


class EntryView(Part):
    """One line of the ledger."""

    id: str
    kind: EntryKind
    amount: int = Field(description="Credits it is about; `kind` says what became of them.")
    operation: str | None
    description: str | None
    job_id: str | None
    step: str | None
    metadata: dict[str, Any] | None
    created_at: str

    @classmethod
    def of(cls, entry: CreditEntry) -> "EntryView":
        """The view of a row."""
        return cls(
            id=str(entry.id),
            kind=entry.kind,
            amount=entry.amount,
            operation=entry.operation,
            description=entry.description,
            job_id=entry.job_id,
            step=entry.step,
            metadata=entry.metadata,
            created_at=entry.created_at.isoformat(),
        )


class Transactions(Answer):
    """A page of the ledger, newest first."""

    transactions: list[EntryView]
    limit: int
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
