"""The same front over PostgreSQL: where the two databases could differ."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.jobs import JobState
from store.migrations import upgrade
from tests.api.front import Front, User, opened
from tests.postgres import PostgresServer

pytestmark = pytest.mark.postgres
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture(scope="module")
async def migrated(postgres: PostgresServer) -> str:
    name = await postgres.create_database()
    await upgrade(postgres.url(name))
    return name


@pytest.fixture
async def front(postgres: PostgresServer, migrated: str, tmp_path: Path) -> AsyncIterator[Front]:
    name = await postgres.create_database(migrated)
    async with opened(tmp_path, DATABASE_URL=postgres.url(name)) as front:
        yield front
    await postgres.drop_database(name)


async def test_a_memo_lives_from_its_upload_to_its_erasure(front: Front, anna: User) -> None:
    memo = (await front.upload(anna, title="Shopping", recordingLanguages="de")).json()
    path = f"memos/{memo['memoId']}"
    await front.move(memo, JobState.RUNNING)
    await front.say(memo)
    await front.move(memo, JobState.COMPLETED)
    changed = await front.ask("PATCH", path, anna, json={"isArchived": True})
    assert changed.json()["memo"]["is_archived"] is True
    assert (await front.ask("GET", f"{path}/transcript?format=vtt", anna)).status_code == 200
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", anna)).json()
    assert [moment["type"] for moment in job["timeline"]] == ["state", "state", "done"]
    assert (await front.ask("DELETE", path, anna)).status_code == 202
    assert (await front.ask("GET", path, anna)).status_code == 404


async def test_twenty_at_once_with_one_key_make_one_memo(front: Front, anna: User) -> None:
    answers = await asyncio.gather(*(front.post_memo(anna, headers=KEY) for _ in range(20)))
    accepted = [answer.json()["memoId"] for answer in answers if answer.status_code == 201]
    busy = [answer for answer in answers if answer.status_code == 409]
    assert len(set(accepted)) == 1
    assert len(accepted) + len(busy) == 20
    assert {answer.json()["code"] for answer in busy} <= {"key_in_use"}
    assert (await front.ask("GET", "memos", anna)).json()["total"] == 1
    assert len(front.starter.started) == 1


async def test_twenty_at_once_with_one_memo_id_make_one_job(front: Front, anna: User) -> None:
    memo_id = "1c0de2a4-7b1e-4f5c-9d0e-0a1b2c3d4e5f"
    answers = await asyncio.gather(*(front.post_memo(anna, memoId=memo_id) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [201] * 20
    assert {answer.json()["jobId"] for answer in answers} == {f"memo-{memo_id}"}
    assert len(front.starter.started) == 1
    assert (await front.ask("GET", "memos", anna)).json()["total"] == 1


@pytest.mark.parametrize("how", ["retried", "posted"])
async def test_twenty_at_once_that_try_a_failed_memo_again_are_one_more_round(
    front: Front, anna: User, how: str
) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, JobState.RUNNING, JobState.FAILED)

    async def again() -> int:
        if how == "posted":
            return (await front.post_memo(anna, memoId=memo["memoId"])).status_code
        path = f"memos/{memo['memoId']}/retry-transcription"
        return (await front.ask("POST", path, anna)).status_code

    statuses = await asyncio.gather(*(again() for _ in range(20)))
    assert statuses == [201 if how == "posted" else 200] * 20
    assert len(front.starter.started) == 2
    assert front.starter.started[1][3]["round"] == 2


async def test_pages_by_cursor_are_complete(front: Front, anna: User) -> None:
    made = {(await front.new_memo(anna, duration=1))["memoId"] for _ in range(5)}
    seen: list[str] = []
    query = "memos?limit=2"
    while query:
        page = (await front.ask("GET", query, anna)).json()
        seen += [memo["id"] for memo in page["memos"]]
        query = f"memos?limit=2&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    assert sorted(seen) == sorted(made)


async def test_an_event_stream_is_fed(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    stream = front.services.events.watch(memo["jobId"], anna.id, 0)
    assert (await anext(stream)).seq == 1
    await front.move(memo, JobState.RUNNING, JobState.COMPLETED)
    assert [event.seq async for event in stream] == [2, 3]


@pytest.mark.parametrize("text", ["%00", "%ff", "x" * 300])
async def test_an_id_that_cannot_be_stored_is_not_found(
    front: Front, anna: User, text: str
) -> None:
    for path in ("memos/{}", "jobs/{}", "jobs/{}/events", "memos/{}/transcript"):
        answer = await front.ask("GET", path.format(text), anna)
        assert answer.status_code == 404, path


@pytest.mark.parametrize("headers", [KEY, {}])
async def test_twenty_at_once_of_one_consumption_are_one_charge(
    front: Front, anna: User, headers: dict[str, str]
) -> None:
    body = {"operation": "EXPORT", "amount": 10, "description": "A book"}
    answers = await asyncio.gather(
        *(front.ask("POST", "credits/consume", anna, headers=headers, json=body) for _ in range(20))
    )
    served = [answer.json() for answer in answers if answer.status_code == 200]
    busy = [answer.json()["code"] for answer in answers if answer.status_code == 409]
    assert served == [{"success": True, "consumed": 10, "credits": 140}] * len(served)
    assert served
    assert busy == ["key_in_use"] * (20 - len(served))
    balance = (await front.ask("GET", "credits/balance", anna)).json()
    assert (balance["credits"], balance["totalSpent"]) == (140, 10)
