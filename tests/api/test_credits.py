"""Credits over HTTP."""

import pytest

from tests.api.front import Front, User


async def test_prices_are_public(front: Front) -> None:
    answer = await front.ask("GET", "credits/pricing")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "costs": {
            "TRANSCRIPTION_PER_MINUTE": 2,
            "HEADLINE_GENERATION": 10,
            "MEMORY_CREATION": 10,
            "BLUEPRINT_PROCESSING": 5,
            "QUESTION_MEMO": 5,
            "NEW_MEMORY": 5,
            "MEMO_COMBINE": 5,
            "MEETING_RECORDING_PER_MINUTE": 2,
        },
    }


async def test_a_balance_tells_what_is_there_and_what_is_held(front: Front, anna: User) -> None:
    assert (await front.ask("GET", "credits/balance", anna)).json() == {
        "success": True, "credits": 150, "held": 0, "totalEarned": 150, "totalSpent": 0,
    }  # fmt: skip
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-1", "memo-1:hold", 20)
    held = (await front.ask("GET", "credits/balance", anna)).json()
    assert (held["credits"], held["held"]) == (150, 20)
    async with front.database.write() as tx:
        await tx.credits.settle(anna.id, "memo-1", "memo-1:settle", 15, operation="transcription")
    settled = (await front.ask("GET", "credits/balance", anna)).json()
    assert (settled["credits"], settled["held"], settled["totalSpent"]) == (135, 0, 15)


async def test_the_ledger_is_paged_newest_first(front: Front, anna: User) -> None:
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-1", "memo-1:hold", 20)
        await tx.credits.settle(anna.id, "memo-1", "memo-1:settle", 15, operation="transcription")
        await tx.credits.grant(anna.id, "order-7", 500, "Top-up")
    kinds, query = [], "credits/transactions?limit=3"
    while query:
        page = (await front.ask("GET", query, anna)).json()
        kinds += [entry["kind"] for entry in page["transactions"]]
        after = page["nextCursor"]
        query = f"credits/transactions?limit=3&cursor={after}" if after else ""
    assert kinds[0] == "grant"
    assert kinds[-1] == "grant"
    assert {"hold", "settle"} <= set(kinds)
    newest = (await front.ask("GET", "credits/transactions?limit=1", anna)).json()
    [entry] = newest["transactions"]
    assert (entry["amount"], entry["description"]) == (500, "Top-up")
    assert set(entry) == {
        "id", "kind", "amount", "operation", "description", "jobId", "step", "metadata",
        "createdAt",
    }  # fmt: skip


async def test_the_ledger_of_others_is_not_seen(front: Front, anna: User, ben: User) -> None:
    async with front.database.write() as tx:
        await tx.credits.grant(anna.id, "order-7", 500, "Top-up")
    page = (await front.ask("GET", "credits/transactions", ben)).json()
    assert [entry["amount"] for entry in page["transactions"]] in ([], [150])


@pytest.mark.parametrize("cursor", ["x", "-1", "1e3", "²", "9" * 30])
async def test_a_cursor_that_is_none_is_refused(front: Front, anna: User, cursor: str) -> None:
    answer = await front.ask("GET", "credits/transactions", anna, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid cursor")
