"""Who gets what answer, operation by operation: a table that is complete or the test fails."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from store.migrations import upgrade
from tests.api.front import Front, opened
from tests.postgres import PostgresServer
from tests.security import callers
from tests.security.table import COLUMNS, ROWS, table
from tests.security.things import ask, operations, things_of

TABLE: Final = table()
OPERATIONS: Final = operations()
CLOSED: Final = 503
SAMPLE: Final = 6
SEED: Final = 20


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert sorted(TABLE) == sorted(OPERATIONS)
    assert len(TABLE) == sum(line[:1].isdigit() for line in ROWS.splitlines())


@pytest.mark.parametrize("operation", TABLE)
async def test_each_caller_gets_the_answer_of_the_table(front: Front, operation: str) -> None:
    assert await answers(front, operation) == TABLE[operation]


async def answers(front: Front, operation: str) -> dict[str, int]:
    """What everybody is answered; those who may change something come last, the owner after all."""
    owner = front.user()
    things = await things_of(front, owner)
    nobody = {
        (await ask(front, operation, things, headers)).status_code
        for headers in callers.strangers(front, owner).values()
    }
    assert len(nobody) == 1
    unscoped = await callers.key_without(front, owner, scope_of(operation))
    known = callers.keys() | {"key-": unscoped} | await callers.users(front, owner, things)
    found = {"none": nobody.pop()} | {
        name: (await ask(front, operation, things, headers)).status_code
        for name, headers in known.items()
    }
    return {name: found[name] for name in COLUMNS}


def scope_of(operation: str) -> str | None:
    """The scope that an API key needs, by the document; none: no key opens it, or none is asked."""
    shown = OPERATIONS[operation].get("security", [])
    return next((scopes[0] for each in shown for scopes in [each.get("apiKey")] if scopes), None)


async def test_routes_of_keys_that_are_not_set_are_closed_to_everybody(
    folder: Path, front: Front
) -> None:
    of_keys = [name for name, row in TABLE.items() if row["owner"] == 401]
    assert len(of_keys) > 5
    async with opened(folder) as without:
        owner = without.user()
        things = await things_of(without, owner)
        everybody = callers.strangers(without, owner) | callers.keys() | {"owner": owner.headers}
        for operation in of_keys:
            for name, headers in everybody.items():
                answer = await ask(without, operation, things, headers)
                told = answer.status_code, answer.json()["code"]
                assert told == (CLOSED, "not_configured"), (operation, name)


@pytest.fixture(scope="module")
async def on_postgres(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """The same app over Postgres."""
    name = await postgres.create_database()
    url = postgres.url(name)
    await upgrade(url)
    settings = {**callers.EVERY_KEY, "DATABASE_URL": url}
    async with opened(tmp_path_factory.mktemp("on-postgres"), **settings) as front:
        yield front
    await postgres.drop_database(name)


@pytest.mark.postgres
@pytest.mark.parametrize("operation", random.Random(SEED).sample(sorted(TABLE), SAMPLE))
async def test_some_of_them_are_answered_alike_on_postgres(
    on_postgres: Front, operation: str
) -> None:
    assert await answers(on_postgres, operation) == TABLE[operation]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("operation", TABLE)
async def test_all_of_them_are_answered_alike_on_postgres(
    on_postgres: Front, operation: str
) -> None:
    assert await answers(on_postgres, operation) == TABLE[operation]
