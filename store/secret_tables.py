"""The table of secrets that users gave for one job."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Table

from store.columns import METADATA, Id, Moment, Words
from store.schema import jobs

job_secrets: Final = Table(
    # It goes in the transaction that ends its job, and with the job's row.
    "job_secrets",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("sealed", Words, nullable=False),  # for this job alone, with a key that is not here
    Column("created_at", Moment, nullable=False),
)
