"""Row level security on Postgres: what users' own tokens may read without the API between.

Supabase hands every table of its schema to the roles ``anon`` and ``authenticated``. So each table
of ours is closed to both, and those that clients read themselves are opened for reading with a
policy. The owner of the tables, as whom the service connects, passes by all of it.

A migration after ``0014`` that makes a table calls `close_tables`, and `open_table` when clients
may read it; on SQLite nothing happens. ``tests/contract/test_row_security.py`` finds what was
forgotten.
"""

from typing import Final

from alembic import op
from sqlalchemy import Connection, text

from store.columns import METADATA

SCHEMA: Final = "voicekeep_security"
"""Of the functions policies ask. Named like no role: a schema named like one comes first in its
search path, and would take in every new table."""

POLICY: Final = "clients_read"
READER: Final = "authenticated"
STRANGERS: Final = "anon"
VERSIONS: Final = "alembic_version"


def on_postgres() -> bool:
    """Whether there is anything to close."""
    return op.get_bind().dialect.name == "postgresql"


def close_tables() -> None:
    """Close each table of ours that is not closed yet, whatever its name."""
    if not on_postgres():
        return
    connection = op.get_bind()
    roles = ", ".join(_roles(connection))
    for table in _tables(connection, closed=False):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        if roles:
            op.execute(f"REVOKE ALL ON TABLE {table} FROM {roles}")
            for sequence in _sequences(connection, table):
                op.execute(f"REVOKE ALL ON SEQUENCE {sequence} FROM {roles}")


def open_table(table: str, rows: str) -> None:
    """Let clients read rows of a closed table.

    Args:
        table: its name.
        rows: the condition a row meets, in SQL.
    """
    if not on_postgres():
        return
    op.execute(f"CREATE POLICY {POLICY} ON {table} FOR SELECT USING ({rows})")
    if READER in _roles(op.get_bind()):
        op.execute(f"GRANT SELECT ON TABLE {table} TO {READER}")


def close_table(table: str) -> None:
    """Take back what `open_table` did."""
    if not on_postgres():
        return
    op.execute(f"DROP POLICY {POLICY} ON {table}")
    if READER in _roles(op.get_bind()):
        op.execute(f"REVOKE ALL ON TABLE {table} FROM {READER}")


def without_security() -> None:
    """Take row level security from every table; nobody is granted anything by it."""
    for table in _tables(op.get_bind(), closed=True):
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def _roles(connection: Connection) -> list[str]:
    """The roles of clients that this server has."""
    query = text("SELECT rolname FROM pg_roles WHERE rolname IN (:reader, :strangers)")
    return list(connection.scalars(query, {"reader": READER, "strangers": STRANGERS}))


def _tables(connection: Connection, *, closed: bool) -> list[str]:
    """Tables of ours: in a schema that is shared with others, theirs are left alone."""
    query = text(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind IN ('r', 'p') AND relrowsecurity = :closed AND relname = ANY(:ours)"
        " ORDER BY relname"
    )
    ours = [*METADATA.tables, VERSIONS]
    return list(connection.scalars(query, {"closed": closed, "ours": ours}))


def _sequences(connection: Connection, table: str) -> list[str]:
    """Those that number a table's rows."""
    query = text(
        "SELECT objid::regclass::text FROM pg_depend JOIN pg_class ON pg_class.oid = objid"
        " WHERE refobjid = CAST(:owner AS regclass) AND relkind = 'S' AND deptype IN ('a', 'i')"
    )
    return list(connection.scalars(query, {"owner": table}))
