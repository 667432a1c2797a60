"""Webhooks we send: endpoints, messages, attempts."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Moment, Words

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    _whereto()
    _messages()


def downgrade() -> None:
    for table in (
        "webhook_attempts",
        "webhook_messages",
        "webhook_endpoints",
        "webhook_accounts",
    ):
        op.drop_table(table)


def _whereto() -> None:
    op.create_table(
        "webhook_accounts",
        sa.Column("user_id", Id(), nullable=False),
        *_secrets(nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_webhook_accounts"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("url", Words(), nullable=False),
        sa.Column("description", Words(), nullable=True),
        sa.Column("events", sa.String(length=600), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=40), nullable=True),
        *_secrets(nullable=True),
        sa.Column("job_id", sa.String(length=200), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_index("ix_webhook_endpoints_job_id", "webhook_endpoints", ["job_id"])
    op.create_index("ix_webhook_endpoints_user_id_id", "webhook_endpoints", ["user_id", "id"])


def _secrets(*, nullable: bool) -> tuple[sa.Column[str], ...]:
    return (
        sa.Column("secret", Words(), nullable=nullable),
        sa.Column("previous_secret", Words(), nullable=True),
        sa.Column("previous_until", Moment(), nullable=True),
    )


def _messages() -> None:
    op.create_table(
        "webhook_messages",
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("body", Words(), nullable=False),
        sa.Column("job_id", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("next_at", Moment(), nullable=True),
        sa.Column("delivered_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_webhook_messages_endpoint_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "endpoint_id", name="pk_webhook_messages"),
    )
    op.create_index("ix_webhook_messages_job_id", "webhook_messages", ["job_id"])
    op.create_index(
        "ix_webhook_messages_page",
        "webhook_messages",
        ["user_id", "created_at", "event_id", "endpoint_id"],
    )
    op.create_index(
        "ix_webhook_messages_state",
        "webhook_messages",
        ["user_id", "state", "created_at", "event_id", "endpoint_id"],
    )
    op.create_index(
        "ix_webhook_messages_endpoint", "webhook_messages", ["endpoint_id", "created_at"]
    )
    op.create_index(
        "ix_webhook_messages_pending",
        "webhook_messages",
        ["next_at", "event_id"],
        postgresql_where=PENDING,
        sqlite_where=PENDING,
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id", "endpoint_id"],
            ["webhook_messages.event_id", "webhook_messages.endpoint_id"],
            name="fk_webhook_attempts_event_id_endpoint_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "endpoint_id", "number", name="pk_webhook_attempts"),
    )
