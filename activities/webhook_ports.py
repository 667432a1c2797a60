"""What the activities need to tell others by webhook, as Protocols."""

from typing import Protocol

from contracts.values import Value
from contracts.webhooks import AttemptResult, Delivery, Outgoing, WebhookEvent


class WebhookSender(Protocol):
    """Makes one attempt to deliver a message."""

    async def send(self, outgoing: Outgoing) -> AttemptResult:
        """Sign and send it; whatever comes back, or does not, is a result."""


class Webhooks(Protocol):
    """The messages, inside a transaction."""

    async def announce(
        self,
        user_id: str,
        event: WebhookEvent,
        data: Value,
        *,
        subject: str,
        job_id: str | None = None,
        attempt_round: int = 1,
    ) -> tuple[Delivery, ...]:
        """Write a message for each endpoint that wants the event; returns those that are new."""

    async def outgoing(self, delivery: Delivery) -> Outgoing | None:
        """What the next attempt needs; none when the message is not to be sent (any more)."""

    async def record(
        self, delivery: Delivery, result: AttemptResult, *, pause: float | None
    ) -> None:
        """Write an attempt; no pause: a failed one was the last. Raises NotFound."""

    async def dismiss(self, delivery: Delivery) -> None:
        """Make it a dead letter without an attempt."""

    async def overdue(self, *, seconds: float, limit: int) -> tuple[tuple[Delivery, int], ...]:
        """Pending messages of every owner, so late, and how often each was tried."""

    async def forget(self, job_id: str, user_id: str) -> int:
        """Remove the messages about a job and the address that came with it."""
