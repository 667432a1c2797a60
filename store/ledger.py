"""The tables about money: a two-phase ledger.

``credit_entries`` is only ever added to. At any time, per account: the sum of ``balance_delta`` is
``balance``, the sum of ``held_delta`` is ``held``, and ``held`` is what the open holds amount to.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from store.columns import METADATA, Id, Json, Moment, Words

OPEN: Final = "open"
SETTLED: Final = "settled"
RELEASED: Final = "released"

IS_OPEN: Final = text(f"state = '{OPEN}'")
IS_SETTLED: Final = text(f"state = '{SETTLED}'")

credit_accounts = Table(
    "credit_accounts",
    METADATA,
    Column("user_id", Id, primary_key=True),
    Column("balance", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("total_earned", Integer, nullable=False),
    Column("total_spent", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    CheckConstraint("held >= 0 AND held <= balance", name="covered"),
    CheckConstraint("total_earned - total_spent = balance", name="balanced"),
)

credit_holds = Table(
    "credit_holds",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("user_id", Id, nullable=False, index=True),
    Column("job_id", String(200), nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("amount", Integer, CheckConstraint("amount >= 0", name="amount"), nullable=False),
    Column("amount_before", Integer),  # what the latest adjustment changed it from
    Column("charged", Integer, CheckConstraint("charged >= 0", name="charged"), nullable=False),
    Column("adjusted_by", String(255)),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    # A job has one open hold at most, and is charged once at most: not a rule of code alone.
    Index(
        "uq_credit_holds_open", "job_id", unique=True, postgresql_where=IS_OPEN,
        sqlite_where=IS_OPEN,
    ),
    Index(
        "uq_credit_holds_settled", "job_id", unique=True, postgresql_where=IS_SETTLED,
        sqlite_where=IS_SETTLED,
    ),
)  # fmt: skip

credit_entries = Table(
    "credit_entries",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("user_id", Id, ForeignKey(credit_accounts.c.user_id), nullable=False),
    Column("key", String(255), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("amount", Integer, nullable=False),
    Column("balance_delta", Integer, nullable=False),
    Column("held_delta", Integer, nullable=False),
    Column("operation", String(60)),
    Column("description", Words),
    Column("job_id", String(200), index=True),
    Column("step", String(40)),
    Column("metadata", Json),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("user_id", "key"),
    Index("ix_credit_entries_page", "user_id", "id"),
)
