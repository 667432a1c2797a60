"""Addresses media is fetched from."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Moment, Words

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "media_addresses",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("address", Words(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_media_addresses_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_media_addresses")),
    )


def downgrade() -> None:
    op.drop_table("media_addresses")
