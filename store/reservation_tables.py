"""The table of what is reserved at a credits service elsewhere."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    literal_column,
    or_,
)

from contracts.reservations import ReservationState
from store.columns import METADATA, Id, Moment, spelled

remote_reservations = Table(
    "remote_reservations",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("job_id", String(200), nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reservation_id", String(200)),
    # The account at the service when it was asked.
    Column("balance_before", BigInteger, nullable=False),
    Column("earned_before", BigInteger, nullable=False),
    Column("spent_before", BigInteger, nullable=False),
    # How many of its credits stand on the account here.
    Column("deposited", Integer, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    CheckConstraint("amount > 0", name="positive"),
    Index("ix_remote_reservations_account", "user_id", "updated_at"),
)
_OVER: Final = (ReservationState.COMMITTED, ReservationState.REFUNDED, ReservationState.CLOSED)
IS_UNFINISHED: Final = or_(
    remote_reservations.c.deposited > literal_column("0"),
    remote_reservations.c.state.not_in([spelled(state) for state in _OVER]),
)
IS_UNCERTAIN: Final = remote_reservations.c.state == spelled(ReservationState.UNCERTAIN)
Index(
    "ix_remote_reservations_unfinished",
    remote_reservations.c.key,
    postgresql_where=IS_UNFINISHED,
    sqlite_where=IS_UNFINISHED,
)
Index(
    "ix_remote_reservations_uncertain",
    remote_reservations.c.asked_at,
    postgresql_where=IS_UNCERTAIN,
    sqlite_where=IS_UNCERTAIN,
)
