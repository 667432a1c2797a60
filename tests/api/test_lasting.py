"""Event streams end when their reader may not read any more, and not before."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from api.lasting import refused
from contracts.errors import Unauthenticated, Unavailable
from contracts.jobs import JobState
from tests.api.front import API, Front
from tests.api.sockets import events_of, served
from tests.api.test_api_keys import by_header, drawn

Live = tuple[Front, httpx.AsyncClient]
BOUND = 60
"""Seconds; what never ends is seen by it."""


@pytest.fixture
async def live(data_dir: Path) -> AsyncIterator[Live]:
    async with (
        served(data_dir, STREAM_CHECK_SECONDS=0.1, EVENT_STREAM_SECONDS=3600) as (front, address),
        httpx.AsyncClient(base_url=address, timeout=BOUND) as client,
    ):
        yield front, client


class Reading:
    """A stream that is read to its end in the background."""

    def __init__(self, client: httpx.AsyncClient, path: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._path = path
        self._headers = headers
        self.first = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def begun(self) -> "Reading":
        """Once something came."""
        await asyncio.wait_for(self.first.wait(), BOUND)
        return self

    async def ended(self) -> None:
        """It came to its regular end."""
        await asyncio.wait_for(self.task, BOUND)

    async def _read(self) -> None:
        where = f"{API}/{self._path}"
        async with self._client.stream("GET", where, headers=dict(self._headers)) as response:
            assert response.status_code == 200
            async for _ in events_of(response):
                self.first.set()


async def test_streams_end_soon_after_their_key_was_revoked(live: Live) -> None:
    front, client = live
    anna = front.user()
    memo = await front.new_memo(anna)
    key, other = await drawn(front, anna), await drawn(front, anna)
    paths = ("events", f"jobs/{memo['jobId']}/events", f"memos/{memo['memoId']}/events")
    ending = [await Reading(client, path, by_header(key["key"])).begun() for path in paths]
    staying = await Reading(client, "events", by_header(other["key"])).begun()
    await front.ask("DELETE", f"api-keys/{key['apiKey']['id']}", anna)
    for reading in ending:
        await reading.ended()
    assert not staying.task.done()
    await front.ask("DELETE", f"api-keys/{other['apiKey']['id']}", anna)
    await staying.ended()


async def test_a_stream_ends_when_its_token_does(live: Live) -> None:
    front, client = live
    anna = front.user(expires_in=6)
    await front.new_memo(anna)
    await (await Reading(client, "events", anna.headers).begun()).ended()
    assert (await front.ask("GET", "memos", anna)).status_code == 401


async def test_who_leaves_a_space_follows_its_memos_no_longer(live: Live) -> None:
    front, client = live
    anna, ben = front.user(), front.user()
    memo = await front.new_memo(anna)
    space_id = await front.share(memo, ben)
    path = f"memos/{memo['memoId']}/events"
    owners = await Reading(client, path, anna.headers).begun()
    members = await Reading(client, path, ben.headers).begun()
    async with front.database.write() as tx:
        await tx.spaces.leave(space_id, ben.id)
    await members.ended()
    assert not owners.task.done()
    await front.move(memo, JobState.RUNNING, JobState.COMPLETED)
    await owners.ended()


async def test_what_cannot_be_asked_throws_nobody_out() -> None:
    answers: list[Exception | None] = [None, Unavailable("away"), Unavailable("away")]

    async def check() -> None:
        if not answers:
            raise Unauthenticated("no more")
        if (answer := answers.pop()) is not None:
            raise answer

    await asyncio.wait_for(refused(check, 0), BOUND)
    assert not answers
