"""What a user's own token reads in Postgres, by a connection that has no API between."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import asyncpg
import pytest

from contracts.blueprint import PromptDraft
from contracts.ids import owner_id
from contracts.memo import MemoJob
from contracts.memory import NewMemory
from store import migrations
from store.columns import METADATA
from store.database import Database
from store.migrations.row_security import POLICY, SCHEMA
from tests.postgres import PostgresServer

pytestmark = pytest.mark.postgres

NewMemo = Callable[..., Awaitable[MemoJob]]

READABLE: Final = {
    "memos": "id",
    "memories": "id",
    "memo_spaces": "memo_id",
    "spaces": "id",
    "space_members": "user_id",
    "profiles": "user_id",
    "blueprints": "id",
    "prompts": "id",
    "prompt_blueprints": "prompt_id",
}
"""Tables that clients read, and a column to tell their rows by. Reviewed; all else is closed."""

TABLES: Final = """
SELECT relname AS name, relrowsecurity AS closed, count(polname) AS policies
  FROM pg_class LEFT JOIN pg_policy ON polrelid = pg_class.oid
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
 GROUP BY relname, relrowsecurity
"""
PRIVILEGES: Final = """
SELECT relname AS name, role, privilege FROM pg_class, unnest($1::text[]) AS role,
       unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (has_table_privilege(role, pg_class.oid, privilege)
        OR privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
           AND has_any_column_privilege(role, pg_class.oid, privilege))
"""
SEQUENCES: Final = """
SELECT relname, role FROM pg_class, unnest($1::text[]) AS role
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
   AND has_sequence_privilege(role, pg_class.oid, 'USAGE, SELECT, UPDATE')
"""
WRITES: Final = (
    "INSERT INTO {0} DEFAULT VALUES",
    'UPDATE {0} SET "{1}" = "{1}"',
    "DELETE FROM {0}",
    "TRUNCATE {0} CASCADE",
)
SUPABASE: Final = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated;
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
  )::uuid
$$;
CREATE TABLE of_somebody_else (id integer);
"""
"""What a project of Supabase comes with, and a table that is not ours."""

NO_ROLE_YET: Final = """
DO $$ BEGIN CREATE ROLE anon NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE gate LOGIN NOINHERIT; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
"""


@pytest.fixture
def dialect() -> str:
    """Row level security is Postgres's."""
    return "postgresql"


@dataclass(frozen=True)
class Client:
    """A connection of somebody's token."""

    connection: Any

    async def sees(self) -> dict[str, set[str]]:
        """Every row of every readable table."""
        return {
            table: {str(row[key]) for row in await self.connection.fetch(f"TABLE {table}")}
            for table, key in READABLE.items()
        }


@asynccontextmanager
async def client(
    url: str, claims: Mapping[str, Any] | None, role: str = "authenticated"
) -> AsyncIterator[Client]:
    """As PostgREST comes in: a login role that becomes the client's and says the token's claims."""
    owner = await asyncpg.connect(url)
    await owner.execute(f"{NO_ROLE_YET} GRANT {role} TO gate")
    await owner.close()
    connection = await asyncpg.connect(url.replace("voicekeep@", "gate@"))
    try:
        await connection.execute(f"SET ROLE {role}")
        if claims is not None:
            said = json.dumps(claims)
            await connection.execute("SELECT set_config('request.jwt.claims', $1, false)", said)
        yield Client(connection)
    finally:
        await connection.close()


async def seen_by(url: str, subject: str) -> dict[str, set[str]]:
    async with client(url, {"sub": subject}) as found:
        return await found.sees()


@dataclass(frozen=True)
class Person:
    """A user with one row in every table of theirs."""

    id: str
    memo: MemoJob
    memory: str
    blueprint: str
    prompt: str
    space: str

    @property
    def rows(self) -> dict[str, set[str]]:
        """What they see while they share nothing with anybody."""
        return {
            "memos": {self.memo.memo_id},
            "memories": {self.memory},
            "memo_spaces": {self.memo.memo_id},
            "spaces": {self.space},
            "space_members": {self.id},
            "profiles": {self.id},
            "blueprints": {self.blueprint},
            "prompts": {self.prompt},
            "prompt_blueprints": {self.prompt},
        }


async def settle(database: Database, new_memo: NewMemo, user_id: str | None = None) -> Person:
    """Make a user with rows."""
    user_id = user_id or str(uuid4())
    memo = await new_memo(user_id)
    memory = NewMemory(id=str(uuid4()), title="Tasks", content="None")
    blueprint, space = str(uuid4()), str(uuid4())
    async with database.write() as tx:
        await tx.memories.add(memo.memo_id, user_id, [memory])
        await tx.profiles.change(user_id, email="a@example.com")
        made = await tx.blueprints.create(
            blueprint, user_id, name={"en": "Meeting"}, description={}, system_prompt={},
            is_public=False, drafts=[PromptDraft(prompt_text={"en": "Tasks?"})],
        )  # fmt: skip
        await tx.spaces.create(space, user_id, "Team", None)
        await tx.spaces.link(memo.memo_id, space, user_id)
        await tx.credits.balance(user_id)
    return Person(user_id, memo, memory.id, blueprint, made.prompts[0].id, space)


def together(*several: Mapping[str, set[str]]) -> dict[str, set[str]]:
    return {table: set[str]().union(*(each[table] for each in several)) for table in READABLE}


NOTHING: Final[dict[str, set[str]]] = {table: set() for table in READABLE}


async def test_a_user_reads_rows_of_their_own_and_of_their_spaces_alone(
    url: str, database: Database, new_memo: NewMemo
) -> None:
    anna, ben = await settle(database, new_memo), await settle(database, new_memo)
    assert await seen_by(url, anna.id) == anna.rows
    assert await seen_by(url, anna.id.upper()) == anna.rows
    assert await seen_by(url, str(uuid4())) == NOTHING
    async with database.write() as tx:
        await tx.spaces.join(anna.space, ben.id)
    shared = {table: anna.rows[table] for table in ("memos", "memories", "memo_spaces", "spaces")}
    members = {"space_members": {anna.id, ben.id}}
    assert await seen_by(url, ben.id) == together(ben.rows, NOTHING | shared | members)
    assert await seen_by(url, anna.id) == together(anna.rows, NOTHING | members)


async def test_a_former_member_and_a_memo_taken_back_leave_nothing_behind(
    url: str, database: Database, new_memo: NewMemo
) -> None:
    anna, ben = await settle(database, new_memo), await settle(database, new_memo)
    async with database.write() as tx:
        await tx.spaces.join(anna.space, ben.id)
        await tx.spaces.unlink(anna.memo.memo_id, anna.space, anna.id)
    kept = NOTHING | {"spaces": {anna.space}, "space_members": {anna.id}}
    assert await seen_by(url, ben.id) == together(ben.rows, kept)
    async with database.write() as tx:
        await tx.spaces.link(anna.memo.memo_id, anna.space, anna.id)
    owner = await asyncpg.connect(url)
    await owner.execute("DELETE FROM space_members WHERE user_id = $1", ben.id)
    await owner.close()
    alone = NOTHING | {table: ben.rows[table] for table in READABLE if "space" not in table}
    assert await seen_by(url, ben.id) == alone


async def test_a_deleted_memo_is_invisible_at_once_with_all_that_hangs_on_it(
    url: str, database: Database, new_memo: NewMemo
) -> None:
    anna = await settle(database, new_memo)
    async with database.write() as tx:
        await tx.memos.mark_deleted(anna.memo.memo_id, anna.id)
    gone: dict[str, set[str]] = {"memos": set(), "memories": set(), "memo_spaces": set()}
    assert await seen_by(url, anna.id) == anna.rows | gone


async def test_a_public_blueprint_is_read_by_everybody_with_a_token(
    url: str, database: Database, new_memo: NewMemo
) -> None:
    anna, ben = await settle(database, new_memo), await settle(database, new_memo)
    async with database.write() as tx:
        await tx.blueprints.change(anna.blueprint, anna.id, {"is_public": True})
    public = {
        "blueprints": {anna.blueprint},
        "prompts": {anna.prompt},
        "prompt_blueprints": {anna.prompt},
    }
    assert await seen_by(url, ben.id) == together(ben.rows, NOTHING | public)


@pytest.mark.parametrize(
    "claims", [None, {}, {"sub": None}, {"sub": ""}, {"sub": "auth0|5f7c8ec7"}]
)
async def test_a_token_whose_subject_is_no_uuid_reads_no_row(
    url: str, database: Database, new_memo: NewMemo, claims: Mapping[str, Any] | None
) -> None:
    await settle(database, new_memo, owner_id("https://issuer.example", "auth0|5f7c8ec7"))
    async with client(url, claims) as found:
        assert await found.sees() == NOTHING


async def test_strangers_without_a_token_may_ask_for_nothing(url: str) -> None:
    async with client(url, None, role="anon") as found:
        for table in METADATA.tables:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await found.connection.fetch(f"TABLE {table}")


async def test_a_user_writes_nothing_and_reads_no_ledger_job_key_or_secret(
    url: str, database: Database, new_memo: NewMemo
) -> None:
    anna = await settle(database, new_memo)
    async with client(url, {"sub": anna.id}) as found:
        for table in METADATA.sorted_tables:
            column = next(iter(table.columns)).name
            tries = [each.format(table, column) for each in WRITES]
            if table.name not in READABLE:
                tries.append(f"TABLE {table}")
            for statement in tries:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await found.connection.execute(statement)
    assert await seen_by(url, anna.id) == anna.rows


async def not_walled(connection: Any) -> set[str]:
    """Every table, of whatever kind and name, that no row level security closes."""
    found = await connection.fetch(TABLES)
    return {
        row["name"]
        for row in found
        if not row["closed"] or row["policies"] != (row["name"] in READABLE)
    }


async def test_every_table_is_closed_or_was_opened_on_purpose(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        assert await not_walled(connection) == set(), (
            "a migration that makes a table calls close_tables of store.migrations.row_security"
        )
        await connection.execute(NO_ROLE_YET)
        roles = ["anon", "authenticated"]
        granted = {tuple(row) for row in await connection.fetch(PRIVILEGES, roles)}
        assert granted == {(table, "authenticated", "SELECT") for table in READABLE}
        assert await connection.fetch(SEQUENCES, roles) == []
        await connection.execute("CREATE TABLE forgotten (id integer)")
        await connection.execute("CREATE VIEW around AS SELECT * FROM memos")
        assert await not_walled(connection) == {"forgotten", "around"}
    finally:
        await connection.execute("DROP VIEW IF EXISTS around; DROP TABLE IF EXISTS forgotten")
        await connection.close()


MANY_MEMOS: Final = """
INSERT INTO memos (id, user_id, source, metadata, is_pinned, is_archived, is_public, title_by_user,
                   created_at, updated_at)
SELECT gen_random_uuid(), gen_random_uuid(), '{}', '{}', false, false, false, false, now(), now()
  FROM generate_series(1, 5000);
ANALYZE memos;
"""


async def test_a_client_that_asks_for_all_memos_has_them_looked_up_in_indexes(url: str) -> None:
    await executed(url, MANY_MEMOS)
    async with client(url, {"sub": str(uuid4())}) as found:
        lines = await found.connection.fetch("EXPLAIN SELECT * FROM memos")
    plan = "\n".join(line[0] for line in lines)
    assert "Bitmap Index Scan on ix_memos_page" in plan
    assert "Bitmap Index Scan on pk_memos" in plan
    assert "Seq Scan" not in plan


@pytest.fixture
async def bare(postgres: PostgresServer) -> AsyncIterator[str]:
    """Name of a database with nothing in it, on a server that knows the clients' roles."""
    name = await postgres.create_database()
    yield name
    await postgres.drop_database(name)


async def executed(address: str, statements: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_on_supabase_its_own_function_says_who_asks_and_its_grants_are_taken_back(
    postgres: PostgresServer, bare: str, migrated_database: str
) -> None:
    address = postgres.url(bare)
    await executed(address, NO_ROLE_YET + SUPABASE)
    await migrations.upgrade(address)
    connection = await asyncpg.connect(address)
    roles = ["anon", "authenticated"]
    granted = {tuple(row) for row in await connection.fetch(PRIVILEGES, roles)}
    of_others = {each for each in granted if each[0] == "of_somebody_else"}
    assert granted - of_others == {(table, "authenticated", "SELECT") for table in READABLE}
    assert len(of_others) == 14
    assert await connection.fetch(SEQUENCES, roles) == []
    assert await not_walled(connection) == {"of_somebody_else"}
    who = str(uuid4())
    await connection.execute("SELECT set_config('request.jwt.claim.sub', $1, false)", who)
    assert str(await connection.fetchval(f"SELECT {SCHEMA}.caller()")) == who
    await connection.close()


async def test_going_back_before_it_leaves_no_policy_no_function_and_no_grant(
    postgres: PostgresServer, bare: str, migrated_database: str
) -> None:
    address = postgres.url(bare)
    await migrations.upgrade(address)
    await migrations.downgrade(address, "0013")
    connection = await asyncpg.connect(address)
    found = await connection.fetch(TABLES)
    assert {(row["closed"], row["policies"]) for row in found} == {(False, 0)}
    assert await connection.fetch(PRIVILEGES, ["authenticated"]) == []
    assert not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA)
    await connection.close()
    await migrations.upgrade(address)
    assert await seen_by(address, str(uuid4())) == NOTHING


ROLE: Final = "SELECT FROM pg_roles WHERE rolname = $1"


async def test_whoever_may_make_no_role_migrates_all_the_same_and_opens_nothing(
    postgres: PostgresServer, bare: str, migrated_database: str
) -> None:
    admin = await asyncpg.connect(postgres.url("postgres"))
    await admin.execute("ALTER ROLE authenticated RENAME TO put_aside; CREATE ROLE modest LOGIN")
    try:
        await admin.execute(f"ALTER DATABASE {bare} OWNER TO modest")
        address = postgres.url(bare).replace("voicekeep@", "modest@")
        await migrations.upgrade(address)
        connection = await asyncpg.connect(address)
        policies = await connection.fetch("SELECT polname FROM pg_policy")
        assert [row[0] for row in policies] == [POLICY] * len(READABLE)
        assert await connection.fetch(ROLE, "authenticated") == []
        assert await not_walled(connection) == set()
        await connection.close()
        await migrations.downgrade(address, "base")
    finally:
        await admin.execute("ALTER ROLE put_aside RENAME TO authenticated")
        await admin.execute(f"ALTER DATABASE {bare} OWNER TO voicekeep")
        await executed(postgres.url(bare), "DROP OWNED BY modest; DROP ROLE modest")
        await admin.close()
