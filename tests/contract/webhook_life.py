"""A stored heap of webhooks, and everything that is done with them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Table

from contracts.webhooks import (
    AttemptResult,
    MemoEventData,
    MessageState,
    WebhookEvent,
)
from store import webhook_tables

FAILED: Final = AttemptResult(delivered=False, code="x")
GONE: Final = AttemptResult(delivered=False, code="gone", gone=True)
DATA: Final = MemoEventData(memo_id="m", job_id="j", status="completed")

WITHOUT_OWNER: Final = {
    "overdue messages": "ORDER BY webhook_messages.next_at",
    "endpoints of a message that was just looked at": "UPDATE webhook_endpoints",
}


def webhook_rows(number: int, owner: str, at: datetime) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One endpoint with one message and one attempt; every fiftieth still waits."""
    endpoint, event = str(uuid4()), f"msg_{number}"
    times = {"created_at": at, "updated_at": at}
    user = str(uuid4())
    yield webhook_tables.webhook_accounts, {"user_id": user, "secret": "s", "updated_at": at}
    yield webhook_tables.webhook_endpoints, {
        "id": endpoint, "user_id": owner, "url": "https://example.com", "enabled": True,
        "job_id": f"memo-{number}", **times,
    }  # fmt: skip
    waits = number % 50 == 0
    yield webhook_tables.webhook_messages, {
        "event_id": event, "endpoint_id": endpoint, "user_id": owner, "type": "memo.completed",
        "body": "{}", "job_id": f"memo-{number}", "attempts": 1, "tried": 1, "created_at": at,
        "state": MessageState.PENDING if waits else MessageState.DELIVERED,
        "next_at": at if waits else None,
    }  # fmt: skip
    yield webhook_tables.webhook_attempts, {
        "event_id": event, "endpoint_id": endpoint, "number": 1, "at": at, "seconds": 0.1
    }  # fmt: skip


async def live_through_webhooks(tx: Any, user: str, now: datetime) -> None:
    """Every statement of ``tx.webhooks``, ``tx.webhook_messages`` and ``tx.webhook_endpoints``."""
    endpoint = await tx.webhook_endpoints.add(user, "https://example.com", "s")
    await tx.webhook_endpoints.add_for_job(user, "memo-x", "https://example.com", secret=None)
    await tx.webhook_endpoints.add_for_job(user, "memo-x", "https://example.org", secret="s")
    await tx.webhook_endpoints.list(user)
    await tx.webhook_endpoints.change(endpoint.id, user, enabled=True)
    await tx.webhook_endpoints.rotate(endpoint.id, user, "t")
    await tx.webhook_endpoints.account_secret(user, "s")
    await tx.webhook_endpoints.rotate_account(user, "t")
    event = WebhookEvent.MEMO_COMPLETED
    deliveries = await tx.webhooks.announce(user, event, DATA, subject="memo-x", job_id="memo-x")
    assert len(deliveries) >= 2
    await tx.webhooks.announce_to(user, endpoint.id, WebhookEvent.TEST, DATA, subject="y")
    delivery = deliveries[0]
    await tx.webhooks.outgoing(delivery)
    await tx.webhooks.record(delivery, FAILED, pause=5)
    await tx.webhooks.record(delivery, GONE, pause=None)
    await tx.webhooks.dismiss(delivery)
    await tx.webhooks.revive(delivery)
    await tx.webhooks.overdue(seconds=60, limit=20)
    await tx.webhook_messages.find(delivery)
    await tx.webhook_messages.attempts(delivery)
    _, following = await tx.webhook_messages.page(user, limit=1)
    await tx.webhook_messages.page(user, limit=20, after=following)
    await tx.webhook_messages.page(user, limit=20, state=MessageState.DEAD)
    await tx.webhook_messages.page(user, limit=20, endpoint_id=endpoint.id)
    await tx.webhook_messages.revive_range(user, endpoint.id, now - timedelta(hours=1), now)
    await tx.webhooks.forget("memo-x", user)
    await tx.webhook_endpoints.remove(endpoint.id, user)
