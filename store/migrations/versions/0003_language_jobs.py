"""What language jobs are asked for, their notes, and blueprints with their prompts."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Json, Moment, Words

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("memos", sa.Column("vendor_job", sa.String(200), nullable=True))
    op.create_index("ix_memos_vendor_job", "memos", ["vendor_job"])
    with op.batch_alter_table("attempts") as table:
        table.add_column(
            sa.Column("step", sa.String(40), nullable=False, server_default="transcribe")
        )
    _language_jobs()
    _blueprints()


def downgrade() -> None:
    for table in (
        "prompt_blueprints",
        "prompts",
        "blueprints",
        "language_notes",
        "language_memos",
        "language_requests",
    ):
        op.drop_table(table)
    op.drop_index("ix_memos_vendor_job", "memos")
    op.drop_column("memos", "vendor_job")
    with op.batch_alter_table("attempts") as attempts:
        attempts.drop_column("step")


def _language_jobs() -> None:
    op.create_table(
        "language_requests",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("use", sa.String(length=20), nullable=False),
        sa.Column("instruction", Words(), nullable=False),
        sa.Column("prompts", Json, nullable=False),
        sa.Column("role", Words(), nullable=False),
        sa.Column("language", sa.String(length=60), nullable=True),
        sa.Column("title", Words(), nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tries_round", sa.Integer(), nullable=False),
        sa.Column("tier", sa.String(length=60), nullable=True),
        sa.Column("provider", sa.String(length=60), nullable=True),
        sa.Column("engine", sa.String(length=200), nullable=True),
        sa.Column("prompt", sa.String(length=60), nullable=True),
        sa.Column("usage", Json, nullable=True),
        sa.Column("reading", Json, nullable=True),
        sa.Column("result", Json, nullable=True),
        sa.Column("written_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        _of_job("language_requests"),
        sa.PrimaryKeyConstraint("job_id", name="pk_language_requests"),
    )
    op.create_table(
        "language_memos",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("memo_id", Id(), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        _of_job("language_memos"),
        sa.PrimaryKeyConstraint("job_id", "memo_id", name="pk_language_memos"),
    )
    op.create_index("ix_language_memos_memo_id_job_id", "language_memos", ["memo_id", "job_id"])
    op.create_table(
        "language_notes",
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("notes", Words(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        _of_job("language_notes"),
        sa.PrimaryKeyConstraint("job_id", "key", name="pk_language_notes"),
    )


def _of_job(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["job_id"], ["jobs.id"], name=f"fk_{table}_job_id", ondelete="CASCADE"
    )


def _blueprints() -> None:
    op.create_table(
        "blueprints",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", Json, nullable=False),
        sa.Column("description", Json, nullable=True),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("user_id", Id(), nullable=True),
        sa.Column("system_prompt", Json, nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_blueprints"),
    )
    newest = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("ix_blueprints_page", "blueprints", ["user_id", *newest])
    op.create_index("ix_blueprints_public", "blueprints", ["is_public", *newest])
    op.create_table(
        "prompts",
        sa.Column("id", Id(), nullable=False),
        sa.Column("prompt_text", Json, nullable=False),
        sa.Column("memory_title", Json, nullable=True),
        sa.Column("user_id", Id(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompts"),
    )
    op.create_index("ix_prompts_user_id_id", "prompts", ["user_id", "id"])
    op.create_table(
        "prompt_blueprints",
        sa.Column("prompt_id", Id(), nullable=False),
        sa.Column("blueprint_id", Id(), nullable=False),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
            name="fk_prompt_blueprints_prompt_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["blueprint_id"],
            ["blueprints.id"],
            name="fk_prompt_blueprints_blueprint_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_id", "blueprint_id", name="pk_prompt_blueprints"),
    )
    op.create_index(
        "ix_prompt_blueprints_blueprint_id_sort_order",
        "prompt_blueprints",
        ["blueprint_id", "sort_order"],
    )
