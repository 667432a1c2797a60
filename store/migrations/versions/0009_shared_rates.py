"""Rates and budgets that API processes share."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('queued', 'running')")
_SETTLED = sa.text("state = 'settled'")


def upgrade() -> None:
    op.create_table(
        "request_rates",
        sa.Column("principal", sa.String(length=200), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column(
            "counts", sa.ARRAY(sa.Integer()).with_variant(sa.JSON(), "sqlite"), nullable=False
        ),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("principal", name=op.f("pk_request_rates")),
    )
    op.create_index(op.f("ix_request_rates_day"), "request_rates", ["day"])
    if op.get_bind().dialect.name == "postgresql":
        # Written with every request and worth nothing a minute later; the room is for rows that
        # change in place.
        op.execute("ALTER TABLE request_rates SET UNLOGGED")
        op.execute("ALTER TABLE request_rates SET (fillfactor = 40)")
    op.create_table(
        "promised_credits",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_promised_credits_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_promised_credits")),
    )
    op.create_index(
        "ix_jobs_open_of_user", "jobs", ["user_id"], postgresql_where=_OPEN, sqlite_where=_OPEN
    )
    op.create_index(
        "ix_credit_holds_settled_at",
        "credit_holds",
        ["user_id", "ended_at"],
        postgresql_where=_SETTLED,
        sqlite_where=_SETTLED,
    )


def downgrade() -> None:
    op.drop_index("ix_credit_holds_settled_at", "credit_holds")
    op.drop_index("ix_jobs_open_of_user", "jobs")
    op.drop_table("promised_credits")
    op.drop_table("request_rates")
