"""When files that nobody listened to were last removed."""

import sqlalchemy as sa
from alembic import op

from store.columns import Moment
from store.migrations import row_security

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "speech_cleanups",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_speech_cleanups"),
    )
    row_security.close_tables()


def downgrade() -> None:
    op.drop_table("speech_cleanups")
