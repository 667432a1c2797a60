"""The tables of rates and budgets that API processes share."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
)

from store.columns import METADATA, Id
from store.ledger import IS_SETTLED, credit_holds
from store.schema import OPEN_JOB, jobs

SLOT_SECONDS: Final = 5
SLOTS: Final = 13
"""Twelve whole ones are a minute; the thirteenth is the one that has only begun."""

request_rates = Table(
    # Postgres alone writes it: unlogged, so a crash of the server forgets the last minute. The
    # counts are those of the latest slots, the present one last.
    "request_rates",
    METADATA,
    Column("principal", String(200), primary_key=True),
    Column("slot", BigInteger, nullable=False),
    Column("counts", ARRAY(Integer).with_variant(JSON(), "sqlite"), nullable=False),
    Column("granted", Boolean, nullable=False),
    # Changes once a day: an index of the slot would be written with every request.
    Column("day", Integer, nullable=False, index=True),
)

promised_credits = Table(
    # What a job is expected to cost, from its start to its hold; only where a budget is set.
    "promised_credits",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("credits", Integer, nullable=False),
)
Index("ix_jobs_open_of_user", jobs.c.user_id, postgresql_where=OPEN_JOB, sqlite_where=OPEN_JOB)
Index(
    "ix_credit_holds_settled_at",
    credit_holds.c.user_id,
    credit_holds.c.ended_at,
    postgresql_where=IS_SETTLED,
    sqlite_where=IS_SETTLED,
)
