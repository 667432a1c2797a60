"""Accounts of spaces, which may pay for their members."""

import sqlalchemy as sa
from alembic import op

from store.columns import Id

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OPEN = sa.text("state = 'open'")
ENTRIES = "credit_entries"


def upgrade() -> None:
    op.add_column("spaces", _flag("pays"))
    op.execute("ALTER TABLE credit_accounts RENAME COLUMN user_id TO account_id")
    op.add_column("credit_accounts", _flag("is_space"))
    op.add_column("credit_holds", sa.Column("space_id", Id(), nullable=True))
    op.create_index(
        "ix_credit_holds_open_space",
        "credit_holds",
        ["space_id"],
        postgresql_where=OPEN,
        sqlite_where=OPEN,
    )
    op.drop_index("ix_credit_entries_page", ENTRIES)
    _rename_owner("user_id", "account_id")
    op.create_index("ix_credit_entries_page", ENTRIES, ["account_id", "id"])
    op.add_column(ENTRIES, sa.Column("user_id", Id(), nullable=True))
    # Until now everybody spent what was their own.
    op.execute("UPDATE credit_entries SET user_id = account_id")


def downgrade() -> None:
    # There is no place for what spaces have and pay for.
    op.execute("DELETE FROM credit_holds WHERE space_id IS NOT NULL")
    op.execute(
        "DELETE FROM credit_entries"
        " WHERE account_id IN (SELECT account_id FROM credit_accounts WHERE is_space)"
    )
    op.execute("DELETE FROM credit_accounts WHERE is_space")
    op.drop_index("ix_credit_entries_page", ENTRIES)
    op.drop_column(ENTRIES, "user_id")
    _rename_owner("account_id", "user_id")
    op.create_index("ix_credit_entries_page", ENTRIES, ["user_id", "id"])
    op.drop_index("ix_credit_holds_open_space", "credit_holds")
    op.drop_column("credit_holds", "space_id")
    op.drop_column("credit_accounts", "is_space")
    op.execute("ALTER TABLE credit_accounts RENAME COLUMN account_id TO user_id")
    op.drop_column("spaces", "pays")


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _rename_owner(before: str, after: str) -> None:
    """Of entries, with the names of what it is part of; the accounts' column has the new name.

    The accounts are renamed before and after: on the way down their column is still the new one.
    """
    there = "account_id"
    with op.batch_alter_table(ENTRIES) as table:
        table.drop_constraint(f"fk_{ENTRIES}_{before}", type_="foreignkey")
        table.drop_constraint(f"uq_{ENTRIES}_{before}_key", type_="unique")
        table.alter_column(before, new_column_name=after)
    with op.batch_alter_table(ENTRIES) as table:
        table.create_unique_constraint(f"uq_{ENTRIES}_{after}_key", [after, "key"])
        table.create_foreign_key(f"fk_{ENTRIES}_{after}", "credit_accounts", [after], [there])
