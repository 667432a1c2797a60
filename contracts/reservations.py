"""Credits reserved at a service elsewhere for a job: what is known of each, and what comes next.

The rules are pure. Whoever applies them asks the service between two transactions, never in one.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import combinations
from typing import Final

from contracts.values import Value

MOST_UNKNOWN: Final = 2
"""A round of a job in which so many reservations ended unknown asks for no other."""


class RemoteBalance(Value):
    """An account at the service, in credits; what is reserved has left the balance already."""

    balance: int
    total_earned: int
    total_spent: int


class RemoteReservation(Value):
    """What the service reserved, and the balance it left; it stays until it is told otherwise."""

    id: str
    balance: int


class ReservationState(StrEnum):
    """How far a reservation is.

    ``asked`` may have taken effect or not; ``surplus`` is reserved and not needed any more;
    ``uncertain`` was asked, and what came of it cannot be known from here; ``closed`` is one of
    those that an operator has looked into.
    """

    ASKED = "asked"
    RESERVED = "reserved"
    SURPLUS = "surplus"
    COMMITTING = "committing"
    COMMITTED = "committed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    UNCERTAIN = "uncertain"
    CLOSED = "closed"


UNKNOWN: Final = frozenset({ReservationState.UNCERTAIN, ReservationState.CLOSED})


class Reservation(Value):
    """One reservation, intended or made.

    Attributes:
        key: of the row, never used twice.
        round: the job's, 1 for its first run.
        reservation_id: the service's; none before it answered.
        before: the account when it was asked.
        asked_at: when the intention was written, a moment before the service was asked.
    """

    key: str
    user_id: str
    job_id: str
    round: int
    amount: int
    state: ReservationState
    reservation_id: str | None = None
    before: RemoteBalance
    asked_at: datetime


class Need(Value):
    """What has to be reserved before a step goes on.

    Attributes:
        key: of the step.
    """

    job_id: str
    user_id: str
    key: str
    round: int = 1


class NextStep(StrEnum):
    """What is to be done so that exactly so many credits are reserved."""

    NOTHING = "nothing"
    ASK = "ask"
    TRIM = "trim"
    RESOLVE = "resolve"
    GIVE_UP = "give_up"


class Step(Value):
    """The next step, and what it is about.

    Attributes:
        amount: to ask for.
        keys: rows to resolve; or those to keep, the rest of what is reserved being too much.
    """

    do: NextStep
    amount: int = 0
    keys: tuple[str, ...] = ()


def next_step(rows: Sequence[Reservation], amount: int, round_: int) -> Step:
    """What comes next for a job that needs ``amount`` credits, all of them and no more.

    Committing is for a whole reservation, so those of a job have to add up to its price. Too few:
    the rest is reserved beside them. Too many: a new one of the right size, and the others go.
    """
    asked = tuple(row.key for row in rows if row.state is ReservationState.ASKED)
    if asked:
        return Step(do=NextStep.RESOLVE, keys=asked)
    held = [row for row in rows if row.state is ReservationState.RESERVED]
    total = sum(row.amount for row in held)
    if total == amount or not amount:
        return Step(do=NextStep.NOTHING)
    kept = next((some for some in _choices(held) if sum(r.amount for r in some) == amount), None)
    if kept is not None:
        return Step(do=NextStep.TRIM, keys=tuple(row.key for row in kept))
    if sum(row.state in UNKNOWN and row.round == round_ for row in rows) >= MOST_UNKNOWN:
        return Step(do=NextStep.GIVE_UP)
    return Step(do=NextStep.ASK, amount=amount - total if total < amount else amount)


def _choices(rows: Sequence[Reservation]) -> Iterator[tuple[Reservation, ...]]:
    """Some of them, few before many, the latest first."""
    latest = sorted(rows, key=lambda row: row.asked_at, reverse=True)
    for count in range(1, len(latest)):
        yield from combinations(latest, count)


def came_to_nothing(asked: Reservation, now: RemoteBalance, *, alone: bool) -> bool:
    """Whether a reservation whose answer was lost was certainly not made.

    Only when the account is as it was, in all three numbers, and we did nothing else to it since:
    then no credits left it. Any other difference can have any other cause, and the service has no
    way to look a reservation up.

    >>> account = RemoteBalance(balance=9, total_earned=10, total_spent=1)
    >>> asked = Reservation(
    ...     key="k", user_id="u", job_id="j", round=1, amount=3, state=ReservationState.ASKED,
    ...     before=account, asked_at=datetime(2026, 1, 1),
    ... )
    >>> came_to_nothing(asked, account, alone=True), came_to_nothing(asked, account, alone=False)
    (True, False)
    >>> came_to_nothing(asked, account.model_copy(update={"balance": 6}), alone=True)
    False
    """
    return alone and now == asked.before
