"""Messages of webhooks: one for each event and endpoint, whoever tells it how often."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.errors import Conflict, NotFound
from contracts.invariants import Invariant
from contracts.webhooks import (
    AttemptResult,
    Delivery,
    MemoEventData,
    MessageState,
    WebhookEvent,
    delivery_of,
    new_secret,
)
from store.database import Database
from store.invariants import violations
from store.webhook_endpoints import MOST_ENDPOINTS

Opened = Callable[..., Database]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "https://example.com/hook"
COMPLETED = WebhookEvent.MEMO_COMPLETED
DATA = MemoEventData(memo_id="m", job_id="memo-m", status="completed", seconds=61.5, credits=3)
OK = AttemptResult(delivered=True, status=200, seconds=0.1)
BAD = AttemptResult(delivered=False, status=500, code="refused", seconds=0.1)


async def endpoint(
    database: Database, user: str, *events: WebhookEvent, enabled: bool = True
) -> str:
    async with database.write() as tx:
        added = await tx.webhook_endpoints.add(
            user, URL, new_secret(), events=events, enabled=enabled
        )
    return added.id


async def announced(
    database: Database, user: str, job: str = "memo-m", event: WebhookEvent = COMPLETED
) -> tuple[Delivery, ...]:
    async with database.write() as tx:
        return await tx.webhooks.announce(user, event, DATA, subject=job, job_id=job)


async def test_an_event_goes_once_to_each_endpoint_that_wants_it(
    database: Database, user: str
) -> None:
    every = await endpoint(database, user)
    wanting = await endpoint(database, user, COMPLETED, WebhookEvent.MEMO_FAILED)
    await endpoint(database, user, WebhookEvent.MEMO_FAILED)
    await endpoint(database, user, enabled=False)
    await endpoint(database, str(uuid4()))
    first, second = await announced(database, user), await announced(database, user)
    assert {each.endpoint_id for each in first} == {every, wanting}
    assert len({each.event_id for each in first}) == 1
    assert second == ()


async def test_an_event_told_at_once_by_many_is_one_message(database: Database, user: str) -> None:
    await endpoint(database, user)
    told = await asyncio.gather(*(announced(database, user) for _ in range(10)))
    assert sum(map(len, told)) == 1


async def test_another_round_of_a_job_is_another_event(database: Database, user: str) -> None:
    await endpoint(database, user)
    async with database.write() as tx:
        first = await tx.webhooks.announce(user, COMPLETED, DATA, subject="memo-m")
        again = await tx.webhooks.announce(user, COMPLETED, DATA, subject="memo-m", attempt_round=2)
    assert first[0].event_id != again[0].event_id


async def test_the_body_is_what_the_standard_says_and_stays_the_same(
    database: Database, user: str
) -> None:
    await endpoint(database, user)
    (delivery,) = await announced(database, user)
    async with database.write() as tx:
        outgoing = await tx.webhooks.outgoing(delivery)
        await tx.webhooks.record(delivery, BAD, pause=5)
        again = await tx.webhooks.outgoing(delivery)
    assert outgoing is not None
    assert again is not None
    assert again.body == outgoing.body
    assert (outgoing.url, outgoing.tried, again.tried) == (URL, 0, 1)
    body = json.loads(outgoing.body)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "memo.completed"
    assert body["data"]["credits"] == 3
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None


async def test_a_delivered_message_is_not_sent_again(database: Database, user: str) -> None:
    await endpoint(database, user)
    (delivery,) = await announced(database, user)
    async with database.write() as tx:
        await tx.webhooks.record(delivery, OK, pause=None)
        assert await tx.webhooks.outgoing(delivery) is None
        message = await tx.webhook_messages.find(delivery)
        attempts = await tx.webhook_messages.attempts(delivery)
    assert (message.state, message.attempts) == (MessageState.DELIVERED, 1)
    assert message.delivered_at is not None
    assert [(each.number, each.status) for each in attempts] == [(1, 200)]
    assert delivery_of(message.id) == (delivery.event_id, delivery.endpoint_id)


async def test_the_last_failed_attempt_makes_a_dead_letter_that_can_be_revived(
    database: Database, user: str
) -> None:
    await endpoint(database, user)
    (delivery,) = await announced(database, user)
    async with database.write() as tx:
        await tx.webhooks.record(delivery, BAD, pause=None)
        assert await tx.webhooks.outgoing(delivery) is None
        dead, _ = await tx.webhook_messages.page(user, state=MessageState.DEAD, limit=10)
        await tx.webhooks.revive(delivery)
        outgoing = await tx.webhooks.outgoing(delivery)
    assert [each.id for each in dead] == [delivery.id]
    assert outgoing is not None
    assert outgoing.tried == 0
    with pytest.raises(NotFound):
        async with database.write() as tx:
            await tx.webhooks.revive(delivery.model_copy(update={"user_id": str(uuid4())}))


async def test_an_endpoint_that_is_gone_is_switched_off_with_its_reason(
    database: Database, user: str
) -> None:
    added = await endpoint(database, user)
    (delivery,) = await announced(database, user)
    gone = AttemptResult(delivered=False, status=410, code="gone", gone=True)
    async with database.write() as tx:
        await tx.webhooks.record(delivery, gone, pause=5)
        found = await tx.webhook_endpoints.find(added, user)
        dead, _ = await tx.webhook_messages.page(user, state=MessageState.DEAD, limit=10)
    assert (found.enabled, found.disabled_reason) == (False, "gone")
    assert len(dead) == 1
    assert await announced(database, user, "memo-n") == ()
    async with database.write() as tx:
        back = await tx.webhook_endpoints.change(added, user, enabled=True)
    assert (back.enabled, back.disabled_reason) == (True, None)


async def test_the_address_of_a_job_gets_its_own_events_alone(
    database: Database, user: str
) -> None:
    async with database.write() as tx:
        for address in (URL, f"{URL}/again"):
            await tx.webhook_endpoints.add_for_job(user, "memo-m", address, secret=None)
        listed = await tx.webhook_endpoints.list(user)
        secret = await tx.webhook_endpoints.account_secret(user, new_secret())
        assert await tx.webhook_endpoints.account_secret(user, new_secret()) == secret
    assert listed == []
    assert await announced(database, user, "memo-n") == ()
    (delivery,) = await announced(database, user)
    async with database.write() as tx:
        outgoing = await tx.webhooks.outgoing(delivery)
        assert outgoing is not None
        assert (outgoing.url, outgoing.secrets) == (f"{URL}/again", (secret,))
        assert await tx.webhooks.forget("memo-m", user) == 1
    assert await announced(database, user) == ()


async def test_two_secrets_sign_for_a_day_after_a_rotation(opened: Opened, user: str) -> None:
    now = NOON
    database = opened(clock=lambda: now)
    async with database.write() as tx:
        first, second = new_secret(), new_secret()
        added = await tx.webhook_endpoints.add(user, URL, first)
        await tx.webhook_endpoints.rotate(added.id, user, second)
    (delivery,) = await announced(database, user)
    for at, expected in ((23, (second, first)), (25, (second,))):
        now = NOON + timedelta(hours=at)
        async with database.read() as tx:
            outgoing = await tx.webhooks.outgoing(delivery)
        assert outgoing is not None
        assert outgoing.secrets == expected


async def test_a_late_message_is_found_whoever_forgot_it(opened: Opened, user: str) -> None:
    now = NOON
    database = opened(clock=lambda: now)
    await endpoint(database, user)
    (delivery,) = await announced(database, user)
    (later,) = await announced(database, user, "memo-n")
    async with database.write() as tx:
        await tx.webhooks.record(later, BAD, pause=3600)
    now = NOON + timedelta(minutes=10)
    async with database.read() as tx:
        assert await tx.webhooks.overdue(seconds=300, limit=10) == ((delivery, 0),)
        pending, _ = await tx.webhook_messages.page(user, state=MessageState.PENDING, limit=9)
    assert len(pending) == 2
    now = NOON + timedelta(minutes=70)
    async with database.read() as tx:
        assert await tx.webhooks.overdue(seconds=300, limit=10) == ((delivery, 0), (later, 1))


async def test_a_message_that_nobody_delivers_breaks_a_promise(opened: Opened, user: str) -> None:
    now = NOON
    database = opened(clock=lambda: now)
    await endpoint(database, user)
    lost, dead = await announced(database, user), await announced(database, user, "memo-n")
    async with database.write() as tx:
        await tx.webhooks.record(dead[0], BAD, pause=None)
    assert [violation async for violation in violations(database)] == []
    now = NOON + timedelta(hours=3)
    (broken,) = [violation async for violation in violations(database)]
    assert (broken.invariant, broken.subject) == (Invariant.TOLD, lost[0].id)


async def test_pages_of_messages_hold_each_once(opened: Opened, user: str) -> None:
    now = NOON
    database = opened(clock=lambda: now)
    chosen = await endpoint(database, user)
    await endpoint(database, user)
    for number in range(5):
        now = NOON + timedelta(seconds=number // 2)
        await announced(database, user, f"memo-{number}")
    seen: list[str] = []
    after = None
    while True:
        async with database.read() as tx:
            page, after = await tx.webhook_messages.page(user, after=after, limit=3)
        seen += [message.id for message in page]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 10
    async with database.read() as tx:
        one, _ = await tx.webhook_messages.page(user, endpoint_id=chosen, limit=50)
        foreign, _ = await tx.webhook_messages.page(str(uuid4()), limit=50)
    assert (len(one), len(foreign)) == (5, 0)


async def test_a_foreign_endpoint_is_as_absent_as_none(database: Database, user: str) -> None:
    added, other = await endpoint(database, user), str(uuid4())
    async with database.write() as tx:
        for owner, key in ((other, added), (user, str(uuid4()))):
            with pytest.raises(NotFound):
                await tx.webhook_endpoints.find(key, owner)
            with pytest.raises(NotFound):
                await tx.webhook_endpoints.change(key, owner, enabled=False)
            with pytest.raises(NotFound):
                await tx.webhook_endpoints.rotate(key, owner, new_secret())
            with pytest.raises(NotFound):
                await tx.webhook_endpoints.remove(key, owner)


async def test_removing_an_endpoint_takes_its_messages_along(database: Database, user: str) -> None:
    added = await endpoint(database, user)
    (delivery,) = await announced(database, user)
    async with database.write() as tx:
        await tx.webhooks.record(delivery, BAD, pause=5)
        await tx.webhook_endpoints.remove(added, user)
        assert await tx.webhooks.outgoing(delivery) is None
        with pytest.raises(NotFound):
            await tx.webhooks.record(delivery, BAD, pause=5)


async def test_an_account_has_so_many_endpoints_and_no_more(database: Database, user: str) -> None:
    for _ in range(MOST_ENDPOINTS):
        await endpoint(database, user)
    with pytest.raises(Conflict) as refusal:
        await endpoint(database, user)
    assert refusal.value.code == "too_many_endpoints"
