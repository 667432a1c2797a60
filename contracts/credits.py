"""What is known of the credits of users and spaces."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from contracts.values import Value

LOW_BELOW: Final = 20
"""Unless the settings say another: a balance below it is told by ``credits.low``."""


class Balance(Value):
    """An account, in credits.

    Attributes:
        credits: earned and not spent; what is held is still among them.
        held: set aside for jobs that have not ended.
    """

    credits: int
    held: int = 0
    total_earned: int = 0
    total_spent: int = 0

    @property
    def free(self) -> int:
        """What a new operation may cost."""
        return self.credits - self.held


class JobCredits(Value):
    """What a job holds now, and what it has been charged in its life.

    Attributes:
        space_id: the space whose account that is about; none: its user's own.
    """

    held: int = 0
    charged: int = 0
    space_id: str | None = None


class Charge(Value):
    """What was charged just now.

    Attributes:
        key: of its entry in the ledger.
        amount: credits; zero when it had been charged before.
        balance: of the account right after it; none when nothing was done.
        space_id: the space that paid; none: the user did.
    """

    key: str
    amount: int = 0
    balance: int | None = None
    space_id: str | None = None

    def fell_below(self, threshold: int) -> bool:
        """Whether this very charge took the balance below: of all charges one does, in one fall.

        >>> [Charge(key="k", amount=5, balance=left).fell_below(20) for left in (14, 15, 19, 20)]
        [False, True, True, False]
        """
        return self.balance is not None and self.balance < threshold <= self.balance + self.amount


class OpenHold(Value):
    """Credits that are set aside for a job.

    Attributes:
        key: of the step that held them.
    """

    key: str
    user_id: str
    job_id: str
    amount: int


class EntryKind(StrEnum):
    """What an entry of the ledger did."""

    GRANT = "grant"
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    REFUND = "refund"
    CONSUME = "consume"
    RETURN = "return"


class CreditEntry(Value):
    """One line of the ledger, never changed.

    Attributes:
        amount: credits it is about, never negative; the deltas say what became of them.
        balance_delta: what it added to the balance.
        held_delta: what it added to the credits held.
        user_id: who spent; none where a space was given something.
    """

    id: int
    kind: EntryKind
    amount: int
    balance_delta: int
    held_delta: int
    operation: str | None = None
    description: str | None = None
    job_id: str | None = None
    step: str | None = None
    metadata: dict[str, Any] | None = None
    user_id: str | None = None
    created_at: datetime


class CreditPage(Value):
    """Entries, newest first; ``next`` is the id after which the following page begins."""

    entries: tuple[CreditEntry, ...]
    next: int | None = None
