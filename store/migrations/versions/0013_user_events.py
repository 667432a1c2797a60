"""One stream of events per user, and mail."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Json, Moment, Words

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PENDING = sa.text("state IN ('pending', 'sending')")


def upgrade() -> None:
    _events_by_user()
    _notifications()


def downgrade() -> None:
    op.drop_table("notifications")
    _events_by_job()


def _events_by_user() -> None:
    """Made anew: SQLite gives no number twice only where the table says so from its beginning."""
    _set_aside()
    op.create_table(
        "job_events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(),
            nullable=False,
        ),
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        *_rest(),
        sa.PrimaryKeyConstraint("id", name="pk_job_events"),
        sa.UniqueConstraint("job_id", "seq", name="uq_job_events_job_id_seq"),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO job_events (job_id, user_id, seq, type, data, at)"
        " SELECT old.job_id, jobs.user_id, old.seq, old.type, old.data, old.at"
        " FROM job_events_before AS old JOIN jobs ON jobs.id = old.job_id"
        " ORDER BY old.at, old.job_id, old.seq"
    )
    op.drop_table("job_events_before")
    op.create_index("ix_job_events_user_id_id", "job_events", ["user_id", "id"])


def _events_by_job() -> None:
    op.drop_index("ix_job_events_user_id_id", "job_events")
    _set_aside()
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        *_rest(),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
    )
    op.execute(
        "INSERT INTO job_events (job_id, seq, type, data, at)"
        " SELECT job_id, seq, type, data, at FROM job_events_before"
    )
    op.drop_table("job_events_before")


def _set_aside() -> None:
    op.rename_table("job_events", "job_events_before")
    if op.get_bind().dialect.name == "postgresql":
        # The index behind a constraint has a name that must be free.
        op.execute("ALTER TABLE job_events_before DROP CONSTRAINT pk_job_events")


def _rest() -> tuple[sa.Column[object] | sa.ForeignKeyConstraint, ...]:
    return (
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_events_job_id", ondelete="CASCADE"
        ),
    )


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("recipient", Words(), nullable=False),
        sa.Column("subject", Words(), nullable=False),
        sa.Column("body", Words(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Moment(), nullable=True),
        sa.Column("code", sa.String(length=100), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("external_id", name="pk_notifications"),
    )
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["next_at", "external_id"],
        postgresql_where=PENDING,
        sqlite_where=PENDING,
    )
    op.create_index("ix_notifications_ended_at", "notifications", ["ended_at"])
