"""The tables. ``ledger.py`` holds the ones about money, ``language_tables.py`` those about writing.

Columns of ``memos``, ``memories``, ``memo_spaces``, ``spaces``, ``space_members`` and ``profiles``
are a promise to clients that read the rows directly; columns of ours stand behind theirs.

A user's id is a UUID everywhere. A principal whose token names something else is given one before
it comes here.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)

from contracts.jobs import JobState, Step
from store.columns import METADATA, Id, Json, Moment, Words, spelled

memos = Table(
    "memos",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("title", Words),
    Column("intro", Words),
    Column("source", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("style", Json),
    Column("is_pinned", Boolean, nullable=False),
    Column("is_archived", Boolean, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    # Ours: the job that made it, the file it was made of, whether its user wrote the title, and
    # when it was deleted.
    Column("job_id", String(200)),
    Column("audio_path", String(1024)),
    Column("title_by_user", Boolean, nullable=False),
    Column("deleted_at", Moment),
    # As in ``metadata.processing.transcription.jobId``, to be found by.
    Column("vendor_job", String(200)),
)
NOT_DELETED: Final = memos.c.deleted_at.is_(None)
Index(
    "ix_memos_page",
    memos.c.user_id,
    memos.c.created_at.desc(),
    memos.c.id.desc(),
    postgresql_where=NOT_DELETED,
    sqlite_where=NOT_DELETED,
)
Index("ix_memos_job_id", memos.c.job_id)
Index("ix_memos_vendor_job", memos.c.vendor_job)
Index("ix_memos_audio_path", memos.c.audio_path)

memo_counts = Table(
    # Counting the rows of a page's `total` would make a page slower with every memo stored.
    "memo_counts",
    METADATA,
    Column("user_id", Id, primary_key=True),
    Column("memos", Integer, nullable=False),
    CheckConstraint("memos >= 0", name="not_negative"),
)

memories = Table(
    "memories",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("memo_id", Id, ForeignKey(memos.c.id, ondelete="CASCADE"), nullable=False),
    Column("title", Words),
    Column("content", Words),
    Column("media", Json),
    Column("style", Json),
    Column("sort_order", Integer, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "memo_id", "sort_order"),
)

spaces = Table(
    "spaces",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("name", Words, nullable=False),
    Column("description", Words),
    Column("owner_id", Id, nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    # Ours: whether it pays for its members' memos.
    Column("pays", Boolean, nullable=False, server_default=false()),
)

space_members = Table(
    "space_members",
    METADATA,
    Column("space_id", Id, ForeignKey(spaces.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, primary_key=True),
    Column("role", String(20), nullable=False),
    Column("joined_at", Moment, nullable=False),
    Index(None, "user_id", "space_id"),
)

memo_spaces = Table(
    "memo_spaces",
    METADATA,
    Column("memo_id", Id, ForeignKey(memos.c.id, ondelete="CASCADE"), primary_key=True),
    Column("space_id", Id, ForeignKey(spaces.c.id, ondelete="CASCADE"), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Index(None, "space_id", "memo_id"),
)

profiles = Table(
    "profiles",
    METADATA,
    Column("user_id", Id, primary_key=True),
    Column("email", Words),
    Column("app_settings", Json, nullable=False),
    Column("display_name", Words),
    Column("avatar_url", Words),
    Column("bio", Words),
    Column("updated_at", Moment, nullable=False),
)

jobs = Table(
    "jobs",
    METADATA,
    Column("id", String(200), primary_key=True),  # the workflow's id
    Column("user_id", Id, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject_id", String(200), nullable=False),
    Column("state", String(30), nullable=False),
    Column("previous_state", String(30)),
    Column("step", String(40), nullable=False),
    Column("tier", String(60)),
    Column("round", Integer, nullable=False),
    Column("request", Json, nullable=False),  # the workflow's input: enough to start it again
    Column("result", Json),
    Column("error_code", String(100)),
    Column("error_message", Words),
    Column("event_seq", Integer, nullable=False),
    Column("attempt_number", Integer, nullable=False),
    Column("deadline_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_jobs_subject_id", "subject_id"),
)
OPEN_JOB: Final = jobs.c.state.in_([spelled(JobState.QUEUED), spelled(JobState.RUNNING)])
Index(
    "ix_jobs_open",
    jobs.c.state,
    jobs.c.id,
    jobs.c.updated_at,
    postgresql_where=OPEN_JOB,
    sqlite_where=OPEN_JOB,
)
Index("ix_jobs_deadline", jobs.c.deadline_at, postgresql_where=OPEN_JOB, sqlite_where=OPEN_JOB)

job_events = Table(
    "job_events",
    METADATA,
    # What a user's stream goes on from: never given twice, and larger with every commit of a user.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    Column("user_id", Id, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("type", String(20), nullable=False),
    Column("data", Json, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("job_id", "seq"),
    Index(None, "user_id", "id"),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("round", Integer, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("tier", String(60), nullable=False),
    Column("provider", String(60), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seconds", Float),
    Column("outcome", String(20)),
    Column("error_code", String(100)),
    Column("error_message", Words),
    Column("chunk", Integer),
    Column("step", String(40), nullable=False, server_default=Step.TRANSCRIBE.value),
    # What the vendor bills it by, and by the prices of its time; null is not known, never nothing.
    Column("audio_milliseconds", BigInteger),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("characters", BigInteger),
    Column("cost_micros", BigInteger),
)

transcripts = Table(
    "transcripts",
    METADATA,
    Column("job_id", String(200), primary_key=True),
    Column("memo_id", Id, nullable=False, index=True),
    Column("user_id", Id, nullable=False),
    Column("tier", String(60), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("text", Words, nullable=False),
    Column("utterances", Json, nullable=False),
    Column("words", Json, nullable=False),
    Column("languages", Json, nullable=False),
    Column("primary_language", String(60)),
    Column("speakers", Json, nullable=False),
    Column("gaps", Json, nullable=False),
    Column("word_count", Integer, nullable=False),
    Column("speech", Boolean, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
)

transcript_parts = Table(
    "transcript_parts",
    METADATA,
    Column("job_id", String(200), primary_key=True),
    Column("tier", String(60), primary_key=True),
    Column("start_seconds", Float, primary_key=True),
    Column("end_seconds", Float, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("utterances", Json, nullable=False),
    Column("words", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
)

media = Table(
    "media",
    METADATA,
    Column("key", String(1024), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("memo_id", Id, index=True),
    Column("job_id", String(200), index=True),
    Column("kind", String(20), nullable=False),
    # A loose file belongs to nothing that lasts: a work file, an upload that is no memo yet.
    Column("loose", Boolean, nullable=False),
    Column("media_type", String(200)),
    Column("size", BigInteger),
    Column("sha256", String(64)),
    Column("container", String(40)),
    Column("codec", String(60)),
    Column("seconds", Float),
    Column("sample_rate", Integer),
    Column("channels", Integer),
    Column("created_at", Moment, nullable=False),
    Column("probed_at", Moment),
)
# Both databases read this spelling; `loose = true` is `loose IS 1` to one of them alone.
IS_LOOSE: Final = text("loose")
Index(
    "ix_media_loose",
    media.c.created_at,
    media.c.key,
    postgresql_where=IS_LOOSE,
    sqlite_where=IS_LOOSE,
)

idempotency_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("principal", String(200), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),  # null while the first request is still being worked on
    Column("response", Json),
    Column("busy_until", Moment, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
)
