"""Webhooks of real memos: what is told, to whom, how often, and what that costs."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts import ids
from contracts.webhooks import (
    RETRY_SIGNAL,
    MemoEventData,
    MessageState,
    RetryNow,
    WebhookEvent,
    new_secret,
)
from store.invariants import violations
from store.migrations import upgrade
from tests.fakes.openai import FakeOpenAI
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.recordings import make
from tests.site import Site
from tests.told import memo_told_of, sealed

pytestmark = pytest.mark.e2e

ALLOWED = {"EGRESS_ALLOW": "127.0.0.1/32"}


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Site]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Site(environment.client, tmp_path, vendor)
    yield site
    await site.database.close()
    await vendor.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(new_secret())
    await receiver.start()
    yield receiver
    await receiver.aclose()


def told(receiver: WebhookReceiver) -> list[str]:
    return sorted(body["type"] for _, body in receiver.received)


async def test_a_memo_tells_that_it_is_there_transcribed_and_completed(
    site: Site, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    async with site.working(**ALLOWED):
        job = await memo_told_of(site, receiver, tmp_path)
        result = await (await site.start(job)).result()
    assert told(receiver) == ["memo.completed", "memo.created", "memo.transcribed"]
    assert len(set(receiver.ids)) == 3
    data = {body["type"]: body["data"] for _, body in receiver.received}
    assert {each["memo_id"] for each in data.values()} == {job.memo_id}
    assert data["memo.completed"]["credits"] == result.charged
    assert [data[name]["status"] for name in sorted(data)] == ["completed", "pending", "processing"]
    assert [v async for v in violations(site.database, site.files)] == []


async def test_a_failed_memo_tells_why(
    site: Site, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    site.vendor.fault(status=401, times=50)
    async with site.working(**ALLOWED):
        job = await memo_told_of(site, receiver, tmp_path)
        handle = await site.start(job)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert told(receiver) == ["memo.created", "memo.failed"]
    data = receiver.received[-1][1]["data"]
    assert (data["status"], data["error"]["code"]) == ("failed", "provider_out")


async def test_an_endpoint_that_is_away_holds_no_memo_up_and_gets_all_of_it_later(
    site: Site, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    receiver.answers = [(500, {})] * 3
    async with site.working(**ALLOWED):
        job = await memo_told_of(site, receiver, tmp_path)
        await (await site.start(job)).result()
        assert len(set(receiver.ids)) == len(receiver.ids) == 3
        async with site.database.read() as tx:
            waiting, _ = await tx.webhook_messages.page(job.user_id, limit=9)
        for message in waiting:
            handle = site.client.get_workflow_handle(ids.webhook_job(message.id))
            assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
            await handle.signal(RETRY_SIGNAL, RetryNow())
            assert await handle.result() == 2
    async with site.database.read() as tx:
        page, _ = await tx.webhook_messages.page(job.user_id, limit=9)
    assert [(each.state, each.attempts) for each in page] == [(MessageState.DELIVERED, 2)] * 3
    assert sorted(receiver.ids[:3]) == sorted(receiver.ids[3:])


async def test_who_wants_nothing_costs_nothing(site: Site, tmp_path: Path) -> None:
    async with site.working(**ALLOWED):
        job = await site.memo(make(tmp_path / "tone.wav", 5))
        handle = await site.start(job)
        await handle.result()
        events = [event async for event in handle.fetch_history_events()]
    names = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert "deliver_webhooks" not in names


async def test_a_message_whose_job_was_lost_is_sent_by_the_healing_tick(
    site: Site, receiver: WebhookReceiver
) -> None:
    user_id = str(uuid.uuid4())
    async with site.database.write() as tx:
        endpoint = await tx.webhook_endpoints.add(
            user_id, f"{receiver.wire.url}/hook", sealed(receiver, user_id)
        )
        await tx.webhooks.announce(
            user_id,
            WebhookEvent.MEMO_COMPLETED,
            MemoEventData(memo_id="m", job_id="j", status="completed"),
            subject="lost",
        )
        now = datetime.now(UTC)
        span = (now - timedelta(hours=1), now + timedelta(hours=1))
        assert await tx.webhook_messages.revive_range(user_id, endpoint.id, *span) == 1
    async with site.working(**ALLOWED):
        tick = await site.client.start_workflow(
            ids.RECONCILE, id=f"reconcile-{uuid.uuid4()}", task_queue="voicekeep"
        )
        await tick.result()
        await asyncio.wait_for(receiver.came.wait(), 60)
    assert told(receiver) == ["memo.completed"]
