"""Every POST either honours an ``Idempotency-Key`` or is known to create nothing twice."""

import base64
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from api.main import create_app
from contracts.webhooks import AttemptResult, Delivery, MemoEventData, WebhookEvent
from store import schema
from tests.api.front import Front, User, opened, settings_for

HEADER: Final = "Idempotency-Key"
KEY: Final = {HEADER: "k-1"}

CREATE_NOTHING: Final = {
    "/api/v1/credits/check": "reads a balance",
    "/auth/verify": "signs a session of a user; nothing is kept",
    "/auth/refresh": "likewise",
    "/api/v1/jobs/{job_id}/cancel": "a job that was asked to end is asked again, or has ended: 409",
    "/api/v1/uploads/tus/{upload_id}": "bytes have their place: sent again they are refused",
    "/api/v1/batch-metadata": "writes the same fields of a memo again",
    "/api/v1/internal/batch-metadata": "writes the same fields of a memo again",
    "/api/v1/internal/credits/grant": "once for each `reference` of the body, for ever",
    "/api/v1/internal/credits/refund": "once for each `reference` of the body, for ever",
    "/api/v1/internal/transcription-completed": "the first report of a round counts",
    "/api/v1/webhooks/azure-speech": "wakes a job that looks for itself",
    "/api/v1/webhooks/azure-events": "wakes a job that looks for itself",
}
"""POSTs without a key, and why a second one does no harm; a new one has to be thought about."""


def posts() -> dict[str, dict[str, Any]]:
    document = create_app(settings_for(Path("/nonexistent"))).openapi()
    return {path: found["post"] for path, found in document["paths"].items() if "post" in found}


def test_every_post_that_creates_something_takes_a_key_and_says_so() -> None:
    for path, operation in posts().items():
        headers = {
            each["name"] for each in operation.get("parameters", []) if each["in"] == "header"
        }
        assert (HEADER in headers) != (path in CREATE_NOTHING), path
        if HEADER in headers:
            assert {"400", "409", "422"} <= set(operation["responses"]), path


def test_nothing_is_excused_that_is_not_there() -> None:
    assert set(CREATE_NOTHING) <= set(posts())


async def added(front: Front, user: User) -> dict[str, Any]:
    answer = await front.ask("POST", "webhook-endpoints", user, json={"url": "https://1.1.1.1/"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def dead_letter(front: Front, user: User) -> Delivery:
    said = MemoEventData(memo_id="m", job_id="memo-m", status="completed")
    async with front.database.write() as tx:
        (delivery,) = await tx.webhooks.announce(
            user.id, WebhookEvent.MEMO_COMPLETED, said, subject="memo-m"
        )
        await tx.webhooks.record(delivery, AttemptResult(delivered=False, code="x"), pause=None)
    return delivery


async def test_a_rotation_whose_answer_was_lost_gives_its_secret_again(
    front: Front, anna: User
) -> None:
    made = await added(front, anna)
    for path in (
        f"webhook-endpoints/{made['endpoint']['id']}/rotate-secret",
        "webhook-secret/rotate",
    ):
        first = await front.ask("POST", path, anna, headers=KEY | {HEADER: path})
        again = await front.ask("POST", path, anna, headers=KEY | {HEADER: path})
        other = await front.ask("POST", path, anna)
        assert first.json() == again.json()
        assert other.json()["secret"] != first.json()["secret"]


async def test_a_test_with_one_key_is_one_message(front: Front, anna: User) -> None:
    path = f"webhook-endpoints/{(await added(front, anna))['endpoint']['id']}/test"
    answers = [await front.ask("POST", path, anna, headers=KEY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.text for answer in answers}) == 1
    assert len((await front.ask("GET", "webhook-messages", anna)).json()["messages"]) == 1
    assert len(front.starter.started) == 1
    assert front.starter.signals == []


async def test_a_replay_with_one_key_sends_once(front: Front, anna: User) -> None:
    await added(front, anna)
    delivery = await dead_letter(front, anna)
    path = f"webhook-messages/{delivery.id}/replay"
    first = await front.ask("POST", path, anna, headers=KEY)
    async with front.database.write() as tx:
        await tx.webhooks.record(delivery, AttemptResult(delivered=True), pause=None)
    again = await front.ask("POST", path, anna, headers=KEY)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    shown = (await front.ask("GET", f"webhook-messages/{delivery.id}", anna)).json()
    assert shown["message"]["status"] == "delivered"
    assert len(front.starter.started) == 1


async def test_a_range_replayed_with_one_key_is_revived_once(front: Front, anna: User) -> None:
    made = await added(front, anna)
    delivery = await dead_letter(front, anna)
    now = datetime.now(UTC)
    body = {
        "endpointId": made["endpoint"]["id"],
        "from": (now - timedelta(hours=1)).isoformat(),
        "to": (now + timedelta(hours=1)).isoformat(),
    }

    async def replay(**changed: str) -> tuple[int, Any]:
        path = "webhook-messages/replay"
        answer = await front.ask("POST", path, anna, headers=KEY, json=body | changed)
        return answer.status_code, answer.json().get("messages", answer.json().get("code"))

    assert await replay() == (202, 1)
    async with front.database.write() as tx:
        await tx.webhooks.record(delivery, AttemptResult(delivered=True), pause=None)
    assert await replay() == (202, 1)
    assert await replay(to=now.isoformat()) == (422, "idempotency_key_reused")
    async with front.database.read() as tx:
        assert await tx.webhooks.overdue(seconds=60, limit=9) == ()


Ask = Callable[[Front, User], Awaitable[str]]


async def _create(front: Front, user: User) -> str:
    body = {"url": "https://1.1.1.1/"}
    answer = await front.ask("POST", "webhook-endpoints", user, headers=KEY, json=body)
    return str(answer.json()["secret"])


async def _rotate(front: Front, user: User) -> str:
    return str(
        (await front.ask("POST", "webhook-secret/rotate", user, headers=KEY)).json()["secret"]
    )


@pytest.mark.parametrize("ask", [_create, _rotate])
async def test_a_kept_answer_holds_no_secret_in_clear(data_dir: Path, ask: Ask) -> None:
    keys = "one:" + base64.b64encode(os.urandom(32)).decode()
    async with opened(data_dir, TEMPORAL_PAYLOAD_KEYS=keys) as front:
        anna = front.user()
        secret = await ask(front, anna)
        async with front.database.read() as tx:
            kept = await tx.session.rows(schema.idempotency_keys.select())
        assert len(kept) == 1
        assert secret not in str(kept)
        assert await ask(front, anna) == secret
