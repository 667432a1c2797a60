"""Attempts say which chunk of a long recording they were about."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        table.add_column(sa.Column("chunk", sa.Integer))


def downgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        table.drop_column("chunk")
