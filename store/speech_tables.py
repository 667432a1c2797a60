"""The tables of texts that are read aloud, and of the parts they were spoken in."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table

from store.columns import METADATA, Id, Json, Moment, Words

speech_files = Table(
    "speech_files",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("job_id", String(200), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("text", Words, nullable=False),
    Column("voice", String(100), nullable=False),
    Column("model", String(100), nullable=False),
    Column("format", String(10), nullable=False),
    Column("speed", Float, nullable=False),
    Column("language", String(35)),
    Column("key", String(1024)),
    Column("size", BigInteger),
    Column("seconds", Float),
    Column("sha256", String(64)),
    Column("tier", String(60)),
    Column("timings", Json),
    Column("error_code", String(100)),
    Column("error_message", Words),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # Equal requests of one user have one file: not a rule of code alone.
    Index("uq_speech_files_content", "user_id", "content_hash", unique=True),
    Index("ix_speech_files_expiry", "expires_at", "id"),
)
Index(
    "ix_speech_files_page",
    speech_files.c.user_id,
    speech_files.c.created_at.desc(),
    speech_files.c.id.desc(),
)

EVERYBODY: Final = "00000000-0000-0000-0000-000000000000"
"""Scope of parts that may serve all users."""

speech_parts = Table(
    "speech_parts",
    METADATA,
    Column("scope", Id, primary_key=True),  # whom it may serve: a user, or everybody
    Column("hash", String(64), primary_key=True),
    Column("user_id", Id, nullable=False),  # below whose id its samples are stored
    Column("file_id", Id, nullable=False, index=True),  # the latest file made of it
    Column("key", String(1024), nullable=False),
    Column("samples", Integer, nullable=False),
    Column("speed", Float, nullable=False),
    Column("timings", Json, nullable=False),
    Column("used_at", Moment, nullable=False),
    Index("ix_speech_parts_expiry", "used_at", "scope", "hash"),
)

EXPIRY: Final = "expiry"
"""Name of the cleanup that removes what nobody has used for long."""

speech_cleanups = Table(
    "speech_cleanups",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("at", Moment, nullable=False),  # when it was last done
)
