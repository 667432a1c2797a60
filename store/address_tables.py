"""The table of addresses recordings are fetched from."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, Table

from store.columns import METADATA, Id, Moment, Words
from store.schema import jobs

media_addresses: Final = Table(
    # An address can be a signed secret: it stands here alone, and only until the file is stored.
    "media_addresses",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("address", Words, nullable=False),  # sealed, when there is a key for it
    Column("tries", Integer, nullable=False),  # in vain
    Column("created_at", Moment, nullable=False),
)
