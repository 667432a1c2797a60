"""The front when a service elsewhere keeps the credits: over its real socket."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from api.principals import SERVICE_HEADER
from store.schema import idempotency_keys
from tests.api.front import Front, User, opened
from tests.fakes.mana_credits import KEY, FakeManaCredits

BOOK = {"operation": "EXPORT", "amount": 10, "description": "A book"}


@pytest.fixture
async def service() -> AsyncIterator[FakeManaCredits]:
    service = FakeManaCredits(KEY)
    await service.start()
    yield service
    service.release()
    await service.aclose()


@pytest.fixture
async def remote(data_dir: Path, service: FakeManaCredits) -> AsyncIterator[Front]:
    async with opened(data_dir, SERVICE_KEY=KEY, MANA_CREDITS_URL=service.url) as front:
        yield front


@pytest.fixture
def user(remote: Front) -> User:
    return remote.user()


async def consume(
    front: Front, user: User, key: str | None = None, **changed: Any
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await front.ask("POST", "credits/consume", user, headers=headers, json=BOOK | changed)


async def test_the_balance_and_the_check_are_those_of_the_service(
    remote: Front, user: User, service: FakeManaCredits
) -> None:
    service.earned[user.id], service.spent[user.id] = 90, 20
    answer = await remote.ask("GET", "credits/balance", user)
    assert answer.json() == {
        "success": True, "credits": 70, "held": 0, "totalEarned": 90, "totalSpent": 20,
    }  # fmt: skip
    for amount, enough in ((70, True), (71, False)):
        body = {"operation": "EXPORT", "amount": amount}
        answer = await remote.ask("POST", "credits/check", user, json=body)
        assert answer.json() == {
            "success": True, "hasCredits": enough, "availableCredits": 70,
            "requiredCredits": amount,
        }  # fmt: skip


async def test_a_memo_is_accepted_by_what_the_service_says_there_is(
    remote: Front, user: User, service: FakeManaCredits
) -> None:
    await remote.new_memo(user, duration=61)
    assert service.made("balance") == 1
    service.earned[user.id] = 2
    short = await remote.post_memo(user, duration=61)
    assert short.status_code == 402
    assert (short.json()["requiredCredits"], short.json()["availableCredits"]) == (3, 2)


async def test_a_memo_is_not_begun_while_the_service_is_away(
    remote: Front, user: User, service: FakeManaCredits
) -> None:
    memo_id = str(uuid4())
    service.fault(call="balance", status=503, undone=True)
    away = await remote.post_memo(user, memoId=memo_id, headers={"Idempotency-Key": "k"})
    assert (away.status_code, away.json()["code"]) == (503, "credits_unavailable")
    assert remote.starter.started == []
    assert (await remote.ask("GET", f"memos/{memo_id}", user)).status_code == 404
    again = await remote.post_memo(user, memoId=memo_id, headers={"Idempotency-Key": "k"})
    assert again.status_code == 201
    service.fault(call="balance", status=503, undone=True, times=9)
    repeated = await remote.post_memo(user, memoId=memo_id, headers={"Idempotency-Key": "k"})
    assert repeated.json() == again.json()


async def test_the_service_is_asked_after_everything_else_was_checked(
    remote: Front, user: User, service: FakeManaCredits
) -> None:
    service.fault(call="balance", status=503, undone=True, times=9)
    assert (await remote.post_memo(user, spaceId=str(uuid4()))).status_code == 403
    assert (await remote.post_memo(user, blueprintId=str(uuid4()))).status_code == 404
    assert service.calls == []


@pytest.mark.parametrize(
    "fault",
    [
        {"undone": True, "cut": "answer"},
        {"cut": "answer"},
        {"status": 502},
    ],
    ids=["before", "after", "a bad gateway after"],
)
async def test_a_charge_whose_answer_is_lost_is_asked_for_again_by_its_key(
    remote: Front, user: User, service: FakeManaCredits, fault: dict[str, Any]
) -> None:
    service.fault(call="use", **fault)
    lost = await consume(remote, user)
    assert (lost.status_code, lost.json()["code"]) == (503, "credits_unavailable")
    busy = await consume(remote, user)
    assert (busy.status_code, busy.json()["code"]) == (409, "key_in_use")
    await later(remote, user)
    for _ in range(2):
        answer = await consume(remote, user)
        assert answer.json() == {"success": True, "consumed": 10, "credits": 140}
    assert service.spent[user.id] == 10


async def later(front: Front, user: User) -> None:
    """Let the first try's time run out."""
    async with front.database.write() as tx:
        changed = update(idempotency_keys).where(idempotency_keys.c.principal == user.id)
        await tx.session.run(changed.values(busy_until=tx.session.before(1)))


async def test_a_charge_is_told_by_its_key_and_refused_when_short(
    remote: Front, user: User, service: FakeManaCredits
) -> None:
    for key in ("a", "a", "b"):
        assert (await consume(remote, user, key)).status_code == 200
    assert service.spent[user.id] == 20
    short = await consume(remote, user, "c", amount=131)
    assert short.status_code == 402
    assert short.json()["availableCredits"] == 130
    reused = await consume(remote, user, "a", amount=11)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    free = await consume(remote, user, "d", amount=0)
    assert free.json() == {"success": True, "consumed": 0, "credits": 130}
    assert service.spent[user.id] == 20


@pytest.mark.parametrize("change", ["grant", "refund"])
async def test_credits_are_added_and_given_back_at_the_service_not_here(
    remote: Front, user: User, change: str
) -> None:
    body = {"userId": user.id, "amount": 5, "reference": "r", "description": "Why"}
    answer = await remote.ask(
        "POST", f"internal/credits/{change}", headers={SERVICE_HEADER: KEY}, json=body
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "credits_elsewhere")
