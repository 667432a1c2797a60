"""One stream of all jobs of a user: over a real socket, from a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import Request
from sse_starlette.sse import EventSourceResponse

from api import user_feed
from api.admission import User as Caller
from api.routes.user_events import user_events
from api.user_feed import MOST_BEHIND, STREAMS, Place, UserFeed, place
from contracts.errors import TooManyRequests
from contracts.jobs import JobState, UserEvent
from store.user_events import Newest
from tests.api.front import API, Front, User
from tests.api.sockets import events_of, served
from tests.statements import asked_of

RUN, DONE = JobState.RUNNING, JobState.COMPLETED
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Live = tuple[Front, httpx.AsyncClient]


@pytest.fixture
async def live(data_dir: Path) -> AsyncIterator[Live]:
    async with (
        served(data_dir, EVENT_STREAM_SECONDS=60) as (front, address),
        httpx.AsyncClient(base_url=address) as client,
    ):
        yield front, client


async def read(
    client: httpx.AsyncClient, user: User, number: int, last_id: str | None = None
) -> list[dict[str, str]]:
    """So many events; then the client hangs up."""
    headers = dict(user.headers) | ({"Last-Event-ID": last_id} if last_id is not None else {})
    async with client.stream("GET", f"{API}/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        found: list[dict[str, str]] = []
        async with aclosing(events_of(response)) as events:
            async for event in events:
                found.append(event)
                if len(found) == number:
                    break
        return found


async def test_a_stream_tells_of_every_job_of_the_user_and_of_nobody_elses(live: Live) -> None:
    front, client = live
    anna, ben = front.user(), front.user()
    first = await front.new_memo(anna)
    await front.new_memo(ben)
    reading = asyncio.create_task(read(client, anna, 5))
    while not front.services.user_events._watchers:
        await asyncio.sleep(0.01)
    second = await front.new_memo(anna)
    await front.move(first, RUN, DONE)
    await front.move(second, RUN)
    events = await reading
    bodies = [json.loads(event["data"]) for event in events]
    assert [(body["jobId"], body["seq"], body["type"]) for body in bodies] == [
        (first["jobId"], 1, "state"),
        (second["jobId"], 1, "state"),
        (first["jobId"], 2, "state"),
        (first["jobId"], 3, "done"),
        (second["jobId"], 2, "state"),
    ]
    assert [event["event"] for event in events] == [body["type"] for body in bodies]
    assert {(body["kind"], body["subjectId"]) for body in bodies} == {
        ("memo", first["memoId"]), ("memo", second["memoId"]),
    }  # fmt: skip
    assert (bodies[3]["state"], bodies[3]["previous"]) == ("completed", "running")
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(set(ids))


async def test_a_client_that_comes_again_goes_on_where_it_was(live: Live) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, DONE)
    whole = await read(client, anna, 3)
    for seen in range(3):
        last = whole[seen - 1]["id"] if seen else "0"
        assert await read(client, anna, 3 - seen, last) == whole[seen:]


@pytest.mark.parametrize("last_id", ["nonsense", "-1", "1.5", "\uff19", "9" * 40, "999999"])
async def test_an_id_that_is_none_of_ours_resets(live: Live, last_id: str) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    headers = httpx.Headers(dict(anna.headers))
    headers["Last-Event-ID"] = last_id
    async with client.stream("GET", f"{API}/events", headers=headers) as response:
        events = events_of(response)
        reset = await anext(events)
        await front.move(memo, RUN)
        following = await anext(events)
        await events.aclose()
    assert reset["event"] == "reset"
    assert json.loads(reset["data"]) == {"type": "reset", "reason": "unknown"}
    assert json.loads(following["data"])["seq"] == 2
    assert int(following["id"]) > int(reset["id"])


def newest(number: int, at: datetime = NOW) -> list[Newest]:
    return [Newest(2 * (number - step), at - timedelta(seconds=step)) for step in range(number)]


@pytest.mark.parametrize(
    ("last_id", "events", "begin"),
    [
        (None, [], Place(0)),
        ("", newest(3), Place(1)),
        (None, newest(400), Place(2 * 100 - 1)),
        (None, newest(3, NOW - timedelta(days=1)), Place(6)),
        ("4", newest(3), Place(4)),
        ("0", newest(MOST_BEHIND), Place(0)),
        ("0", newest(MOST_BEHIND + 1), Place(2 * MOST_BEHIND + 2, "too_old")),
        ("2", newest(MOST_BEHIND + 1), Place(2)),
        ("9000", newest(3), Place(6, "unknown")),
    ],
)
def test_a_stream_begins_after_what_was_seen_or_says_that_too_much_was_missed(
    last_id: str | None, events: list[Newest], begin: Place
) -> None:
    assert place(last_id, events, 5000, NOW) == begin


async def test_a_comment_is_sent_every_fifteen_seconds(live: Live) -> None:
    front, _ = live
    stream = await user_events(
        Request({"type": "http", "headers": []}), Caller(id=front.user().id), front.services
    )
    assert isinstance(stream, EventSourceResponse)
    assert stream.ping_interval == 15


async def test_a_user_has_so_many_streams_and_others_have_theirs(live: Live) -> None:
    front, client = live
    anna, ben = front.user(), front.user()
    await front.new_memo(anna)
    feed = front.services.user_events
    streams = [feed.watch(anna.id, 0) for _ in range(STREAMS)]
    for stream in streams:
        await anext(stream)
    refused = await client.get(f"{API}/events", headers=anna.headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    assert int(refused.headers["Retry-After"]) > 0
    with pytest.raises(TooManyRequests):
        await anext(feed.watch(anna.id, 0))
    await feed.begin(ben.id, None)
    await streams.pop().aclose()
    await feed.begin(anna.id, None)
    for stream in streams:
        await stream.aclose()
    assert feed._watchers == {}


async def test_a_thousand_watchers_cost_one_look_and_get_everything(live: Live) -> None:
    front, _ = live
    users = [front.user() for _ in range(1000)]
    told = users[:20]
    async with UserFeed(front.database, front.services.measures, 60, tick=0.02) as feed:
        streams = [asyncio.create_task(collect(feed, user.id, 2)) for user in told]
        idle = [asyncio.create_task(collect(feed, user.id, 1)) for user in users[20:]]
        while len(feed._watchers) < len(users):
            await asyncio.sleep(0.01)
        with asked_of(front.database) as asked:
            while not asked.transactions:
                await asyncio.sleep(0.01)
        assert len(asked.statements) == asked.transactions
        for user in told:
            await front.move(await front.new_memo(user), RUN)
        assert [[event.seq for event in events] for events in await asyncio.gather(*streams)] == [
            [1, 2]
        ] * len(told)
        assert not any(task.done() for task in idle)
    assert await asyncio.gather(*idle) == [[]] * len(idle)


async def collect(feed: UserFeed, user_id: str, number: int) -> list[UserEvent]:
    found: list[UserEvent] = []
    async with aclosing(feed.watch(user_id, 0)) as events:
        async for event in events:
            found.append(event)
            if len(found) == number:
                break
    return found


async def test_a_watcher_that_does_not_keep_up_loses_nothing(live: Live) -> None:
    front, _ = live
    anna = front.user()
    memo = await front.new_memo(anna)
    await front.move(memo, RUN)
    watched = user_feed._Watcher(anna.id, 0)
    for number in range(user_feed.QUEUE + 50):
        watched.give(an_event(anna.id, number + 1))
    assert not watched.keeps_up
    assert watched.seen == watched.queue.qsize() == user_feed.QUEUE
    watched.queue.get_nowait()
    watched.give(an_event(anna.id, user_feed.QUEUE))
    watched.give(an_event(anna.id, user_feed.QUEUE + 1))
    assert watched.seen == user_feed.QUEUE + 1


def an_event(user_id: str, number: int) -> UserEvent:
    fields: dict[str, Any] = {"type": "state", "at": NOW.isoformat(), "data": {}}
    return UserEvent(
        id=number, user_id=user_id, job_id="j", kind="memo", subject_id="s", seq=number, **fields
    )


async def test_a_stream_ends_when_its_time_is_over_and_nobody_watching_asks_nothing(
    live: Live,
) -> None:
    front, _ = live
    async with UserFeed(front.database, front.services.measures, 0.05, tick=0.01) as feed:
        assert [event async for event in feed.watch(str(uuid4()), 0)] == []
        await asyncio.sleep(0.05)
        with asked_of(front.database) as asked:
            await asyncio.sleep(0.1)
        assert asked.statements == []
