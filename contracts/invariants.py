"""What must hold of everything that is stored, and what is said when it does not."""

from enum import StrEnum

from contracts.values import Value


class Invariant(StrEnum):
    """The promises that can be checked in what is stored."""

    LEDGER = "ledger"
    """Entries add up to balance and held credits; every hold has its entries; never negative."""

    CHARGED_ONCE = "charged_once"
    """A completed job is charged once, any other that has ended never holds anything."""

    ENDS = "ends"
    """No job stays open past its deadline."""

    EXISTS = "exists"
    """A memo's job is there, and agrees with the memo."""

    NO_ORPHANS = "no_orphans"
    """Files and their rows belong to each other, and nothing is left of what has ended."""

    TRANSITIONS = "transitions"
    """A job's events have no hole and tell of allowed transitions only."""

    TOLD = "told"
    """Every webhook message is delivered, a dead letter, or on its way."""

    TIME = "time"
    """Durations are not negative, and nothing ends before it began."""


class Violation(Value):
    """One promise that is broken.

    Attributes:
        subject: id of the job, account, memo or file.
        what: one sentence; no spoken words in it.
    """

    invariant: Invariant
    subject: str
    what: str
