"""Two tenants with the same data, each of whom knows every id of the other, get nothing by it."""

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import httpx
import pytest
from sqlalchemy import select

from store.columns import METADATA
from tests.api.front import Front, User
from tests.security.callers import leave, share
from tests.security.table import table
from tests.security.things import (
    BODIES,
    EVERYBODYS,
    Things,
    ask,
    document,
    nobodys,
    operations,
    things_of,
)
from tests.statements import asked_of

IDS: Final[Mapping[str, str]] = {
    "blueprintId": "blueprint_id",
    "endpointId": "endpoint_id",
    "jobId": "job_id",
    "memoId": "memo_id",
    "memoIds": "memo_id",
    "promptId": "prompt_id",
    "spaceId": "space_id",
    "userId": "user_id",
}
"""Which of a user's things a field or a parameter names; one that ends so has to stand here."""

FREE: Final = {
    ("POST /api/v1/memos", "memoId"): "a client chooses the id of a new memo",
    ("POST /api/v1/memos/process", "memoId"): "likewise",
    ("POST /api/v1/memos/upload", "memoId"): "likewise",
    ("POST /api/v1/batch-metadata", "job_id"): "the name of a vendor's job: any text",
}
"""Ids that need not be of something there is."""

UNLIKE: Final = {"x-request-id"}
"""Headers that differ between any two answers."""


class Place(NamedTuple):
    """Where an operation takes an id: in its path or its usual body, in a query, in a field."""

    operation: str
    name: str
    where: Literal["path", "query", "fields"] = "path"

    def __str__(self) -> str:
        """For the names of tests."""
        return f"{self.operation} {self.name}"


def for_users() -> dict[str, dict[str, Any]]:
    """The operations that a user's token opens."""
    rows = table()
    return {
        name: told
        for name, told in operations().items()
        if name in rows and rows[name]["owner"] != 401 and rows[name]["none"] == 401
    }


def names_in(template: Any) -> set[str]:
    """The ``{names}`` in a path or in a body."""
    if isinstance(template, str):
        return {name for _, name, _, _ in string.Formatter().parse(template) if name}
    if isinstance(template, dict | list):
        inner = template.values() if isinstance(template, dict) else template
        return set[str]().union(*map(names_in, inner))
    return set()


def fields_of(told: dict[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    """Fields of a body that name something."""
    for content in told.get("requestBody", {}).get("content", {}).values():
        schema = content.get("schema", {})
        found = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        yield from (name for name in found.get("properties", {}) if name.endswith(("Id", "Ids")))


def places() -> Iterator[Place]:
    """Every place of every operation that takes an id."""
    schemas = document()["components"]["schemas"]
    for operation, told in for_users().items():
        usual = BODIES.get(operation, {})
        for name in sorted((names_in(operation) | names_in(usual)) - set(EVERYBODYS)):
            yield Place(operation, name)
        for each in told.get("parameters", []):
            if each["in"] == "query" and each["name"].endswith("Id"):
                yield Place(operation, each["name"], "query")
        for name in fields_of(told, schemas):
            if name not in usual:
                yield Place(operation, name, "fields")


PLACES: Final = list(places())
"""Walked from the document: an operation that is new is among them."""


@dataclass(frozen=True)
class Tenants:
    """Two users with one of everything each."""

    front: Front
    anna: User
    ben: User
    annas: Things
    bens: Things


STATES: Final = ["running and poor", pytest.param("finished and rich", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=STATES)
async def tenants(request: pytest.FixtureRequest, front: Front, folder: Path) -> Tenants:
    """Ben, who asks, can pay or cannot; Anna's jobs are over or not."""
    anna, ben = front.user(), front.user()
    running = request.param.startswith("running")
    annas = await things_of(front, anna, running=running)
    bens = await things_of(front, ben)
    if running:
        balance = (await front.ask("GET", "credits/balance", ben)).json()["credits"]
        spent = {"operation": "EXPORT", "amount": balance, "description": "All of it"}
        assert (await front.ask("POST", "credits/consume", ben, json=spent)).status_code == 200
    return Tenants(front, anna, ben, annas, bens)


async def rows(front: Front) -> dict[str, list[Any]]:
    """Every row of every table."""
    async with front.database.read() as tx:
        return {
            each.name: [tuple(row) for row in await tx.session.rows(select(each))]
            for each in METADATA.sorted_tables
        }


async def asked_about(tenants: Tenants, place: Place, things: Things) -> tuple[Any, ...]:
    """Ben's own request but for one id: its answer, and what the database was asked meanwhile."""
    mixed, given = dict(tenants.bens), {}
    if place.where == "path":
        mixed[place.name] = things[place.name]
    else:
        given = {place.where: {place.name: things[IDS[place.name]]}}
    with asked_of(tenants.front.database) as asked:
        answer = await ask(tenants.front, place.operation, mixed, tenants.ben.headers, **given)
    return answer, asked.statements, asked.transactions


def shown(answer: httpx.Response) -> tuple[Any, ...]:
    """All of an answer, byte for byte, but what names this one request."""
    request_id = answer.headers["X-Request-ID"].encode()
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in UNLIKE)
    return answer.status_code, headers, answer.content.replace(request_id, b"")


@pytest.mark.parametrize(
    "place",
    [each for each in PLACES if (each.operation, each.name) not in FREE],
    ids=str,
)
async def test_what_belongs_to_another_answers_exactly_like_what_is_not_there(
    tenants: Tenants, place: Place
) -> None:
    before = await rows(tenants.front)
    theirs, *asked_of_theirs = await asked_about(tenants, place, tenants.annas)
    absent, *asked_of_absent = await asked_about(tenants, place, nobodys(tenants.annas))
    assert shown(theirs) == shown(absent)
    assert asked_of_theirs == asked_of_absent
    found_nothing = place.operation.startswith("OPTIONS ") or place.where == "query"
    assert found_nothing or theirs.status_code in {400, 403, 404}
    assert await rows(tenants.front) == before


@pytest.mark.parametrize("operation", [name for name in for_users() if name.startswith("GET ")])
async def test_what_one_reads_names_nothing_of_the_other(tenants: Tenants, operation: str) -> None:
    answer = await ask(tenants.front, operation, tenants.bens, tenants.ben.headers)
    assert answer.status_code in {200, 204}
    assert [name for name, each in tenants.annas.items() if each in answer.text] == []


@pytest.mark.parametrize(
    "operation",
    [
        name
        for name, told in for_users().items()
        if any(each["name"] == "cursor" for each in told.get("parameters", []))
    ],
)
async def test_anothers_cursor_leads_to_rows_of_ones_own_alone(
    tenants: Tenants, operation: str
) -> None:
    await things_of(tenants.front, tenants.anna)
    one = {"limit": "1"}
    page = await ask(tenants.front, operation, tenants.annas, tenants.anna.headers, query=one)
    cursor = {"cursor": page.json()["nextCursor"]}
    stolen = await ask(tenants.front, operation, tenants.bens, tenants.ben.headers, query=cursor)
    assert stolen.status_code == 200
    assert cursor["cursor"] is not None
    assert [name for name, each in tenants.annas.items() if each in stolen.text] == []


async def test_a_memo_cannot_be_begun_under_anothers_id_or_by_anothers_key(
    tenants: Tenants,
) -> None:
    front, memo_id = tenants.front, tenants.annas["memo_id"]
    before = await rows(front)
    for operation, name in FREE:
        if name == "memoId":
            fields = {name: memo_id}
            taken = await ask(front, operation, tenants.bens, tenants.ben.headers, fields=fields)
            assert (taken.status_code, taken.json()["code"]) == (404, "not_found")
    after = await rows(front)
    assert [after[name] for name in ("memos", "jobs")] == [
        before[name] for name in ("memos", "jobs")
    ]
    key = {"Idempotency-Key": "k"}
    first = await front.post_memo(tenants.anna, headers=key)
    rich = front.user()
    own = await front.post_memo(rich, headers=key)
    assert (first.status_code, own.status_code) == (201, 201)
    assert tenants.anna.id not in own.text


async def test_a_former_member_is_told_what_a_stranger_is(front: Front) -> None:
    anna, ben = front.user(), front.user()
    things = await things_of(front, anna)
    await share(front, things, ben)
    reads = [name for name in for_users() if name.startswith("GET ") and "{memo_id}" in name]
    assert len(reads) >= 4
    for operation in reads:
        member = await ask(front, operation, things, ben.headers)
        assert member.status_code in {200, 204}, operation
    await leave(front, things, ben)
    for operation in reads:
        former = await ask(front, operation, things, ben.headers)
        absent = await ask(front, operation, nobodys(things), ben.headers)
        assert shown(former) == shown(absent), operation
