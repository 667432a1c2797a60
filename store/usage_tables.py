"""Indexes by which calls and charges of a time are summed up."""

from typing import Final

from sqlalchemy import Index

from contracts.credits import EntryKind
from store.columns import spelled
from store.ledger import credit_entries
from store.schema import attempts

IS_CHARGE: Final = credit_entries.c.kind.in_(
    [spelled(EntryKind.SETTLE), spelled(EntryKind.CONSUME)]
)

Index("ix_attempts_user", attempts.c.user_id, attempts.c.started_at)
Index("ix_attempts_started", attempts.c.started_at)
Index(
    "ix_credit_entries_charges",
    credit_entries.c.user_id,
    credit_entries.c.created_at,
    postgresql_where=IS_CHARGE,
    sqlite_where=IS_CHARGE,
)
