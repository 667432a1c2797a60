"""What the activities need to send mail, as Protocols."""

from collections.abc import Sequence
from typing import Protocol

from contracts.notifications import Mail, Posted, TakenUp
from contracts.webhooks import CreditsLowData


class Notifier(Protocol):
    """A way out for mail."""

    @property
    def deduplicates(self) -> bool:
        """Whether a mail that is sent twice under one external id goes out once."""

    async def send(self, mail: Mail) -> Posted:
        """Send it; whatever comes back, or does not, is a result."""


class Notifications(Protocol):
    """The mail, inside a transaction."""

    async def add(self, mail: Mail) -> bool:
        """Write a mail that is to be sent; false when its external id has been told before."""

    async def credits_low(self, user_id: str, low: CreditsLowData, *, subject: str) -> bool:
        """Write what a user who takes mail is told of a low balance; false: nothing to tell."""

    async def due(self, limit: int) -> Sequence[TakenUp]:
        """Mail to be sent now, and mail that somebody took up long ago; the longest due first."""

    async def take_up(self, due: TakenUp, seconds: float) -> TakenUp | None:
        """Take a mail up for so long; none when somebody else did."""

    async def end(self, taken: TakenUp, posted: Posted, pause: float | None) -> bool:
        """Write how an attempt ended; false when somebody else has taken it up meanwhile."""

    async def forget_ended(self, older_than_seconds: float, limit: int) -> int:
        """Remove about so many of those that came to an end so long ago; returns how many."""
