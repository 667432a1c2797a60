"""The table of uploads that are under way."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    String,
    Table,
    UniqueConstraint,
)

from store.columns import METADATA, Id, Moment, Words

uploads = Table(
    "uploads",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("key", String(1024), nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("sniffed", Boolean, nullable=False),
    Column("metadata", Words, nullable=False),
    Column("signed", Boolean, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),  # when bytes were last kept
    Column("expires_at", Moment, nullable=False, index=True),
    Column("finished_at", Moment),
    UniqueConstraint("key"),
    CheckConstraint("received >= 0 AND received <= length", name="within"),
)
UNFINISHED: Final = uploads.c.finished_at.is_(None)
Index(
    "ix_uploads_unfinished",
    uploads.c.user_id,
    postgresql_where=UNFINISHED,
    sqlite_where=UNFINISHED,
)
