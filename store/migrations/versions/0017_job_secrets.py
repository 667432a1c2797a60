"""Secrets that users gave for one job, sealed."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Moment, Words
from store.migrations import row_security

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_secrets",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("sealed", Words(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_job_secrets_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_secrets")),
    )
    row_security.close_tables()


def downgrade() -> None:
    op.drop_table("job_secrets")
