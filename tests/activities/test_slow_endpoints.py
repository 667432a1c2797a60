"""One endpoint that is slow or dead is nobody else's: told by counts and order, not by clocks."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

import pytest

from activities.webhooks import MOST_AT_ONCE, WebhookActivities
from contracts.webhooks import (
    AttemptResult,
    Deliveries,
    Delivery,
    DeliveryJob,
    MemoEventData,
    MessageState,
    Outgoing,
    WebhookEvent,
)
from store.database import Database
from store.webhook_endpoints import MOST_ENDPOINTS

SAID = MemoEventData(memo_id="m", job_id="memo-m", status="completed")
SLOW = "https://slow.example/"
HEALTHY = MOST_ENDPOINTS - 1
MANY = 2 * MOST_AT_ONCE
FOR_EVER = 3600.0


class Endpoints:
    """All answer at once, but the slow one: it holds whoever calls it until it is let go."""

    def __init__(self, held: AttemptResult) -> None:
        self._held = held
        self.let_go = asyncio.Event()
        self.called = Counter[str]()

    async def send(self, outgoing: Outgoing) -> AttemptResult:
        self.called[outgoing.url] += 1
        if outgoing.url != SLOW:
            return AttemptResult(delivered=True, status=204)
        await self.let_go.wait()
        return self._held


class Post:
    """A user with as many endpoints as an account may have, one of them slow."""

    def __init__(self, database: Database, endpoints: Endpoints, free_seconds: float = 0.0) -> None:
        self.database = database
        self.endpoints = endpoints
        self.user = str(uuid4())
        self.activities = WebhookActivities(
            database, endpoints, lambda sealed, _: sealed, free_seconds=free_seconds
        )

    async def prepare(self) -> None:
        async with self.database.write() as tx:
            await tx.webhook_endpoints.add(self.user, SLOW, "whsec_s")
            for number in range(HEALTHY):
                await tx.webhook_endpoints.add(self.user, f"https://{number}.example/", "whsec_s")

    async def event(self, subject: str) -> Deliveries:
        """One message for each endpoint, as a job has them sent."""
        async with self.database.write() as tx:
            told = await tx.webhooks.announce(
                self.user, WebhookEvent.MEMO_COMPLETED, SAID, subject=subject
            )
        assert len(told) == MOST_ENDPOINTS
        return jobs(told)

    async def delivered(self, count: int) -> None:
        """Wait until so many messages are; nothing but what is awaited can make them so."""
        found = -1
        while found < count:
            await asyncio.sleep(0.01)
            found = await self.count(MessageState.DELIVERED)
        assert found == count

    async def count(self, state: MessageState) -> int:
        async with self.database.read() as tx:
            found, _ = await tx.webhook_messages.page(self.user, state=state, limit=1000)
        return len(found)


def jobs(deliveries: Sequence[Delivery]) -> Deliveries:
    return Deliveries(jobs=tuple(DeliveryJob(delivery=delivery) for delivery in deliveries))


@pytest.mark.timeout(180)
async def test_a_slow_endpoint_delays_no_other_of_the_same_event(database: Database) -> None:
    post = Post(database, Endpoints(AttemptResult(delivered=True, status=204)))
    await post.prepare()
    trying = asyncio.create_task(post.activities.deliver_webhooks(await post.event("memo-m")))
    await post.delivered(HEALTHY)
    assert not trying.done()
    assert await post.count(MessageState.PENDING) == 1
    post.endpoints.let_go.set()
    assert await trying == Deliveries()
    await post.delivered(MOST_ENDPOINTS)


@pytest.mark.timeout(180)
async def test_many_events_at_once_are_sent_one_after_another_but_for_the_slow_endpoint(
    database: Database,
) -> None:
    answer = AttemptResult(delivered=True, status=204)
    post = Post(database, Endpoints(answer), free_seconds=FOR_EVER)
    await post.prepare()
    events = [await post.event(f"memo-{number}") for number in range(MANY)]
    trying = [asyncio.create_task(post.activities.deliver_webhooks(event)) for event in events]
    await post.delivered(HEALTHY * MANY)
    assert post.endpoints.called[SLOW] == MOST_AT_ONCE
    post.endpoints.let_go.set()
    assert await asyncio.gather(*trying) == [Deliveries()] * MANY
    assert set(post.endpoints.called.values()) == {MANY}


@pytest.mark.timeout(180)
async def test_who_finds_a_slow_endpoint_busy_comes_again_later(database: Database) -> None:
    post = Post(database, Endpoints(AttemptResult(delivered=False, code="timed_out")))
    await post.prepare()
    first = [await post.event(f"memo-{number}") for number in range(MOST_AT_ONCE)]
    trying = [asyncio.create_task(post.activities.deliver_webhooks(event)) for event in first]
    await post.delivered(HEALTHY * MOST_AT_ONCE)
    [busy] = (await post.activities.deliver_webhooks(await post.event("memo-later"))).jobs
    assert (busy.tried, busy.pause > 0) == (0, True)
    assert post.endpoints.called[SLOW] == MOST_AT_ONCE
    post.endpoints.let_go.set()
    left = [job for task in trying for job in (await task).jobs]
    assert [job.tried for job in left] == [1] * MOST_AT_ONCE


async def test_a_dead_endpoint_is_all_that_is_left_of_an_event(database: Database) -> None:
    post = Post(database, Endpoints(AttemptResult(delivered=False, code="unreachable")))
    await post.prepare()
    post.endpoints.let_go.set()
    [left] = (await post.activities.deliver_webhooks(await post.event("memo-m"))).jobs
    assert left.tried == 1
    assert await post.count(MessageState.DELIVERED) == HEALTHY
    async with database.read() as tx:
        slow = next(e for e in await tx.webhook_endpoints.list(post.user) if e.url == SLOW)
    assert left.delivery.endpoint_id == slow.id
