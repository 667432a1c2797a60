"""What vendors and outside transcribers told, remembered once."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Json, Moment, Words

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _of_job(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_job_id")
    return sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "outside_reports",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("memo_id", Id(), nullable=False),
        sa.Column("provider", sa.String(length=60), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("transcript", Json, nullable=True),
        sa.Column("error_code", sa.String(length=100), nullable=True),
        sa.Column("error_message", Words(), nullable=True),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("deliver_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        _of_job("outside_reports"),
        sa.PrimaryKeyConstraint("job_id", "round", "success", name="pk_outside_reports"),
    )
    op.create_index("ix_outside_reports_memo_id", "outside_reports", ["memo_id"])
    due = sa.text("deliver_at IS NOT NULL")
    op.create_index(
        "ix_outside_reports_due",
        "outside_reports",
        ["deliver_at"],
        postgresql_where=due,
        sqlite_where=due,
    )
    op.create_table(
        "vendor_jobs",
        sa.Column("vendor", sa.String(length=40), nullable=False),
        sa.Column("vendor_id", sa.String(length=200), nullable=False),
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        _of_job("vendor_jobs"),
        sa.PrimaryKeyConstraint("vendor", "vendor_id", name="pk_vendor_jobs"),
    )
    op.create_index("ix_vendor_jobs_job_id", "vendor_jobs", ["job_id"])
    op.create_table(
        "vendor_events",
        sa.Column("vendor", sa.String(length=40), nullable=False),
        sa.Column("vendor_id", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("vendor", "vendor_id", "name", name="pk_vendor_events"),
    )


def downgrade() -> None:
    op.drop_table("vendor_events")
    op.drop_table("vendor_jobs")
    op.drop_table("outside_reports")
