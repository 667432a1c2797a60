"""The tables about money: a two-phase ledger.

An account belongs to a user or to a space and has its owner's id. ``credit_entries`` is only ever
added to. At any time, per account: the sum of ``balance_delta`` is ``balance``, the sum of
``held_delta`` is ``held``, and ``held`` is what the open holds amount to.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
)

from store.columns import METADATA, Id, Json, Moment, Words, spelled

OPEN: Final = "open"
SETTLED: Final = "settled"
RELEASED: Final = "released"

credit_accounts = Table(
    "credit_accounts",
    METADATA,
    Column("account_id", Id, primary_key=True),  # id of the user, or of the space
    Column("balance", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("total_earned", Integer, nullable=False),
    Column("total_spent", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("is_space", Boolean, nullable=False, server_default=false()),
    CheckConstraint("held >= 0 AND held <= balance", name="covered"),
    CheckConstraint("total_earned - total_spent = balance", name="balanced"),
)

credit_holds = Table(
    "credit_holds",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("job_id", String(200), nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("amount", Integer, nullable=False),
    Column("amount_before", Integer),  # what the latest adjustment changed it from
    Column("charged", Integer, nullable=False),
    Column("adjusted_by", String(255)),  # key of the latest adjustment
    Column("ended_by", String(255)),  # key of the entry that settled or released it
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("space_id", Id),  # the space that pays; null: the user
    CheckConstraint("amount >= 0 AND charged >= 0", name="not_negative"),
)
IS_OPEN: Final = credit_holds.c.state == spelled(OPEN)
IS_SETTLED: Final = credit_holds.c.state == spelled(SETTLED)
# A job has one open hold at most, and is charged once at most: not a rule of code alone.
for name, rows in (("open", IS_OPEN), ("settled", IS_SETTLED)):
    Index(
        f"uq_credit_holds_{name}",
        credit_holds.c.job_id,
        unique=True,
        postgresql_where=rows,
        sqlite_where=rows,
    )
for name, payer in (("open", credit_holds.c.user_id), ("open_space", credit_holds.c.space_id)):
    Index(f"ix_credit_holds_{name}", payer, postgresql_where=IS_OPEN, sqlite_where=IS_OPEN)

credit_entries = Table(
    "credit_entries",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("account_id", Id, ForeignKey(credit_accounts.c.account_id), nullable=False),
    Column("key", String(255), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("amount", Integer, nullable=False),
    Column("balance_delta", Integer, nullable=False),
    Column("held_delta", Integer, nullable=False),
    Column("operation", String(60)),
    Column("description", Words),
    Column("job_id", String(200)),
    Column("step", String(40)),
    Column("metadata", Json),
    Column("created_at", Moment, nullable=False),
    Column("user_id", Id),  # who spent; null where nobody did: what a space was given
    UniqueConstraint("account_id", "key"),
    Index("ix_credit_entries_page", "account_id", "id"),
)
