"""The tables of what language models are asked for.

Columns of ``blueprints``, ``prompts`` and ``prompt_blueprints`` are a promise to clients that read
the rows directly; columns of ours stand behind theirs. A text of theirs is one by language:
``{"en": "…", "de": "…"}``.
"""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table

from store.columns import METADATA, Id, Json, Moment, Words
from store.schema import jobs

language_requests = Table(
    # What a language job is asked for and how it was written: words, so no part of ``jobs``.
    "language_requests",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("use", String(20), nullable=False),
    Column("instruction", Words, nullable=False),
    Column("prompts", Json, nullable=False),
    Column("role", Words, nullable=False),
    Column("language", String(60)),
    Column("title", Words, nullable=False),
    Column("metadata", Json, nullable=False),
    # How often it was tried in vain, in which round of its job.
    Column("tries", Integer, nullable=False),
    Column("tries_round", Integer, nullable=False),
    # Null until it is written.
    Column("tier", String(60)),
    Column("provider", String(60)),
    Column("engine", String(200)),
    Column("prompt", String(60)),
    Column("usage", Json),
    Column("reading", Json),
    Column("result", Json),  # ids of what was written; of a translation its texts too
    Column("written_at", Moment),
    Column("created_at", Moment, nullable=False),
)

language_memos = Table(
    # Which memos a language job reads or makes, so that it goes when one of them is erased.
    "language_memos",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("memo_id", Id, primary_key=True),
    Column("user_id", Id, nullable=False),
    Index(None, "memo_id", "job_id"),
)

language_notes = Table(
    # Notes on parts of long texts, while their job is at work.
    "language_notes",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("notes", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
)

blueprints = Table(
    "blueprints",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("name", Json, nullable=False),
    Column("description", Json),
    Column("is_public", Boolean, nullable=False),
    Column("user_id", Id),  # none: everybody's
    Column("system_prompt", Json),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
Index(
    "ix_blueprints_page",
    blueprints.c.user_id,
    blueprints.c.created_at.desc(),
    blueprints.c.id.desc(),
)
Index(
    "ix_blueprints_public",
    blueprints.c.is_public,
    blueprints.c.created_at.desc(),
    blueprints.c.id.desc(),
)

prompts = Table(
    "prompts",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("prompt_text", Json, nullable=False),
    Column("memory_title", Json),
    Column("user_id", Id),  # none: everybody's
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "user_id", "id"),
)

prompt_blueprints = Table(
    "prompt_blueprints",
    METADATA,
    Column("prompt_id", Id, ForeignKey(prompts.c.id, ondelete="CASCADE"), primary_key=True),
    Column("blueprint_id", Id, ForeignKey(blueprints.c.id, ondelete="CASCADE"), primary_key=True),
    Column("sort_order", Integer, nullable=False),
    Index(None, "blueprint_id", "sort_order"),
)
