"""Texts that are read aloud."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Json, Moment, Words
from store.migrations import row_security

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _files()
    _parts()
    row_security.close_tables()


def downgrade() -> None:
    op.drop_table("speech_parts")
    op.drop_table("speech_files")


def _files() -> None:
    op.create_table(
        "speech_files",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("job_id", sa.String(200), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("text", Words(), nullable=False),
        sa.Column("voice", sa.String(100), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("format", sa.String(10), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("language", sa.String(35)),
        sa.Column("key", sa.String(1024)),
        sa.Column("size", sa.BigInteger()),
        sa.Column("seconds", sa.Float()),
        sa.Column("sha256", sa.String(64)),
        sa.Column("tier", sa.String(60)),
        sa.Column("timings", Json),
        sa.Column("error_code", sa.String(100)),
        sa.Column("error_message", Words()),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("used_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_speech_files"),
    )
    content = ["user_id", "content_hash"]
    op.create_index("uq_speech_files_content", "speech_files", content, unique=True)
    op.create_index("ix_speech_files_expiry", "speech_files", ["expires_at", "id"])
    newest_first: list[str | sa.TextClause] = ["user_id"]
    newest_first += [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("ix_speech_files_page", "speech_files", newest_first)


def _parts() -> None:
    op.create_table(
        "speech_parts",
        sa.Column("scope", Id(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("file_id", Id(), nullable=False),
        sa.Column("key", sa.String(1024), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("timings", Json, nullable=False),
        sa.Column("used_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "hash", name="pk_speech_parts"),
    )
    op.create_index("ix_speech_parts_file_id", "speech_parts", ["file_id"])
    op.create_index("ix_speech_parts_expiry", "speech_parts", ["used_at", "scope", "hash"])
