"""Accounts of spaces over HTTP, and who pays for what is made in a space."""

from typing import Any
from uuid import uuid4

import pytest

from contracts.errors import InsufficientCredits
from contracts.memo import MemoJob
from tests.api.front import Front, User, opened

SERVICE = "service-key-of-a-test"


async def new_space(front: Front, owner: User, *members: User, granted: int = 0) -> str:
    space_id = str(uuid4())
    async with front.database.write() as tx:
        await tx.spaces.create(space_id, owner.id, "Team", None)
        for member in members:
            await tx.spaces.join(space_id, member.id)
        if granted:
            await tx.credits.grant(space_id, "order 1", granted, "Top-up", space=True)
    return space_id


async def let_pay(front: Front, space_id: str, owner: User, *, pays: bool = True) -> None:
    answer = await front.ask("PATCH", f"spaces/{space_id}/credits", owner, json={"pays": pays})
    assert answer.status_code == 200, answer.text


async def hold(front: Front, user: User, memo: dict[str, Any]) -> None:
    """What the job's first step does."""
    async with front.database.write() as tx:
        job = await tx.jobs.find(memo["jobId"], user.id)
        assert job is not None
        asked = MemoJob.model_validate(job.request)
        await tx.credits.hold(user.id, job.id, f"{job.id}:hold", 3, space_id=asked.space_id)


async def test_members_see_the_account_and_only_the_owner_lets_it_pay(
    front: Front, anna: User, ben: User
) -> None:
    space_id = await new_space(front, anna, ben, granted=40)
    path = f"spaces/{space_id}/credits"
    account = {
        "success": True, "credits": 40, "held": 0, "totalEarned": 40, "totalSpent": 0,
        "pays": False,
    }  # fmt: skip
    for member in (anna, ben):
        assert (await front.ask("GET", path, member)).json() == account
    refused = await front.ask("PATCH", path, ben, json={"pays": True})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    paying = await front.ask("PATCH", path, anna, json={"pays": True})
    assert paying.json() == account | {"pays": True}
    assert (await front.ask("GET", path, ben)).json()["pays"] is True
    for body in ({}, {"pays": None}, {"pays": "yes"}):
        assert (await front.ask("PATCH", path, anna, json=body)).status_code == 400


@pytest.mark.parametrize("where", ["", "/transactions"])
async def test_somebody_elses_space_answers_like_an_absent_one(
    front: Front, anna: User, ben: User, where: str
) -> None:
    space_id = await new_space(front, anna)
    asked = [
        ("GET", path, await front.ask("GET", f"spaces/{path}/credits{where}", ben))
        for path in (space_id, str(uuid4()), "nothing")
    ]
    asked += [
        (
            "PATCH",
            path,
            await front.ask("PATCH", f"spaces/{path}/credits", ben, json={"pays": True}),
        )
        for path in (space_id, str(uuid4()), "nothing")
    ]
    told = {(answer.status_code, answer.json()["error"]) for _, _, answer in asked}
    assert told == {(403, "Not a member of this space")}


async def test_a_member_is_accepted_on_the_spaces_credits_and_told_who_pays(
    front: Front, anna: User, ben: User
) -> None:
    space_id = await new_space(front, anna, ben, granted=4)
    await let_pay(front, space_id, anna)
    async with front.database.write() as tx:
        await tx.credits.consume(ben.id, 150, operation="export", description="All there is")
    short = await front.post_memo(ben)
    assert (short.status_code, short.json()["availableCredits"]) == (402, 0)
    memo = await front.new_memo(ben, spaceId=space_id)
    before = await front.ask("GET", f"jobs/{memo['jobId']}", ben)
    assert before.json()["credits"] == {"held": 0, "charged": 0}
    await hold(front, ben, memo)
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", ben)).json()
    assert job["credits"] == {"held": 3, "charged": 0, "payer": {"spaceId": space_id}}
    page = (await front.ask("GET", f"spaces/{space_id}/credits/transactions?limit=1", anna)).json()
    [entry] = page["transactions"]
    assert (entry["kind"], entry["amount"], entry["userId"]) == ("hold", 3, ben.id)
    assert entry["jobId"] == memo["jobId"]
    more = f"spaces/{space_id}/credits/transactions?cursor={page['nextCursor']}"
    [grant] = (await front.ask("GET", more, ben)).json()["transactions"]
    assert (grant["kind"], grant["userId"]) == ("grant", None)


async def test_the_refusal_tells_of_the_account_that_would_have_paid(
    front: Front, anna: User, ben: User
) -> None:
    space_id = await new_space(front, anna, ben, granted=400)
    await let_pay(front, space_id, anna)
    answer = await front.post_memo(ben, spaceId=space_id, duration=3600 * 4)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (402, InsufficientCredits.code)
    assert (told["requiredCredits"], told["availableCredits"]) == (480, 150)
    assert (await front.post_memo(ben, spaceId=space_id, duration=3600 * 3)).status_code == 201
    await let_pay(front, space_id, anna, pays=False)
    told = (await front.post_memo(ben, spaceId=space_id, duration=3600 * 3)).json()
    assert (told["requiredCredits"], told["availableCredits"]) == (360, 150)


async def test_a_service_grants_and_refunds_a_space(data_dir: Any) -> None:
    async with opened(data_dir, SERVICE_KEY=SERVICE) as front:
        anna = front.user()
        space_id = await new_space(front, anna)
        key = {"X-Service-Key": SERVICE}
        order: dict[str, Any] = {"amount": 50, "reference": "order-7", "description": "Top-up"}
        for _ in range(2):
            body = order | {"spaceId": space_id}
            got = await front.ask("POST", "internal/credits/grant", json=body, headers=key)
            assert (got.status_code, got.json()["credits"]) == (200, 50)
        cases: dict[int, dict[str, Any]] = {
            404: {"spaceId": str(uuid4())},
            400: {"spaceId": space_id, "userId": anna.id},
            409: {"spaceId": space_id, "amount": 51},
        }
        for status, said in cases.items():
            body = order | said
            got = await front.ask("POST", "internal/credits/grant", json=body, headers=key)
            assert got.status_code == status
        neither = await front.ask("POST", "internal/credits/grant", json=order, headers=key)
        assert neither.json()["error"] == "Either userId or spaceId is needed"
        body = order | {"spaceId": space_id, "amount": 1}
        spent = await front.ask("POST", "internal/credits/refund", json=body, headers=key)
        assert spent.json()["code"] == "refund_exceeds_spent"
        balance = (await front.ask("GET", "credits/balance", anna)).json()
        assert balance["credits"] == 150
