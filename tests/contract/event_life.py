"""A stored heap of mail, and everything that is done with it and with the events of users."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from contracts.notifications import Mail, NotificationKind, NotificationState, Posted
from store import notification_tables

MAIL: Final = Mail(
    external_id="test:life",
    kind=NotificationKind.TEST,
    recipient="anna@example.com",
    subject="A test",
    body="It works.",
)
WITHOUT_OWNER: Final = {
    "mail that is due": "ORDER BY notifications.next_at",
    "a mail by its name": "notifications.external_id =",
    "mail of long ago": "DELETE FROM notifications",
    "the last event of anybody": "SELECT max(job_events.id)",
}


def notification_rows(
    number: int, owner: str, at: datetime
) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One mail; every fiftieth still waits."""
    waits = number % 50 == 0
    yield notification_tables.notifications, {
        "external_id": f"test:{number}", "user_id": owner, "kind": "test", "attempts": 1,
        "recipient": "anna@example.com", "subject": "s", "body": "b", "created_at": at,
        "state": NotificationState.PENDING if waits else NotificationState.SENT,
        "next_at": at if waits else None, "ended_at": None if waits else at,
    }  # fmt: skip


async def live_through_events(tx: Any, user: str) -> None:
    """Every statement of ``tx.user_events`` and ``tx.notifications``."""
    await tx.user_events.newest(user, 1001)
    await tx.user_events.last_id()
    await tx.user_events.latest([user])
    await tx.user_events.after({user: 3}, 500)
    await tx.notifications.add(MAIL)
    await tx.notifications.state(MAIL.external_id)
    due = (await tx.notifications.due(20))[0]
    taken = await tx.notifications.take_up(due, 60)
    await tx.notifications.end(taken, Posted(state=NotificationState.SENT), None)
    await tx.notifications.forget_ended(30 * 86400, 20)
    await tx.profiles.learn_email(user, "anna@example.com")
