"""One user, one memo, hundreds of requests at once: whatever wins, what is left is in order.

The real front, server and worker; the model and the transcriber are stand-ins over real sockets.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from store.migrations import upgrade
from store.schema import jobs, memos
from tests.api.front import Front, User, opened
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SEED: Final = 6
REQUESTS: Final[tuple[tuple[str, str, dict[str, Any] | None], ...]] = (
    ("PATCH", "memos/{memo}", {"title": "Mine"}),
    ("PATCH", "memos/{memo}", {"isPinned": True, "intro": "Once more"}),
    ("POST", "memos/{memo}/question", {"question": "Which boats?"}),
    ("POST", "memos/{memo}/memories", {"prompt": "List the boats"}),
    ("POST", "memos/{memo}/retry-transcription", None),
    ("POST", "memos/{memo}/retry-headline", None),
    ("POST", "memos/{memo}/reprocess", {}),
    ("POST", "jobs/{job}/cancel", None),
    ("GET", "memos/{memo}", None),
    ("GET", "jobs/{job}", None),
    ("DELETE", "memos/{memo}", None),
)
COMMON: Final = (12, 12, 12, 6, 6, 6, 4, 3, 6, 6, 1)
"""How often each is asked, beside the others: rarely does anybody delete."""

ALLOWED: Final = {200, 201, 202, 400, 402, 404, 409}


@dataclass(frozen=True)
class World:
    """The front, and the folder of its worker."""

    site: Site
    front: Front

    async def begun(self, user: User, recording: bytes) -> dict[str, str]:
        """A memo that is being worked on."""
        answer = await self.front.upload(user, recording)
        assert answer.status_code == 201, answer.text
        body = answer.json()
        return {"memo": body["memoId"], "job": body["jobId"]}

    async def states(self, user: User) -> dict[str, JobState]:
        """All jobs of a user."""
        own = select(jobs.c.id, jobs.c.state).where(jobs.c.user_id == user.id)
        async with self.front.database.read() as tx:
            return {row.id: JobState(row.state) for row in await tx.session.rows(own)}

    async def settled(self, user: User) -> dict[str, JobState]:
        """All jobs of a user, once they are over."""
        async with asyncio.timeout(200):
            while not all(state.final for state in (await self.states(user)).values()):
                await asyncio.sleep(0.1)
        return await self.states(user)


@pytest.fixture
async def world(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        vendor = FakeOpenAI()
        await vendor.start()
        await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
        site = Site(environment.client, tmp_path, vendor)
        stack.push_async_callback(site.close)
        await stack.enter_async_context(site.working())
        address = environment.client.service_client.config.target_host
        front = await stack.enter_async_context(
            opened(tmp_path, temporal=True, TEMPORAL_ADDRESS=address)
        )
        yield World(site, front)


@pytest.mark.parametrize(
    ("over", "many"),
    [
        (False, 200),
        pytest.param(False, 1000, marks=pytest.mark.slow),
        pytest.param(True, 1000, marks=pytest.mark.slow),
    ],
)
async def test_hundreds_of_requests_at_once_about_one_memo_leave_everything_in_order(
    world: World, tmp_path: Path, *, over: bool, many: int
) -> None:
    user, drawn = world.front.user(), random.Random(SEED)
    memo = await world.begun(user, make(tmp_path / "tone.wav", 20).read_bytes())
    if over:
        assert (await world.settled(user))[memo["job"]] is JobState.COMPLETED

    async def one(method: str, path: str, body: dict[str, Any] | None) -> tuple[str, int]:
        await asyncio.sleep(drawn.random())
        kwargs = {} if body is None else {"json": body}
        answer = await world.front.ask(method, path.format(**memo), user, **kwargs)
        return f"{method} {path}", answer.status_code

    told = await asyncio.gather(*(one(*each) for each in drawn.choices(REQUESTS, COMMON, k=many)))
    counted = Counter(told)
    assert {status for _, status in counted} <= ALLOWED, counted
    assert await world.settled(user)
    assert await world.site.broken() == []
    assert counted["DELETE memos/{memo}", 202] > 0
    assert (await world.front.ask("GET", f"memos/{memo['memo']}", user)).status_code == 404
    async with world.front.database.read() as tx:
        left = await tx.session.rows(select(memos.c.id).where(memos.c.id == memo["memo"]))
        balance = await tx.credits.balance(user.id)
    assert left == []
    assert balance.held == 0
