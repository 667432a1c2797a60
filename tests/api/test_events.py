"""Server-sent events: over a real socket, from a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from sqlalchemy import event as sql_event
from sse_starlette.sse import EventSourceResponse

from api.event_feed import EventFeed
from api.routes.events import stream_of
from contracts.errors import Unavailable
from contracts.jobs import JobState, Step
from store.database import Database, Transaction
from tests.api.front import API, Front, User
from tests.api.sockets import events_of, served

RUN = JobState.RUNNING


@pytest.fixture
async def live(data_dir: Path) -> AsyncIterator[tuple[Front, httpx.AsyncClient]]:
    async with served(data_dir) as (front, address), httpx.AsyncClient(base_url=address) as client:
        yield front, client


async def read(
    client: httpx.AsyncClient, path: str, user: User, last_id: str | None = None
) -> list[dict[str, str]]:
    """Every event up to the end of the stream."""
    headers = dict(user.headers) | ({"Last-Event-ID": last_id} if last_id else {})
    async with client.stream("GET", f"{API}/{path}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        return [event async for event in events_of(response)]


async def test_a_stream_tells_what_was_and_what_comes_and_ends_after_done(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    seen: list[dict[str, str]] = []
    async with client.stream(
        "GET", f"{API}/jobs/{memo['jobId']}/events", headers=anna.headers
    ) as response:
        async for event in events_of(response):
            seen.append(event)
            match len(seen):
                case 1:
                    await front.move(memo, RUN)
                case 2:
                    async with front.database.write() as tx:
                        await tx.jobs.advance(
                            memo["jobId"], anna.id, Step.TRANSCRIBE, tier="local",
                            data={"percent": 40},
                        )  # fmt: skip
                case 3:
                    await front.move(memo, JobState.COMPLETED)
    assert [event["id"] for event in seen] == ["1", "2", "3", "4"]
    assert [event["event"] for event in seen] == ["state", "state", "progress", "done"]
    bodies = [json.loads(event["data"]) for event in seen]
    assert [body["seq"] for body in bodies] == [1, 2, 3, 4]
    assert (bodies[2]["type"], bodies[2]["tier"], bodies[2]["percent"]) == ("progress", "local", 40)
    assert (bodies[3]["state"], bodies[3]["previous"]) == ("completed", "running")
    assert all(body["at"] for body in bodies)


async def test_a_client_that_comes_again_gets_only_what_it_has_not_seen(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, JobState.COMPLETED)
    path = f"memos/{memo['memoId']}/events"
    assert [event["id"] for event in await read(client, path, anna)] == ["1", "2", "3"]
    assert [event["id"] for event in await read(client, path, anna, "2")] == ["3"]
    assert [event["id"] for event in await read(client, path, anna, "nonsense")] == ["1", "2", "3"]


async def test_a_client_that_has_seen_the_end_is_told_not_to_come_again(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, JobState.COMPLETED)
    for seen in ("3", "999"):
        headers = {**anna.headers, "Last-Event-ID": seen}
        answer = await client.get(f"{API}/jobs/{memo['jobId']}/events", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")


async def test_a_second_round_is_told_after_the_end_of_the_first(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, JobState.FAILED)
    await front.new_memo(anna, memoId=memo["memoId"])
    await front.move(memo, RUN, JobState.COMPLETED)
    events = await read(client, f"jobs/{memo['jobId']}/events", anna)
    assert [event["event"] for event in events] == [
        "state", "state", "done", "state", "state", "done",
    ]  # fmt: skip


async def test_a_comment_is_sent_every_fifteen_seconds(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, _ = live
    anna = front.user()
    memo = await front.new_memo(anna)
    async with front.database.read() as tx:
        job = await tx.jobs.find(memo["jobId"], anna.id)
    assert job is not None
    stream = stream_of(Request({"type": "http", "headers": []}), front.services, job, None)
    assert isinstance(stream, EventSourceResponse)
    assert stream.ping_interval == 15


async def test_members_of_a_space_may_follow_a_shared_memo(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, client = live
    anna, ben = front.user(), front.user()
    memo = await front.new_memo(anna)
    await front.share(memo, ben)
    await front.move(memo, RUN, JobState.COMPLETED)
    events = await read(client, f"memos/{memo['memoId']}/events", ben)
    assert len(events) == 3


async def test_a_hundred_watchers_cost_no_more_statements_than_one(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, _ = live
    users = [front.user() for _ in range(100)]
    memos = [await front.new_memo(user) for user in users]
    async with EventFeed(front.database, front.services.measures, tick=0.02) as feed:
        streams = [
            asyncio.create_task(collect(feed, memo["jobId"], user.id))
            for user, memo in zip(users, memos, strict=True)
        ]
        while not all(watcher.seen for watcher in feed._watchers) or len(feed._watchers) < 100:
            await asyncio.sleep(0.01)
        statements = count_statements(front)
        await asyncio.sleep(0.3)
        ticks = len(statements) / 0.3 * 0.02
        assert statements, "the poller stands still"
        assert ticks < 3, f"{len(statements)} statements in 15 ticks"
        for memo in memos:
            await front.move(memo, RUN, JobState.COMPLETED)
        assert await asyncio.gather(*streams) == [[1, 2, 3]] * 100
        assert not feed._watchers


async def collect(feed: EventFeed, job_id: str, user_id: str) -> list[int]:
    return [event.seq async for event in feed.watch(job_id, user_id, 0)]


def count_statements(front: Front) -> list[str]:
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    for engine in front.database.engines:
        sql_event.listen(engine, "before_cursor_execute", note)
    return found


async def test_nobody_watching_asks_nothing_of_the_database(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, _ = live
    statements = count_statements(front)
    await asyncio.sleep(0.6)
    assert statements == []


class Flaky(Database):
    """A database that can be away."""

    away = False
    asked = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        self.asked += 1
        if self.away:
            raise Unavailable("The database does not answer now")
        async with super().read() as tx:
            yield tx


async def test_a_stream_outlives_a_database_that_goes_away(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, _ = live
    anna = front.user()
    memo = await front.new_memo(anna)
    database = Flaky(front.settings.database_url)
    async with EventFeed(database, front.services.measures, tick=0.02, away=0.02) as feed:
        stream = feed.watch(memo["jobId"], anna.id, 0)
        assert (await anext(stream)).seq == 1
        database.away = True
        await front.move(memo, RUN, JobState.COMPLETED)
        asked = database.asked
        while database.asked < asked + 5:
            await asyncio.sleep(0.01)
        database.away = False
        assert [event.seq async for event in stream] == [2, 3]
    await database.close()


async def test_a_watcher_of_a_job_that_is_taken_back_is_let_go(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, _ = live
    anna = front.user()
    memo = await front.new_memo(anna)
    async with EventFeed(front.database, front.services.measures, tick=0.02) as feed:
        stream = feed.watch(memo["jobId"], anna.id, 0)
        await anext(stream)
        async with front.database.write() as tx:
            assert await tx.jobs.withdraw(memo["jobId"], anna.id)
        assert [event async for event in stream] == []


async def test_a_watcher_that_hangs_up_is_forgotten(
    live: tuple[Front, httpx.AsyncClient],
) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    path = f"{API}/jobs/{memo['jobId']}/events"
    async with client.stream("GET", path, headers=anna.headers) as response:
        async for _ in events_of(response):
            assert len(front.services.events._watchers) == 1
            break
    while front.services.events._watchers:
        await asyncio.sleep(0.01)
