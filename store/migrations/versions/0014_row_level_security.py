"""Row level security on Postgres: a second wall for users' own tokens.

Clients read some tables themselves (Supabase's REST and Realtime, PostgREST). What they get is what
the API would show: a user's own rows and those of spaces the user belongs to, no deleted memo. They
write nothing. They read whole rows, for they ask for ``*``: no column of these tables says more
than the API does. A token's subject owns rows only as a UUID; any other reads nothing here.
"""

from types import MappingProxyType
from typing import Final

import sqlalchemy as sa
from alembic import op

from store.migrations import row_security
from store.migrations.row_security import READER, SCHEMA

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# The functions are asked once for a statement, and what they say is looked up in an index. What
# another table's policy hides is hidden in a condition, too.
READABLE: Final = MappingProxyType(
    {
        "memos": """deleted_at IS NULL AND (
            user_id = (SELECT voicekeep_security.caller())
            OR id = ANY ((SELECT voicekeep_security.memos_shared_with_caller())::uuid[]))""",
        "memories": "EXISTS (SELECT 1 FROM memos WHERE memos.id = memories.memo_id)",
        "spaces": "id = ANY ((SELECT voicekeep_security.spaces_of_caller())::uuid[])",
        "space_members": "space_id = ANY ((SELECT voicekeep_security.spaces_of_caller())::uuid[])",
        "memo_spaces": """space_id = ANY ((SELECT voicekeep_security.spaces_of_caller())::uuid[])
            AND EXISTS (SELECT 1 FROM memos WHERE memos.id = memo_spaces.memo_id)""",
        "profiles": "user_id = (SELECT voicekeep_security.caller())",
        "blueprints": "is_public OR user_id = (SELECT voicekeep_security.caller())",
        "prompt_blueprints": """EXISTS (
            SELECT 1 FROM blueprints WHERE blueprints.id = prompt_blueprints.blueprint_id)""",
        "prompts": """user_id = (SELECT voicekeep_security.caller()) OR EXISTS (
            SELECT 1 FROM prompt_blueprints WHERE prompt_blueprints.prompt_id = prompts.id)""",
    }
)

FIND_READER: Final = sa.text(
    "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :reader) AS there,"
    " (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) AS permitted"
)
SUPABASES: Final = "SELECT auth.uid()"
CLAIMED: Final = """
SELECT CASE WHEN sub ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN sub::uuid END
  FROM (SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub') AS t(sub)
"""
SPACES: Final = """
SELECT coalesce(array_agg(space_id), '{}') FROM space_members
 WHERE user_id = voicekeep_security.caller()
"""
MEMOS: Final = """
SELECT coalesce(array_agg(memo_id), '{}') FROM memo_spaces JOIN space_members USING (space_id)
 WHERE user_id = voicekeep_security.caller()
"""


def upgrade() -> None:
    if not row_security.on_postgres():
        return
    _make_reader()
    row_security.close_tables()
    _make_functions()
    for table, rows in READABLE.items():
        row_security.open_table(table, rows)


def downgrade() -> None:
    if not row_security.on_postgres():
        return
    for table in reversed(READABLE):
        row_security.close_table(table)
    op.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    row_security.without_security()


def _make_reader() -> None:
    """The role of clients, where there is none and we may make one; it outlives a downgrade.

    Roles belong to the whole server: another database's migration may make it in this moment.
    """
    found = op.get_bind().execute(FIND_READER, {"reader": READER}).one()
    if found.there or not found.permitted:
        return
    op.execute(
        f"DO $$ BEGIN CREATE ROLE {READER} NOLOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


def _make_functions() -> None:
    connection = op.get_bind()
    on_supabase = connection.scalar(sa.text("SELECT to_regprocedure('auth.uid()') IS NOT NULL"))
    op.execute(f"CREATE SCHEMA {SCHEMA}")
    _function("caller", "uuid", SUPABASES if on_supabase else CLAIMED)
    _function("spaces_of_caller", "uuid[]", SPACES)
    _function("memos_shared_with_caller", "uuid[]", MEMOS)


def _function(name: str, returns: str, body: str) -> None:
    """Policies ask it. It reads as the owner: a policy about members cannot ask itself."""
    tables = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    op.execute(
        f"CREATE FUNCTION {SCHEMA}.{name}() RETURNS {returns} LANGUAGE sql STABLE"
        f" SECURITY DEFINER SET search_path = {tables}, pg_temp AS $${body}$$"
    )
