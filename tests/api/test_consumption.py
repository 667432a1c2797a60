"""Credits charged at once, and added by services: once, in full, to one account."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.principals import SERVICE_HEADER
from contracts.webhooks import WebhookEvent, new_secret
from tests.api.front import Front, User, opened

SERVICE = "service-key-of-a-test"
BOOK = {"operation": "EXPORT", "amount": 10, "description": "A book"}


@pytest.fixture
async def served(data_dir: Path) -> AsyncIterator[Front]:
    async with opened(data_dir, SERVICE_KEY=SERVICE, CREDITS_LOW_BELOW=135) as front:
        yield front


async def consume(
    front: Front, user: User, key: str | None = None, **changed: Any
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await front.ask("POST", "credits/consume", user, headers=headers, json=BOOK | changed)


async def credit(
    front: Front, change: str, user_id: str, reference: str, amount: int
) -> httpx.Response:
    body = {"userId": user_id, "amount": amount, "reference": reference, "description": "Why"}
    path = f"internal/credits/{change}"
    return await front.ask("POST", path, headers={SERVICE_HEADER: SERVICE}, json=body)


async def balance(front: Front, user: User) -> int:
    owned: int = (await front.ask("GET", "credits/balance", user)).json()["credits"]
    return owned


@pytest.mark.parametrize(("amount", "enough"), [(0, True), (130, True), (131, False)])
async def test_a_check_counts_what_is_free_and_changes_nothing(
    front: Front, anna: User, amount: int, enough: bool
) -> None:
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-1", "memo-1:hold", 20)
    body = {"operation": "EXPORT", "amount": amount}
    answer = await front.ask("POST", "credits/check", anna, json=body)
    assert answer.json() == {
        "success": True, "hasCredits": enough, "availableCredits": 130, "requiredCredits": amount,
    }  # fmt: skip
    assert await balance(front, anna) == 150


async def test_a_consumption_is_charged_and_stands_in_the_ledger(front: Front, anna: User) -> None:
    answer = await consume(front, anna, metadata={"pages": 3})
    assert (answer.status_code, answer.json()) == (
        200, {"success": True, "consumed": 10, "credits": 140},
    )  # fmt: skip
    page = (await front.ask("GET", "credits/transactions?limit=1", anna)).json()
    [entry] = page["transactions"]
    assert (entry["kind"], entry["amount"], entry["operation"]) == ("consume", 10, "EXPORT")
    assert (entry["description"], entry["metadata"]) == ("A book", {"pages": 3})
    assert entry["jobId"] is None


@pytest.mark.parametrize("key", [None, "one"])
async def test_the_same_request_is_charged_once_and_answered_alike(
    front: Front, anna: User, key: str | None
) -> None:
    first = await consume(front, anna, key)
    again = await asyncio.gather(*(consume(front, anna, key) for _ in range(4)))
    assert [one.json() for one in again] == [first.json()] * 4
    assert await balance(front, anna) == 140


async def test_another_body_or_another_key_is_a_charge_of_its_own(front: Front, anna: User) -> None:
    await consume(front, anna)
    await consume(front, anna, description="Another book")
    await consume(front, anna, "one")
    await consume(front, anna, "two")
    assert await balance(front, anna) == 110
    reused = await consume(front, anna, "one", amount=11)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert await balance(front, anna) == 110


async def test_too_few_credits_are_told_and_the_same_request_is_judged_anew(
    front: Front, anna: User
) -> None:
    short = await consume(front, anna, amount=151)
    assert (short.status_code, short.json()["code"]) == (402, "insufficient_credits")
    assert (short.json()["requiredCredits"], short.json()["availableCredits"]) == (151, 150)
    async with front.database.write() as tx:
        await tx.credits.grant(anna.id, "order", 1, "Top-up")
    assert (await consume(front, anna, amount=151)).json()["credits"] == 0


async def test_one_users_keys_and_charges_are_nothing_to_another(
    front: Front, anna: User, ben: User
) -> None:
    await consume(front, anna, "one")
    await consume(front, anna)
    assert await balance(front, ben) == 150
    assert (await consume(front, ben, "one", amount=1)).json()["credits"] == 149
    assert (await consume(front, ben)).json()["credits"] == 139
    assert await balance(front, anna) == 130


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": -1},
        {"amount": 1.5},
        {"amount": "1"},
        {"amount": True},
        {"amount": 10**9},
        {"operation": ""},
        {"operation": "a b"},
        {"description": " "},
        {"metadata": None},
        {"metadata": [1]},
    ],
)
async def test_what_is_no_consumption_is_refused(
    front: Front, anna: User, changed: dict[str, Any]
) -> None:
    answer = await consume(front, anna, **changed)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert await balance(front, anna) == 150


async def test_a_consumption_that_takes_the_balance_below_is_told_once(served: Front) -> None:
    anna = served.user()
    async with served.database.write() as tx:
        await tx.webhook_endpoints.add(
            anna.id, "https://1.1.1.1/", new_secret(), events=(WebhookEvent.CREDITS_LOW,)
        )
    for key in ("one", "two", "two", "three"):
        await consume(served, anna, key)
    async with served.database.read() as tx:
        found, _ = await tx.webhook_messages.page(anna.id, limit=9)
    assert [(message.type, message.body["data"]) for message in found] == [
        ("credits.low", {"credits": 130, "threshold": 135})
    ]


@pytest.mark.parametrize(
    ("change", "after", "spent"), [("grant", (152, 162), 10), ("refund", (142, 150), 8)]
)
async def test_services_add_credits_once_per_reference(
    served: Front, change: str, after: tuple[int, int], spent: int
) -> None:
    anna = served.user()
    await consume(served, anna)
    amount = 12 if change == "grant" else 2
    answers = [await credit(served, change, anna.id, "case-1", amount) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    owned, earned = after
    assert answers[1].json() == {
        "success": True, "credits": owned, "held": 0, "totalEarned": earned, "totalSpent": spent,
    }  # fmt: skip
    other = await credit(served, change, anna.id, "case-1", amount - 1)
    assert (other.status_code, other.json()["code"]) == (409, "reference_used")
    assert await balance(served, anna) == owned


async def test_a_refund_of_more_than_was_spent_is_refused(served: Front) -> None:
    anna = served.user()
    await consume(served, anna)
    answer = await credit(served, "refund", anna.id, "case-1", 11)
    assert (answer.status_code, answer.json()["code"]) == (409, "refund_exceeds_spent")
    assert (await credit(served, "refund", anna.id, "case-1", 10)).json()["credits"] == 150


@pytest.mark.parametrize("change", ["grant", "refund"])
async def test_nobody_without_the_service_key_adds_credits(served: Front, change: str) -> None:
    anna = served.user()
    body = {"userId": anna.id, "amount": 9, "reference": "r", "description": "Mine"}
    path = f"internal/credits/{change}"
    for headers in ({}, {SERVICE_HEADER: "x"}):
        answer = await served.ask("POST", path, anna, headers=headers, json=body)
        assert answer.status_code == 401
    assert await balance(served, anna) == 150


@pytest.mark.parametrize(
    "changed",
    [{"amount": 0}, {"amount": -5}, {"userId": "anna"}, {"reference": ""}, {"reference": "a b"}],
)
async def test_what_is_no_change_of_an_account_is_refused(
    served: Front, changed: dict[str, Any]
) -> None:
    anna = served.user()
    body = {"userId": anna.id, "amount": 9, "reference": "r", "description": "Why"} | changed
    headers = {SERVICE_HEADER: SERVICE}
    answer = await served.ask("POST", "internal/credits/grant", headers=headers, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert await balance(served, anna) == 150
