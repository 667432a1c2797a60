"""Webhook endpoints and messages over HTTP."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.ids import WEBHOOK_DELIVERY, webhook_job
from contracts.webhooks import (
    AttemptResult,
    Delivery,
    MemoEventData,
    WebhookEvent,
    check_secret,
)
from tests.api.front import Front, User

URL = "https://1.1.1.1/hook"
DATA = MemoEventData(memo_id="m", job_id="memo-m", status="completed")


async def added(front: Front, user: User, **fields: object) -> dict[str, str]:
    answer = await front.ask("POST", "webhook-endpoints", user, json={"url": URL} | fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, str] = answer.json()["endpoint"] | {"secret": answer.json()["secret"]}
    return body


async def message(front: Front, user: User, subject: str = "memo-m") -> Delivery:
    async with front.database.write() as tx:
        (delivery,) = await tx.webhooks.announce(
            user.id, WebhookEvent.MEMO_COMPLETED, DATA, subject=subject, job_id=subject
        )
    return delivery


async def test_an_endpoint_is_made_read_changed_and_removed(front: Front, anna: User) -> None:
    made = await added(front, anna, events=["memo.completed"], description="ours")
    assert check_secret(made["secret"])
    path = f"webhook-endpoints/{made['id']}"
    one = (await front.ask("GET", path, anna)).json()["endpoint"]
    assert (one["url"], one["events"], one["description"]) == (URL, ["memo.completed"], "ours")
    assert "secret" not in one
    changed = await front.ask("PATCH", path, anna, json={"enabled": False, "events": []})
    assert changed.json()["endpoint"]["enabled"] is False
    assert changed.json()["endpoint"]["events"] == []
    listed = (await front.ask("GET", "webhook-endpoints", anna)).json()["endpoints"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert (await front.ask("DELETE", path, anna)).json()["endpointId"] == made["id"]
    assert (await front.ask("GET", path, anna)).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/plain",
        "https://127.0.0.1/inside",
        "https://[::1]/inside",
        "https://2130706433/inside",
        "https://user:pass@1.1.1.1/",
        "ftp://1.1.1.1/",
        "https://localhost/inside",
        "https://169.254.169.254/latest",
    ],
)
async def test_an_address_that_cannot_be_allowed_is_refused_at_once(
    front: Front, anna: User, url: str
) -> None:
    made = await added(front, anna)
    for method, path in (
        ("POST", "webhook-endpoints"),
        ("PATCH", f"webhook-endpoints/{made['id']}"),
    ):
        answer = await front.ask(method, path, anna, json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (400, "url_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": None},
        {"url": ""},
        {"url": "x" * 3000},
        {"url": URL, "events": ["memo.exploded"]},
        {"url": URL, "events": "memo.completed"},
        {"url": URL, "enabled": "yes"},
        {"url": URL, "description": "d" * 501},
    ],
)
async def test_what_is_no_endpoint_is_refused(
    front: Front, anna: User, body: dict[str, object]
) -> None:
    answer = await front.ask("POST", "webhook-endpoints", anna, json=body)
    assert (answer.status_code, answer.json()["success"]) == (400, False)


async def test_the_same_key_gives_the_same_endpoint_and_secret(front: Front, anna: User) -> None:
    headers = {"Idempotency-Key": "one"}
    first, second = [
        await front.ask("POST", "webhook-endpoints", anna, json={"url": URL}, headers=headers)
        for _ in range(2)
    ]
    assert first.json() == second.json()
    other = await front.ask(
        "POST", "webhook-endpoints", anna, json={"url": f"{URL}2"}, headers=headers
    )
    assert other.status_code == 422
    assert len((await front.ask("GET", "webhook-endpoints", anna)).json()["endpoints"]) == 1


async def test_a_secret_is_drawn_anew_and_the_account_has_one_of_its_own(
    front: Front, anna: User
) -> None:
    made = await added(front, anna)
    rotated = await front.ask("POST", f"webhook-endpoints/{made['id']}/rotate-secret", anna)
    assert check_secret(rotated.json()["secret"]) != made["secret"]
    own = (await front.ask("GET", "webhook-secret", anna)).json()["secret"]
    assert (await front.ask("GET", "webhook-secret", anna)).json()["secret"] == own
    fresh = (await front.ask("POST", "webhook-secret/rotate", anna)).json()["secret"]
    assert fresh != own
    assert (await front.ask("GET", "webhook-secret", anna)).json()["secret"] == fresh


async def test_a_test_event_is_sent_even_where_events_are_off(front: Front, anna: User) -> None:
    made = await added(front, anna, enabled=False, events=["memo.failed"])
    answer = await front.ask("POST", f"webhook-endpoints/{made['id']}/test", anna)
    assert answer.status_code == 202
    id_ = answer.json()["messageId"]
    kind, job_id, user_id, request = front.starter.started[-1]
    assert (kind, job_id, user_id) == (WEBHOOK_DELIVERY, webhook_job(id_), anna.id)
    assert request["delivery"]["endpoint_id"] == made["id"]
    shown = (await front.ask("GET", f"webhook-messages/{id_}", anna)).json()
    assert shown["message"]["type"] == "webhook.test"
    assert shown["message"]["status"] == "pending"
    assert shown["attempts"] == []


async def test_messages_tell_what_came_of_them(front: Front, anna: User) -> None:
    made = await added(front, anna)
    delivery = await message(front, anna)
    failed = AttemptResult(delivered=False, status=500, code="refused", seconds=0.25)
    async with front.database.write() as tx:
        await tx.webhooks.record(delivery, failed, pause=None)
    listed = (await front.ask("GET", "webhook-messages?status=dead", anna)).json()
    (one,) = listed["messages"]
    assert (one["id"], one["endpointId"], one["attempts"]) == (delivery.id, made["id"], 1)
    assert one["body"]["data"] == {"memo_id": "m", "job_id": "memo-m", "status": "completed"}
    shown = (await front.ask("GET", f"webhook-messages/{delivery.id}", anna)).json()
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["status"], attempt["code"]) == (1, 500, "refused")
    none = await front.ask("GET", f"webhook-messages?endpointId={uuid4()}", anna)
    assert none.json()["messages"] == []


async def test_messages_are_paged(front: Front, anna: User) -> None:
    await added(front, anna)
    for number in range(5):
        await message(front, anna, f"memo-{number}")
    seen, query = [], "webhook-messages?limit=2"
    while query:
        page = (await front.ask("GET", query, anna)).json()
        seen += [each["id"] for each in page["messages"]]
        after = page["nextCursor"]
        query = f"webhook-messages?limit=2&cursor={after}" if after else ""
    assert len(seen) == len(set(seen)) == 5
    assert (await front.ask("GET", "webhook-messages?cursor=x", anna)).status_code == 400


async def test_a_dead_letter_is_sent_again_when_asked_for(front: Front, anna: User) -> None:
    await added(front, anna)
    delivery = await message(front, anna)
    async with front.database.write() as tx:
        await tx.webhooks.record(delivery, AttemptResult(delivered=False, code="x"), pause=None)
    answer = await front.ask("POST", f"webhook-messages/{delivery.id}/replay", anna)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert front.starter.started[-1][1] == webhook_job(delivery.id)
    again = await front.ask("POST", f"webhook-messages/{delivery.id}/replay", anna)
    assert again.status_code == 202
    assert front.starter.signals[-1][:2] == (webhook_job(delivery.id), "retry_now")


async def test_a_time_of_messages_is_sent_again(front: Front, anna: User) -> None:
    made = await added(front, anna)
    for number in range(3):
        delivery = await message(front, anna, f"memo-{number}")
        async with front.database.write() as tx:
            await tx.webhooks.record(delivery, AttemptResult(delivered=True), pause=None)
    now = datetime.now(UTC)
    body = {
        "endpointId": made["id"],
        "from": (now - timedelta(hours=1)).isoformat(),
        "to": (now + timedelta(hours=1)).isoformat(),
    }
    answer = await front.ask("POST", "webhook-messages/replay", anna, json=body)
    assert (answer.status_code, answer.json()["messages"]) == (202, 3)
    async with front.database.read() as tx:
        assert len(await tx.webhooks.overdue(seconds=60, limit=10)) == 3
    body["endpointId"] = str(uuid4())
    absent = await front.ask("POST", "webhook-messages/replay", anna, json=body)
    assert absent.status_code == 404


async def test_another_users_webhooks_are_as_absent_as_none(
    front: Front, anna: User, ben: User
) -> None:
    made = await added(front, anna)
    delivery = await message(front, anna)
    for endpoint, event in ((made["id"], delivery.id), (str(uuid4()), f"msg_x-{uuid4()}")):
        for method, path, body in (
            ("GET", f"webhook-endpoints/{endpoint}", None),
            ("PATCH", f"webhook-endpoints/{endpoint}", {"enabled": False}),
            ("DELETE", f"webhook-endpoints/{endpoint}", None),
            ("POST", f"webhook-endpoints/{endpoint}/rotate-secret", None),
            ("POST", f"webhook-endpoints/{endpoint}/test", None),
            ("GET", f"webhook-messages/{event}", None),
            ("POST", f"webhook-messages/{event}/replay", None),
        ):
            answer = await front.ask(method, path, ben, json=body)
            assert answer.status_code == 404, (method, path)
            assert answer.json()["error"] == "Not found"
    assert (await front.ask("GET", "webhook-messages", ben)).json()["messages"] == []


async def test_ids_that_are_none_are_not_found(front: Front, anna: User) -> None:
    for path in ("webhook-endpoints/x", "webhook-messages/x", "webhook-messages/msg_1-x"):
        assert (await front.ask("GET", path, anna)).status_code == 404
