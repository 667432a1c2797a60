"""What vendors' calls used and cost, and the indexes to sum it up by."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = ("audio_milliseconds", "input_tokens", "output_tokens", "characters", "cost_micros")
IS_CHARGE = sa.text("kind IN ('settle', 'consume')")


def upgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        for name in COLUMNS:
            table.add_column(sa.Column(name, sa.BigInteger))
    op.create_index("ix_attempts_user", "attempts", ["user_id", "started_at"])
    op.create_index("ix_attempts_started", "attempts", ["started_at"])
    op.create_index(
        "ix_credit_entries_charges",
        "credit_entries",
        ["user_id", "created_at"],
        postgresql_where=IS_CHARGE,
        sqlite_where=IS_CHARGE,
    )


def downgrade() -> None:
    op.drop_index("ix_credit_entries_charges", "credit_entries")
    op.drop_index("ix_attempts_started", "attempts")
    op.drop_index("ix_attempts_user", "attempts")
    with op.batch_alter_table("attempts") as table:
        for name in COLUMNS:
            table.drop_column(name)
