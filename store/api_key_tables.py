"""The table of API keys."""

from sqlalchemy import Column, Index, String, Table, UniqueConstraint

from store.columns import METADATA, Id, Moment, Words

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("name", Words, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the key, which is kept nowhere
    Column("prefix", String(20), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("scopes", String(400), nullable=False),  # `memos:read,speech`
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    UniqueConstraint("digest"),
    Index(None, "user_id", "created_at", "id"),
)
