"""Answers about credits."""

from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.shapes.fields import EXAMPLE_USER, Answer, Body, Omittable, Part, Uuid, example
from contracts.credits import CreditEntry, EntryKind

MAX_CREDITS: Final = 1_000_000
"""Of one request: what is more is a mistake."""

Credits = Annotated[int, Field(ge=0, le=MAX_CREDITS)]
Operation = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)
]


class CreditsCheck(Body):
    """Whether an operation could be paid now."""

    model_config = example({"operation": "TRANSCRIPTION", "amount": 10})

    operation: Operation = Field(description="What it would be for.")
    amount: Credits = Field(description="Credits it would cost.")


class CreditsChecked(Answer):
    """Whether so many are free; nothing is held by it."""

    has_credits: bool
    available_credits: int = Field(description="Neither spent nor held.")
    required_credits: int


class Consumption(Body):
    """A charge for something done elsewhere."""

    model_config = example(
        {
            "operation": "EXPORT",
            "amount": 5,
            "description": "A book of my memos",
            "metadata": {"pages": 120},
        }
    )

    operation: Operation = Field(description="What it is for.")
    amount: Credits = Field(description="Credits to charge.")
    description: Description = Field(description="One sentence, shown in the ledger.")
    metadata: Omittable[Annotated[dict[str, Any], Field(max_length=50)]] = Field(
        default=None, description="Kept with the entry as it is."
    )


class Consumed(Answer):
    """What was charged."""

    consumed: int
    credits: int = Field(description="The balance right after the charge.")


class AccountChange(Body):
    """Credits that a service adds to an account."""

    model_config = example(
        {
            "userId": EXAMPLE_USER,
            "amount": 500,
            "reference": "order-4711",
            "description": "500 credits, January",
        }
    )

    user_id: Omittable[Uuid] = Field(
        default=None, description="Whose account: as `user_id` of the user's memos."
    )
    space_id: Omittable[Uuid] = Field(
        default=None, description="The space whose account it is, instead of a user."
    )
    amount: Annotated[int, Field(ge=1, le=MAX_CREDITS)] = Field(description="Credits.")
    reference: str = Field(
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Of the payment or the case: the same one again changes nothing.",
    )
    description: Description = Field(description="One sentence, shown in the ledger.")

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        if (self.user_id is None) == (self.space_id is None):
            raise PydanticCustomError("value_error", "Either userId or spaceId is needed")
        return self


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


class SpacePays(Body):
    """Whether a space pays for its members' memos from now on."""

    model_config = example({"pays": True})

    pays: bool = Field(description="Jobs that have begun keep their payer.")


class SpaceBalance(BalanceAnswer):
    """The account of a space; ``pays``: for the memos its members make in it."""

    pays: bool


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


class SpaceEntryView(EntryView):
    """One line of the ledger of a space."""

    user_id: str | None = Field(description="Who spent; null where the space was given something.")

    @classmethod
    def of(cls, entry: CreditEntry) -> "SpaceEntryView":
        """The view of a row."""
        return cls(**EntryView.of(entry).model_dump(), user_id=entry.user_id)


class SpaceTransactions(Answer):
    """A page of the ledger of a space, newest first."""

    transactions: list[SpaceEntryView]
    limit: int
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class Transactions(Answer):
    """A page of the ledger, newest first."""

    transactions: list[EntryView]
    limit: int
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
