"""A worker that dies around a webhook: every event is told, under one id, twice at most."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.webhooks import MessageState, new_secret
from store.invariants import violations
from store.migrations import upgrade
from tests.e2e.mortal import Mortal
from tests.fakes.openai import FakeOpenAI
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.told import memo_told_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

EVENTS = {"memo.created", "memo.transcribed", "memo.completed"}
POINTS = [
    ("deliver_webhooks", "inside"),
    ("settle", "after"),
    pytest.param("deliver_webhooks", "before", marks=pytest.mark.slow),
    pytest.param("deliver_webhooks", "after", marks=pytest.mark.slow),
    pytest.param("settle", "inside", marks=pytest.mark.slow),
    pytest.param("end", "inside", marks=pytest.mark.slow),
    pytest.param("end", "after", marks=pytest.mark.slow),
    *(
        pytest.param(step, str(place), marks=pytest.mark.slow)
        for step, places in (("settle", 7), ("end", 5), ("deliver_webhooks", 4))
        for place in range(2, places + 1)
    ),
]


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    site.settings_of_worker["EGRESS_ALLOW"] = "127.0.0.1/32"
    yield site
    await site.close()


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(new_secret())
    await receiver.start()
    yield receiver
    await receiver.aclose()


@pytest.mark.parametrize(("step", "when"), POINTS)
async def test_every_event_is_told_under_one_id_whenever_the_worker_dies(
    site: Mortal, receiver: WebhookReceiver, tmp_path: Path, step: str, when: str
) -> None:
    job = await memo_told_of(site, receiver, tmp_path)
    async with site.worker(step, when):
        result = await asyncio.wait_for((await site.start(job)).result(), 100)
        assert site.deaths == 1
        assert result.state is JobState.COMPLETED
    async with site.database.read() as tx:
        messages, _ = await tx.webhook_messages.page(job.user_id, limit=9)
        overdue = await tx.webhooks.overdue(seconds=-60, limit=9)
    assert {message.type for message in messages} == EVENTS
    told = Counter(receiver.ids)
    assert set(told) <= {message.event_id for message in messages}
    assert max(told.values()) <= 2
    # What the answer of a step was lost with waits for `reconcile`, which goes by its due time.
    waiting = {message.id for message in messages if message.state is MessageState.PENDING}
    assert waiting == {delivery.id for delivery, _ in overdue}
    for message in messages:
        assert message.event_id in told or message.id in waiting
    assert [violation async for violation in violations(site.database, site.files)] == []
