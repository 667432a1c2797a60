"""Uploads that are under way."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Moment, Words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("sniffed", sa.Boolean(), nullable=False),
        sa.Column("metadata", Words(), nullable=False),
        sa.Column("signed", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.CheckConstraint("received >= 0 AND received <= length", name=op.f("ck_uploads_within")),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint("key", name="uq_uploads_key"),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_uploads_unfinished",
        "uploads",
        ["user_id"],
        postgresql_where=unfinished,
        sqlite_where=unfinished,
    )


def downgrade() -> None:
    op.drop_table("uploads")
