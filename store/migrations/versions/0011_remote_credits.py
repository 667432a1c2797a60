"""What was asked of a credits service elsewhere."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id, Moment

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "remote_reservations"
UNFINISHED = sa.text("deposited > 0 OR (state NOT IN ('committed', 'refunded', 'closed'))")
UNCERTAIN = sa.text("state = 'uncertain'")


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("user_id", Id(), nullable=False),
        sa.Column("job_id", sa.String(length=200), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reservation_id", sa.String(length=200), nullable=True),
        sa.Column("balance_before", sa.BigInteger(), nullable=False),
        sa.Column("earned_before", sa.BigInteger(), nullable=False),
        sa.Column("spent_before", sa.BigInteger(), nullable=False),
        sa.Column("deposited", sa.Integer(), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_remote_reservations_positive")),
        sa.PrimaryKeyConstraint("key", name="pk_remote_reservations"),
    )
    op.create_index("ix_remote_reservations_job_id", TABLE, ["job_id"])
    op.create_index("ix_remote_reservations_account", TABLE, ["user_id", "updated_at"])
    for name, column, rows in (
        ("unfinished", "key", UNFINISHED),
        ("uncertain", "asked_at", UNCERTAIN),
    ):
        op.create_index(
            f"ix_remote_reservations_{name}",
            TABLE,
            [column],
            postgresql_where=rows,
            sqlite_where=rows,
        )


def downgrade() -> None:
    op.drop_table(TABLE)
