"""The table of mail: what is to be sent, and what became of it."""

from typing import Final

from sqlalchemy import Column, Index, Integer, String, Table

from contracts.notifications import NotificationState
from store.columns import METADATA, Id, Moment, Words, spelled

notifications = Table(
    "notifications",
    METADATA,
    Column("external_id", String(200), primary_key=True),
    Column("user_id", Id),
    Column("kind", String(40), nullable=False),
    Column("recipient", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    # Of a mail that is being sent: when whoever sends it counts as lost.
    Column("next_at", Moment),
    Column("code", String(100)),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment, index=True),
)
IS_OPEN: Final = notifications.c.state.in_(
    [spelled(NotificationState.PENDING), spelled(NotificationState.SENDING)]
)
Index(
    "ix_notifications_due",
    notifications.c.next_at,
    notifications.c.external_id,
    postgresql_where=IS_OPEN,
    sqlite_where=IS_OPEN,
)
