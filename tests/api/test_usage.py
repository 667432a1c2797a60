"""What vendors were used for and what that cost: on a job, of one's own, and for operators."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.costs import NOTHING, Bill, Units, audio, tokens
from contracts.jobs import JobState, Step
from contracts.language import ModelCall, Purpose
from contracts.tiers import AttemptOutcome
from tests.api.front import Front, User, opened

KEY = "service-key-of-a-test"
BY_KEY = {"X-Service-Key": KEY}
TODAY = datetime.now(UTC).date()
HEARD = Bill(units=audio(61.48), micros=6_148)
WROTE = Bill(units=tokens(812, 64).over(Units(characters=2210)), micros=1_797)
CALL = ModelCall(number=1, tier="gemini", provider="gemini", engine="m", purpose=Purpose.WRITE)


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    """The app with the services' routes open, and a currency of its own."""
    async with opened(data_dir, SERVICE_KEY=KEY, VENDOR_CURRENCY="EUR") as front:
        yield front


async def worked(front: Front, user: User, *, open_end: bool = False) -> str:
    """A job that was refused once, then heard, then written about; its id."""
    memo = await front.new_memo(user)
    job_id: str = memo["jobId"]
    await front.move(memo, JobState.RUNNING)
    own = (job_id, user.id)
    async with front.database.write() as tx:
        for outcome, bill in (
            (AttemptOutcome.FAILED, Bill(units=NOTHING, micros=0)),
            (AttemptOutcome.SUCCEEDED, HEARD),
        ):
            number = await tx.attempts.begin(*own, "azure-fast", "azure", 1, bill=HEARD)
            await tx.attempts.end(*own, number, outcome, seconds=1, bill=bill)
        number = await tx.attempts.begin_beside(*own, CALL, round=1, step=Step.HEADLINE)
        if not open_end:
            done = AttemptOutcome.SUCCEEDED
            await tx.attempts.end(*own, number, done, seconds=1, bill=WROTE)
    return job_id


async def usage(front: Front, user: User, **query: Any) -> dict[str, Any]:
    answer = await front.ask("GET", "usage", user, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def everybodys(front: Front, **query: Any) -> dict[str, Any]:
    answer = await front.ask("GET", "internal/usage", params=query, headers=BY_KEY)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def units(
    seconds: float | None = None,
    read: int | None = None,
    wrote: int | None = None,
    characters: int | None = None,
) -> dict[str, Any]:
    return {
        "audioSeconds": seconds,
        "inputTokens": read,
        "outputTokens": wrote,
        "characters": characters,
    }


async def test_a_job_tells_what_each_call_and_each_step_cost(front: Front, anna: User) -> None:
    job = (await front.ask("GET", f"jobs/{await worked(front, anna)}", anna)).json()
    refused, heard, wrote = job["attempts"]
    assert (refused["units"], refused["cost"]) == (units(0, 0, 0, 0), "0.000000")
    assert (heard["units"], heard["cost"]) == (units(61.48), "0.006148")
    assert (wrote["units"], wrote["cost"]) == (units(None, 812, 64, 2210), "0.001797")
    cost = job["cost"]
    assert (cost["currency"], cost["amount"], cost["complete"]) == ("EUR", "0.007945", True)
    transcribed, headline = cost["steps"]
    assert (transcribed["step"], transcribed["calls"]) == ("transcribe", 2)
    assert (transcribed["amount"], transcribed["complete"]) == ("0.006148", True)
    assert transcribed["units"] == units(61.48, 0, 0, 0)
    assert (headline["step"], headline["calls"], headline["amount"]) == ("headline", 1, "0.001797")


async def test_what_is_not_known_is_null_and_makes_a_sum_incomplete(
    front: Front, anna: User
) -> None:
    job_id = await worked(front, anna, open_end=True)
    job = (await front.ask("GET", f"jobs/{job_id}", anna)).json()
    running, cost = job["attempts"][-1], job["cost"]
    assert (running["units"], running["cost"]) == (units(), None)
    assert (cost["amount"], cost["complete"]) == ("0.006148", False)
    headline = cost["steps"][1]
    assert (headline["amount"], headline["complete"]) == (None, False)
    found = await usage(front, anna, by="tier")
    known, unknown = found["groups"]
    assert (known["key"], known["amount"], known["complete"]) == ("azure-fast", "0.006148", True)
    assert (unknown["key"], unknown["amount"], unknown["complete"]) == ("gemini", None, False)
    assert (found["total"]["amount"], found["total"]["complete"]) == ("0.006148", False)


async def test_usage_adds_up_whatever_it_is_grouped_by(front: Front, anna: User) -> None:
    await worked(front, anna)
    await worked(front, anna)
    async with front.database.write() as tx:
        await tx.credits.consume(anna.id, 7, operation="EXPORT", description="A book")
    total = {
        "calls": 6, "units": units(122.96, 1624, 128, 4420), "amount": "0.015890",
        "complete": True, "credits": 7,
    }  # fmt: skip
    keys = {"kind": ["memo", "other"], "tier": ["azure-fast", "gemini"]}
    for by, expected in keys.items():
        found = await usage(front, anna, by=by)
        assert (found["total"], [group["key"] for group in found["groups"]]) == (total, expected)
    other = (await usage(front, anna, by="kind"))["groups"][1]
    assert (other["calls"], other["amount"], other["credits"]) == (0, "0.000000", 7)
    found = await usage(front, anna)
    assert (found["by"], found["currency"], found["total"]) == ("day", "EUR", total)
    assert found["from"] == (TODAY - timedelta(days=29)).isoformat()
    assert found["to"] == TODAY.isoformat()
    assert sum(group["calls"] for group in found["groups"]) == 6


async def test_usage_is_ones_own_and_operators_see_everybodys(
    front: Front, anna: User, ben: User
) -> None:
    await worked(front, anna)
    empty = await usage(front, ben)
    assert (empty["total"]["calls"], empty["total"]["amount"], empty["groups"]) == (
        0, "0.000000", [],
    )  # fmt: skip
    await worked(front, ben)
    whole = await everybodys(front, by="user")
    assert {group["key"] for group in whole["groups"]} == {anna.id, ben.id}
    assert (whole["total"]["calls"], whole["total"]["amount"]) == (6, "0.015890")
    assert whole["total"]["credits"] is None
    of_anna = await everybodys(front, user=anna.id)
    own = await usage(front, anna)
    assert (of_anna["total"], of_anna["groups"]) == (own["total"], own["groups"])
    of_tier = await everybodys(front, tier="gemini", by="tier")
    assert [(g["key"], g["calls"]) for g in of_tier["groups"]] == [("gemini", 2)]


REFUSED = [
    {"from": "2026-02-01", "to": "2026-01-31"},
    {"from": "2024-01-01", "to": "2026-01-31"},
    {"from": "0001-01-01"},
    {"to": "9999-12-31"},
    {"to": "yesterday"},
    {"by": "week"},
]


@pytest.mark.parametrize("query", [*REFUSED, {"by": "user"}])
async def test_a_time_that_is_none_or_too_long_is_refused(
    front: Front, anna: User, query: dict[str, str]
) -> None:
    assert (await front.ask("GET", "usage", anna, params=query)).status_code == 400


@pytest.mark.parametrize(
    "query", [*REFUSED, {"user": "x"}, {"tier": "\x00"}, {"from": "2026-01-01", "to": "2026-06-01"}]
)
async def test_operators_ask_for_times_and_users_that_there_can_be(
    front: Front, query: dict[str, str]
) -> None:
    answer = await front.ask("GET", "internal/usage", params=query, headers=BY_KEY)
    assert answer.status_code == 400


async def test_a_time_at_either_end_of_the_calendar_is_answered(front: Front, anna: User) -> None:
    for first, last in (("0001-01-01", "0001-01-01"), ("9999-12-01", "9999-12-30")):
        assert (await usage(front, anna, to=last, **{"from": first}))["groups"] == []
    assert (await usage(front, anna, to="0001-01-02"))["from"] == "0001-01-01"
