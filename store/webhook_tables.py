"""The tables of webhooks we send."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
)

from contracts.webhooks import MessageState
from store.columns import METADATA, Id, Moment, Words, spelled

webhook_accounts = Table(
    # The account's own secret, for addresses that came with a job and no secret.
    "webhook_accounts",
    METADATA,
    Column("user_id", Id, primary_key=True),
    Column("secret", Words, nullable=False),
    Column("previous_secret", Words),
    Column("previous_until", Moment),
    Column("updated_at", Moment, nullable=False),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("url", Words, nullable=False),
    Column("description", Words),
    Column("events", String(600)),  # `,memo.completed,memo.failed,`; null: all
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", String(40)),
    Column("secret", Words),  # null: the account's
    Column("previous_secret", Words),
    Column("previous_until", Moment),
    # The address of one job alone: not listed, and gone with it.
    Column("job_id", String(200), index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "user_id", "id"),
)

webhook_messages = Table(
    "webhook_messages",
    METADATA,
    Column("event_id", String(64), primary_key=True),
    Column("endpoint_id", ForeignKey(webhook_endpoints.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("type", String(40), nullable=False),
    Column("body", Words, nullable=False),  # the text that is signed
    Column("job_id", String(200), index=True),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tried", Integer, nullable=False),  # since it was announced, or asked for again
    Column("created_at", Moment, nullable=False),
    Column("next_at", Moment),  # null when it is not tried again
    Column("delivered_at", Moment),
    Index("ix_webhook_messages_page", "user_id", "created_at", "event_id", "endpoint_id"),
    Index("ix_webhook_messages_state", "user_id", "state", "created_at", "event_id", "endpoint_id"),
    Index("ix_webhook_messages_endpoint", "endpoint_id", "created_at"),
)
IS_PENDING: Final = webhook_messages.c.state == spelled(MessageState.PENDING)
Index(
    "ix_webhook_messages_pending",
    webhook_messages.c.next_at,
    webhook_messages.c.event_id,
    postgresql_where=IS_PENDING,
    sqlite_where=IS_PENDING,
)

webhook_attempts = Table(
    "webhook_attempts",
    METADATA,
    Column("event_id", String(64), primary_key=True),
    Column("endpoint_id", Id, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status", Integer),
    Column("code", String(100)),
    ForeignKeyConstraint(
        ["event_id", "endpoint_id"],
        ["webhook_messages.event_id", "webhook_messages.endpoint_id"],
        ondelete="CASCADE",
    ),
)
