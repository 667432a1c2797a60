"""The tables of what vendors and outside transcribers told."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    delete,
)

from store.columns import METADATA, Id, Json, Moment, Words
from store.schema import jobs

outside_reports = Table(
    # What came of a memo elsewhere: its words until a job takes them over, then only that it came.
    "outside_reports",
    METADATA,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("success", Boolean, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("memo_id", Id, nullable=False, index=True),
    Column("provider", String(60), nullable=False),
    Column("sha256", String(64)),
    Column("transcript", Json),
    Column("error_code", String(100)),
    Column("error_message", Words),
    Column("deliveries", Integer, nullable=False),
    Column("deliver_at", Moment),  # null once the job has it, or has no use for it
    Column("created_at", Moment, nullable=False),
)
IS_DUE: Final = outside_reports.c.deliver_at.is_not(None)
Index(
    "ix_outside_reports_due",
    outside_reports.c.deliver_at,
    postgresql_where=IS_DUE,
    sqlite_where=IS_DUE,
)

ERASE_REPORTS: Final = delete(outside_reports).where(
    outside_reports.c.memo_id == bindparam("own_id"),
    outside_reports.c.user_id == bindparam("own_user"),
)
"""Of one memo, with the memo."""

vendor_jobs = Table(
    # Whose a vendor's job is: an event names nothing but the vendor's own id.
    "vendor_jobs",
    METADATA,
    Column("vendor", String(40), primary_key=True),
    Column("vendor_id", String(200), primary_key=True),
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("user_id", Id, nullable=False),
    Column("created_at", Moment, nullable=False),
)

vendor_events = Table(
    # Those a job was woken for: each of them once.
    "vendor_events",
    METADATA,
    Column("vendor", String(40), primary_key=True),
    Column("vendor_id", String(200), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("created_at", Moment, nullable=False),
)
