"""Everything the memo flow remembers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Json, Moment, Words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


TABLES = (
    "credit_accounts",
    "credit_holds",
    "credit_entries",
    "memos",
    "memo_counts",
    "memories",
    "transcripts",
    "transcript_parts",
    "media",
    "spaces",
    "space_members",
    "memo_spaces",
    "profiles",
    "jobs",
    "job_events",
    "attempts",
    "idempotency_keys",
)


def upgrade() -> None:
    _money()
    _memos()
    _spaces()
    _jobs()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _some_rows(name: str, table: str, columns: list[Any], where: str, **kind: Any) -> None:
    rows = sa.text(where)
    op.create_index(name, table, columns, postgresql_where=rows, sqlite_where=rows, **kind)


def _money() -> None:
    op.create_table(
        "credit_accounts",
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("balance", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("total_earned", sa.Integer(), nullable=False),
        sa.Column("total_spent", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "held >= 0 AND held <= balance", name=op.f("ck_credit_accounts_covered")
        ),
        sa.CheckConstraint(
            "total_earned - total_spent = balance", name=op.f("ck_credit_accounts_balanced")
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_credit_accounts"),
    )
    op.create_table(
        "credit_holds",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("amount_before", sa.Integer(), nullable=True),
        sa.Column("charged", sa.Integer(), nullable=False),
        sa.Column("adjusted_by", sa.String(length=255), nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.CheckConstraint(
            "amount >= 0 AND charged >= 0", name=op.f("ck_credit_holds_not_negative")
        ),
        sa.PrimaryKeyConstraint("key", name="pk_credit_holds"),
    )
    op.create_index("ix_credit_holds_job_id", "credit_holds", ["job_id"])
    _some_rows("ix_credit_holds_open", "credit_holds", ["user_id"], "state = 'open'")
    _some_rows("uq_credit_holds_open", "credit_holds", ["job_id"], "state = 'open'", unique=True)
    _some_rows(
        "uq_credit_holds_settled", "credit_holds", ["job_id"], "state = 'settled'", unique=True
    )
    op.create_table(
        "credit_entries",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("balance_delta", sa.Integer(), nullable=False),
        sa.Column("held_delta", sa.Integer(), nullable=False),
        sa.Column("operation", sa.String(length=60), nullable=True),
        sa.Column("description", Words(), nullable=True),
        sa.Column("job_id", sa.String(length=200), nullable=True),
        sa.Column("step", sa.String(length=40), nullable=True),
        sa.Column("metadata", Json, nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["credit_accounts.user_id"], name="fk_credit_entries_user_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credit_entries"),
        sa.UniqueConstraint("user_id", "key", name="uq_credit_entries_user_id_key"),
    )
    op.create_index("ix_credit_entries_page", "credit_entries", ["user_id", "id"])


def _memos() -> None:
    op.create_table(
        "memos",
        sa.Column("id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("title", Words(), nullable=True),
        sa.Column("intro", Words(), nullable=True),
        sa.Column("source", Json, nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("style", Json, nullable=True),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("job_id", sa.String(length=200), nullable=True),
        sa.Column("audio_path", sa.String(length=1024), nullable=True),
        sa.Column("title_by_user", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_memos"),
    )
    op.create_index("ix_memos_audio_path", "memos", ["audio_path"])
    op.create_index("ix_memos_job_id", "memos", ["job_id"])
    _some_rows(
        "ix_memos_page",
        "memos",
        ["user_id", sa.text("created_at DESC"), sa.text("id DESC")],
        "deleted_at IS NULL",
    )
    op.create_table(
        "memo_counts",
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("memos", sa.Integer(), nullable=False),
        sa.CheckConstraint("memos >= 0", name=op.f("ck_memo_counts_not_negative")),
        sa.PrimaryKeyConstraint("user_id", name="pk_memo_counts"),
    )
    op.create_table(
        "memories",
        sa.Column("id", Id(), nullable=False),
        sa.Column("memo_id", Id(), nullable=False),
        sa.Column("title", Words(), nullable=True),
        sa.Column("content", Words(), nullable=True),
        sa.Column("media", Json, nullable=True),
        sa.Column("style", Json, nullable=True),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["memo_id"], ["memos.id"], name="fk_memories_memo_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_memories"),
    )
    op.create_index("ix_memories_memo_id_sort_order", "memories", ["memo_id", "sort_order"])
    op.create_table(
        "transcripts",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("memo_id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("tier", sa.String(length=60), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("text", Words(), nullable=False),
        sa.Column("utterances", Json, nullable=False),
        sa.Column("words", Json, nullable=False),
        sa.Column("languages", Json, nullable=False),
        sa.Column("primary_language", sa.String(length=60), nullable=True),
        sa.Column("speakers", Json, nullable=False),
        sa.Column("gaps", Json, nullable=False),
        sa.Column("word_count", sa.Integer(), nullable=False),
        sa.Column("speech", sa.Boolean(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_transcripts"),
    )
    op.create_index("ix_transcripts_memo_id", "transcripts", ["memo_id"])
    op.create_table(
        "transcript_parts",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("tier", sa.String(length=60), nullable=False),
        sa.Column("start_seconds", sa.Float(), nullable=False),
        sa.Column("end_seconds", sa.Float(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("utterances", Json, nullable=False),
        sa.Column("words", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "tier", "start_seconds", name="pk_transcript_parts"),
    )
    op.create_table(
        "media",
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("memo_id", Id(), nullable=True),
        sa.Column("job_id", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("loose", sa.Boolean(), nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("container", sa.String(length=40), nullable=True),
        sa.Column("codec", sa.String(length=60), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("sample_rate", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("probed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_media"),
    )
    op.create_index("ix_media_job_id", "media", ["job_id"])
    _some_rows("ix_media_loose", "media", ["created_at", "key"], "loose")
    op.create_index("ix_media_memo_id", "media", ["memo_id"])


def _spaces() -> None:
    op.create_table(
        "spaces",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", Words(), nullable=False),
        sa.Column("description", Words(), nullable=True),
        sa.Column("owner_id", Id(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spaces"),
    )
    op.create_index("ix_spaces_owner_id", "spaces", ["owner_id"])
    op.create_table(
        "space_members",
        sa.Column("space_id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("joined_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["space_id"], ["spaces.id"], name="fk_space_members_space_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("space_id", "user_id", name="pk_space_members"),
    )
    op.create_index("ix_space_members_user_id_space_id", "space_members", ["user_id", "space_id"])
    op.create_table(
        "memo_spaces",
        sa.Column("memo_id", Id(), nullable=False),
        sa.Column("space_id", Id(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["memo_id"], ["memos.id"], name="fk_memo_spaces_memo_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["space_id"], ["spaces.id"], name="fk_memo_spaces_space_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("memo_id", "space_id", name="pk_memo_spaces"),
    )
    op.create_index("ix_memo_spaces_space_id_memo_id", "memo_spaces", ["space_id", "memo_id"])
    op.create_table(
        "profiles",
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("email", Words(), nullable=True),
        sa.Column("app_settings", Json, nullable=False),
        sa.Column("display_name", Words(), nullable=True),
        sa.Column("avatar_url", Words(), nullable=True),
        sa.Column("bio", Words(), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_profiles"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=30), nullable=False),
        sa.Column("previous_state", sa.String(length=30), nullable=True),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("tier", sa.String(length=60), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("request", Json, nullable=False),
        sa.Column("result", Json, nullable=True),
        sa.Column("error_code", sa.String(length=100), nullable=True),
        sa.Column("error_message", Words(), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("deadline_at", Moment(), nullable=False),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    _some_rows("ix_jobs_deadline", "jobs", ["deadline_at"], "state IN ('queued', 'running')")
    _some_rows(
        "ix_jobs_open", "jobs", ["state", "id", "updated_at"], "state IN ('queued', 'running')"
    )
    op.create_index("ix_jobs_subject_id", "jobs", ["subject_id"])
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_events_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("tier", sa.String(length=60), nullable=False),
        sa.Column("provider", sa.String(length=60), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("error_code", sa.String(length=100), nullable=True),
        sa.Column("error_message", Words(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_attempts_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_attempts"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", Json, nullable=True),
        sa.Column("busy_until", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
