"""Two real API processes over one database: equal requests are one, also when one of them dies."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.ids import memo_job
from store.database import Database
from store.invariants import violations
from store.migrations import upgrade
from tests.api.front import API, User
from tests.api.processes import ApiProcess, api_processes, user_of
from tests.site import local_server

pytestmark = pytest.mark.timeout(150)

MANY = 50
KEY = {"Idempotency-Key": "one"}
BOOK = {"operation": "EXPORT", "amount": 10, "description": "A book"}


@dataclass(frozen=True)
class Pair:
    """Both processes, and a client of them."""

    first: ApiProcess
    second: ApiProcess
    client: httpx.AsyncClient
    database: Database
    temporal: WorkflowEnvironment
    folder: Path

    def user(self) -> User:
        return user_of(self.folder, str(uuid4()))

    async def post(
        self, process: ApiProcess, path: str, user: User, body: Any, **headers: str
    ) -> httpx.Response:
        return await self.client.post(
            f"{process.url}{API}/{path}", json=body, headers={**user.headers, **headers}
        )

    async def many(
        self, path: str, user: User, body: Any, headers: Mapping[str, str]
    ) -> list[httpx.Response]:
        """Equal requests at once, half of them to each; one that is in flight is asked again."""

        async def ask(process: ApiProcess) -> httpx.Response:
            while True:
                answer = await self.post(process, path, user, body, **headers)
                if answer.status_code != httpx.codes.CONFLICT:
                    return answer
                assert answer.json()["code"] == "key_in_use"
                await asyncio.sleep(float(answer.headers["Retry-After"]))

        both = (self.first, self.second)
        return await asyncio.gather(*(ask(both[number % 2]) for number in range(MANY)))

    async def get(self, path: str, user: User) -> Any:
        answer = await self.client.get(f"{self.second.url}{API}/{path}", headers=user.headers)
        assert answer.is_success
        return answer.json()

    async def dies(self, path: str, user: User, body: Any, death: str) -> None:
        """The first one dies in a request, and is started again."""
        with pytest.raises(httpx.TransportError):
            await self.post(self.first, path, user, body, **KEY, **{"x-death": death})
        await self.first.process.wait()
        await self.first.start()

    async def broken(self) -> list[object]:
        return [found async for found in violations(self.database)]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("sqlite", marks=pytest.mark.slow),
    ],
)
async def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    temporal: WorkflowEnvironment,
) -> AsyncIterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        url = postgres.url(await postgres.create_database())
        await upgrade(url)
    else:
        shutil.copy(empty_database, folder / "voicekeep.db")
        url = f"sqlite:///{folder / 'voicekeep.db'}"
    settings = {
        "DATABASE_URL": url,
        "TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host,
    }
    database = Database(url)
    # A connection that was kept may be closed in the very moment it is used again.
    limits = httpx.Limits(max_connections=MANY, max_keepalive_connections=0)
    async with (
        api_processes(folder, 2, when="asked", **settings) as (first, second),
        httpx.AsyncClient(timeout=60, limits=limits) as client,
    ):
        yield Pair(first, second, client, database, temporal, folder)
    await database.close()


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with local_server() as environment:
        yield environment


@pytest.mark.parametrize("by", ["key", "memoId"])
async def test_fifty_equal_requests_are_one_memo_and_one_job(pair: Pair, by: str) -> None:
    user = pair.user()
    body: dict[str, Any] = {"filePath": f"{user.id}/a/audio.m4a", "duration": 61}
    headers = KEY if by == "key" else {}
    if by == "memoId":
        body["memoId"] = str(uuid4())
    answers = await pair.many("memos", user, body, headers)
    assert {answer.status_code for answer in answers} == {201}
    [memo_id] = {answer.json()["memoId"] for answer in answers}
    assert [answer.json() for answer in answers] == [answers[0].json()] * MANY
    found = await pair.get("memos", user)
    assert (found["total"], found["memos"][0]["id"]) == (1, memo_id)
    handle = pair.temporal.client.get_workflow_handle(memo_job(memo_id))
    assert (await handle.describe()).run_id
    assert await pair.broken() == []


@pytest.mark.parametrize("headers", [KEY, {}])
async def test_fifty_equal_consumptions_are_one_charge(pair: Pair, headers: dict[str, str]) -> None:
    user = pair.user()
    answers = await pair.many("credits/consume", user, BOOK, headers)
    charged = {"success": True, "consumed": 10, "credits": 140}
    assert [answer.json() for answer in answers] == [charged] * MANY
    assert (await pair.get("credits/balance", user))["totalSpent"] == 10


@pytest.mark.parametrize("path", ["memos", pytest.param("credits/consume", marks=pytest.mark.slow)])
async def test_an_answer_that_died_with_its_process_is_given_by_the_other(
    pair: Pair, path: str
) -> None:
    user = pair.user()
    memo = {"filePath": f"{user.id}/a/audio.m4a", "duration": 61}
    body = memo if path == "memos" else BOOK
    await pair.dies(path, user, body, "answer")
    answers = [await pair.post(each, path, user, body, **KEY) for each in (pair.second, pair.first)]
    assert [answer.is_success for answer in answers] == [True, True]
    assert answers[0].json() == answers[1].json()
    assert (await pair.get("memos", user))["total"] == (path == "memos")
    assert (await pair.get("credits/balance", user))["totalSpent"] == (0 if path == "memos" else 10)
    assert await pair.broken() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_process_killed_before_any_of_its_effects_charges_once(pair: Pair) -> None:
    effect = 1
    while True:
        user = pair.user()
        ask = {"x-death": str(effect)} | KEY
        try:
            answer = await pair.post(pair.first, "credits/consume", user, BOOK, **ask)
        except httpx.TransportError:
            await pair.first.process.wait()
            answer = await pair.post(pair.second, "credits/consume", user, BOOK, **KEY)
            await pair.first.start()
        else:
            break  # it has no such effect
        assert answer.json()["credits"] == 140
        assert (await pair.get("credits/balance", user))["totalSpent"] == 10
        effect += 1
    assert effect > 5
    assert await pair.broken() == []
