"""Delivery of webhooks under a virtual clock, over the real database and a real endpoint."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.webhooks import MOST_AT_ONCE, WebhookActivities
from contracts import ids
from contracts.egress import parse_rules
from contracts.webhooks import (
    SCHEDULE,
    Delivery,
    DeliveryJob,
    MemoEventData,
    MessageState,
    RetryNow,
    WebhookEvent,
    new_secret,
)
from providers.egress import Outside
from providers.webhook_sender import WebhookSender
from runtime.names import Names
from store.database import Database
from store.migrations import upgrade
from tests.fakes.webhook_receiver import WebhookReceiver
from workflows.webhooks import WebhookDeliveryWorkflow

DATA = MemoEventData(memo_id="m", job_id="memo-m", status="completed")
DAYS = timedelta(days=30)


class Post:
    """A user with one endpoint, and the worker that delivers to it."""

    def __init__(
        self,
        environment: WorkflowEnvironment,
        database: Database,
        receiver: WebhookReceiver,
        sender: WebhookSender,
    ) -> None:
        self.client = environment.client
        self.database = database
        self.receiver = receiver
        self.activities = WebhookActivities(database, sender, lambda sealed, _: sealed)
        self.user_id = str(uuid.uuid4())

    async def message(self, job: str = "memo-m") -> Delivery:
        async with self.database.write() as tx:
            if not await tx.webhook_endpoints.list(self.user_id):
                self.receiver.secret = new_secret()
                await tx.webhook_endpoints.add(
                    self.user_id, f"{self.receiver.wire.url}/hook", self.receiver.secret
                )
            (delivery,) = await tx.webhooks.announce(
                self.user_id, WebhookEvent.MEMO_COMPLETED, DATA, subject=job, job_id=job
            )
        return delivery

    @asynccontextmanager
    async def delivering(
        self, delivery: Delivery
    ) -> AsyncIterator[WorkflowHandle[WebhookDeliveryWorkflow, int]]:
        queue = f"test-{uuid.uuid4()}"
        async with Worker(
            self.client,
            task_queue=queue,
            workflows=[WebhookDeliveryWorkflow],
            activities=[self.activities.deliver_webhooks],
        ):
            yield await self.client.start_workflow(
                WebhookDeliveryWorkflow.run,
                DeliveryJob(delivery=delivery),
                id=f"{ids.webhook_job(delivery.id)}-{uuid.uuid4()}",
                task_queue=queue,
                execution_timeout=DAYS,
            )

    async def deliver(self, delivery: Delivery) -> int:
        async with self.delivering(delivery) as handle:
            return await handle.result()

    async def state(self, delivery: Delivery) -> tuple[MessageState, int]:
        async with self.database.read() as tx:
            message = await tx.webhook_messages.find(delivery)
        return message.state, message.attempts


@pytest.fixture
async def post(skipping: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Post]:
    url = f"sqlite:///{tmp_path / 'voicekeep.db'}"
    await upgrade(url)
    database, receiver, names = Database(url), WebhookReceiver(), Names()
    await receiver.start()
    outside = Outside(parse_rules(["127.0.0.1/32"]), names)
    yield Post(skipping, database, receiver, WebhookSender(outside))
    await receiver.aclose()
    names.close()
    await database.close()


async def pauses(handle: WorkflowHandle[WebhookDeliveryWorkflow, int]) -> list[float]:
    """Seconds of each timer of its history."""
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds()
        async for event in handle.fetch_history_events()
        if event.HasField("timer_started_event_attributes")
    ]


async def test_an_endpoint_that_never_answers_well_ends_in_the_dead_letters_after_75_hours(
    post: Post,
) -> None:
    delivery = await post.message()
    post.receiver.answers = [(500, {})] * 20
    async with post.delivering(delivery) as handle:
        assert await handle.result() == len(SCHEDULE)
        waited = await pauses(handle)
    assert await post.state(delivery) == (MessageState.DEAD, len(SCHEDULE))
    assert post.receiver.ids == [delivery.event_id] * len(SCHEDULE)
    assert len({str(body) for _, body in post.receiver.received}) == 1
    for pause, planned in zip(waited, SCHEDULE[1:], strict=True):
        assert 0.9 * planned <= pause <= 1.1 * planned
    assert sum(SCHEDULE) / 3600 > 75


async def test_it_is_delivered_as_soon_as_the_endpoint_is_back(post: Post) -> None:
    delivery = await post.message()
    post.receiver.answers = [(500, {}), (502, {}), (429, {})]
    assert await post.deliver(delivery) == 4
    assert await post.state(delivery) == (MessageState.DELIVERED, 4)


async def test_an_endpoint_says_when_it_wants_to_be_asked_again(post: Post) -> None:
    delivery = await post.message()
    post.receiver.answers = [(503, {"retry-after": "777"})]
    async with post.delivering(delivery) as handle:
        await handle.result()
        assert await pauses(handle) == [777]


async def test_an_endpoint_that_is_gone_is_not_asked_again_and_is_switched_off(
    post: Post,
) -> None:
    delivery = await post.message()
    post.receiver.answers = [(410, {})]
    await post.deliver(delivery)
    async with post.database.read() as tx:
        (endpoint,) = await tx.webhook_endpoints.list(post.user_id)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "gone")
    assert await post.state(delivery) == (MessageState.DEAD, 1)


async def test_what_was_delivered_before_is_not_sent_again(post: Post) -> None:
    delivery = await post.message()
    await post.deliver(delivery)
    await post.deliver(delivery)
    assert post.receiver.ids == [delivery.event_id]


async def test_a_message_to_an_endpoint_that_was_switched_off_is_a_dead_letter(
    post: Post,
) -> None:
    delivery = await post.message()
    async with post.database.write() as tx:
        await tx.webhook_endpoints.change(delivery.endpoint_id, post.user_id, enabled=False)
    await post.deliver(delivery)
    assert await post.state(delivery) == (MessageState.DEAD, 0)
    assert post.receiver.received == []


async def test_an_erased_message_ends_its_delivery(post: Post) -> None:
    delivery = await post.message()
    async with post.database.write() as tx:
        await tx.webhook_endpoints.remove(delivery.endpoint_id, post.user_id)
    await post.deliver(delivery)
    assert post.receiver.received == []


async def test_a_slow_endpoint_takes_no_more_than_its_share_of_a_worker(post: Post) -> None:
    post.receiver.wire.fault(hang=True, times=MOST_AT_ONCE)
    deliveries = [await post.message(f"memo-{n}") for n in range(MOST_AT_ONCE + 3)]
    async with Worker(
        post.client,
        task_queue="slow-endpoint",
        workflows=[WebhookDeliveryWorkflow],
        activities=[post.activities.deliver_webhooks],
    ):
        handles = [
            await post.client.start_workflow(
                WebhookDeliveryWorkflow.run,
                DeliveryJob(delivery=delivery),
                id=ids.webhook_job(delivery.id),
                task_queue="slow-endpoint",
                execution_timeout=DAYS,
            )
            for delivery in deliveries
        ]
        while len(post.receiver.wire.calls) < MOST_AT_ONCE:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert len(post.receiver.wire.calls) == MOST_AT_ONCE
        post.receiver.wire.release()
        await asyncio.gather(*(handle.result() for handle in handles))
    assert set(post.receiver.ids) == {delivery.event_id for delivery in deliveries}


async def test_a_pause_ends_when_somebody_asks_for_it(post: Post) -> None:
    delivery = await post.message()
    post.receiver.answers = [(500, {})] * 8
    async with post.delivering(delivery) as handle:
        await handle.signal(WebhookDeliveryWorkflow.retry_now, RetryNow())
        await handle.result()
        waited = await pauses(handle)
    # The signal came before a pause, and took that one's place.
    assert len(waited) == 7
