"""What calls took and cost, summed up: exactly, by tenant, the unknown kept apart."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from contracts.costs import Bill, Units, Usage, UsageBy, audio, in_all, together, tokens
from contracts.ids import kind_of
from contracts.tiers import AttemptOutcome
from store.database import Database
from store.schema import attempts, jobs
from tests.contract.conftest import NewMemo

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 10
SINCE, UNTIL = BEGIN + timedelta(days=1), BEGIN + timedelta(days=9)
COLUMNS = ("audio_milliseconds", "input_tokens", "output_tokens", "characters", "cost_micros")
KEYS: dict[UsageBy, Callable[[dict[str, Any]], str]] = {
    UsageBy.DAY: lambda row: row["started_at"].date().isoformat(),
    UsageBy.KIND: lambda row: kind_of(row["job_id"]),
    UsageBy.TIER: lambda row: row["tier"],
    UsageBy.USER: lambda row: row["user_id"],
}


def rows_of(draw: random.Random, users: list[str]) -> list[dict[str, Any]]:
    """Calls of some jobs of each user; on the borders of days, and with sums no float can hold."""
    rows: list[dict[str, Any]] = []
    for user in users:
        for kind in ("memo", "question", "weird"):
            job = f"{kind}-{uuid4()}" if kind != "weird" else f"weird{uuid4().hex}"
            for number in range(1, 21):
                at = BEGIN + timedelta(days=draw.randrange(DAYS))
                at += draw.choice((timedelta(), timedelta(days=1, microseconds=-1)))
                known = {c: draw.choice((None, 0, draw.randrange(2**56))) for c in COLUMNS}
                rows.append(
                    {
                        "job_id": job, "number": number, "round": 1, "user_id": user,
                        "tier": draw.choice(("azure-fast", "gemini", "local")), "provider": "p",
                        "started_at": at, **known,
                    }
                )  # fmt: skip
    return rows


async def keep(database: Database, rows: list[dict[str, Any]]) -> None:
    owners = {row["job_id"]: row["user_id"] for row in rows}
    made = [
        {
            "id": job, "user_id": owner, "kind": kind_of(job), "subject_id": job,
            "state": "completed", "step": "done", "round": 1, "request": {}, "event_seq": 0,
            "attempt_number": 20, "deadline_at": BEGIN, "created_at": BEGIN, "updated_at": BEGIN,
        }
        for job, owner in owners.items()
    ]  # fmt: skip
    async with database.write() as tx:
        await tx.session.run(insert(jobs).values(made))
        await tx.session.run(insert(attempts).values(rows))


def expected(rows: list[dict[str, Any]], key: Callable[[dict[str, Any]], str]) -> dict[str, Usage]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if SINCE <= row["started_at"] < UNTIL:
            groups[key(row)].append(row)
    return {
        name: Usage(
            key=name,
            calls=len(some),
            units=together(Units.model_validate(row) for row in some),
            micros=sum(row["cost_micros"] or 0 for row in some),
            unpriced=sum(row["cost_micros"] is None for row in some),
        )
        for name, some in groups.items()
    }


@pytest.mark.parametrize("seed", range(3))
async def test_sums_by_day_kind_tier_and_user_are_each_the_sum_of_the_calls_exactly(
    database: Database, user: str, seed: int
) -> None:
    rows = rows_of(random.Random(seed), [user, str(uuid4()), str(uuid4())])
    await keep(database, rows)
    own = [row for row in rows if row["user_id"] == user]
    async with database.read() as tx:
        for some, owner in ((own, user), (rows, None)):
            [whole] = await tx.usage.calls(None, SINCE, UNTIL, user_id=owner)
            for by, key in KEYS.items():
                found = await tx.usage.calls(by, SINCE, UNTIL, user_id=owner)
                assert {usage.key: usage for usage in found} == expected(some, key)
                assert in_all(found) == whole
            [local] = await tx.usage.calls(None, SINCE, UNTIL, user_id=owner, tier="local")
            by_tier = expected(some, KEYS[UsageBy.TIER])
            assert local == by_tier["local"].model_copy(update={"key": ""})


async def test_groups_come_in_order_and_users_by_what_they_cost(
    database: Database, user: str
) -> None:
    rows = rows_of(random.Random(7), [user, str(uuid4()), str(uuid4())])
    await keep(database, rows)
    async with database.read() as tx:
        days = await tx.usage.calls(UsageBy.DAY, SINCE, UNTIL, user_id=user)
        users = await tx.usage.calls(UsageBy.USER, SINCE, UNTIL, user_id=None)
    assert [day.key for day in days] == sorted(day.key for day in days)
    costs = [usage.micros for usage in users]
    assert len(costs) == 3
    assert costs == sorted(costs, reverse=True)


async def test_where_nothing_was_called_there_is_nothing_to_sum(
    database: Database, user: str
) -> None:
    async with database.read() as tx:
        for by in (None, *UsageBy):
            assert await tx.usage.calls(by, SINCE, UNTIL, user_id=user) == []
            assert await tx.usage.charged(by, SINCE, UNTIL, user_id=user) in ({}, {"": 0})


async def test_an_attempt_keeps_the_most_it_can_have_cost_until_its_end_is_written(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    own = (job.job_id, user)
    most, less = Bill(units=audio(60), micros=6_000), Bill(units=tokens(7, 2), micros=9)
    async with database.write() as tx:
        await tx.attempts.begin(*own, "azure-fast", "azure", 1, bill=most)
        second = await tx.attempts.begin(*own, "azure-fast", "azure", 1, bill=most)
        await tx.attempts.end(*own, second, AttemptOutcome.SUCCEEDED, seconds=1, bill=less)
        await tx.attempts.end(*own, second, AttemptOutcome.FAILED, seconds=1, bill=most)
        await tx.attempts.begin(*own, "azure-batch", "azure", 1, bill=most)
        await tx.attempts.end_open(*own, "azure-batch", AttemptOutcome.CANCELLED)
        await tx.attempts.begin(*own, "external", "external", 1)
        await tx.attempts.end_open(*own, "external", AttemptOutcome.FAILED, bill=Bill())
        found = await tx.attempts.list(*own)
    assert [Bill(units=a.units, micros=a.cost_micros) for a in found] == [most, less, most, Bill()]
    assert found[0].error_code == "worker_lost"


async def test_charges_are_summed_by_day_and_by_kind_of_job_and_holds_are_none(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = await new_memo(), str(uuid4())
    async with database.write() as tx:
        for owner in (user, other):
            await tx.credits.grant(owner, "order", 100, "bought")
            await tx.credits.consume(owner, 3, operation="EXPORT", description="A book")
        await tx.credits.hold(user, job.job_id, "hold", 9)
        await tx.credits.settle(user, job.job_id, "settle", 5, operation="transcription")
    now = datetime.now(UTC)
    since, until = now - timedelta(hours=1), now + timedelta(hours=1)
    async with database.read() as tx:
        assert await tx.usage.charged(None, since, until, user_id=user) == {"": 8}
        kinds = await tx.usage.charged(UsageBy.KIND, since, until, user_id=user)
        assert kinds == {"memo": 5, "other": 3}
        days = await tx.usage.charged(UsageBy.DAY, since, until, user_id=user)
        assert sum(days.values()) == 8
        assert {*days} <= {since.date().isoformat(), until.date().isoformat()}
        assert await tx.usage.charged(UsageBy.TIER, since, until, user_id=user) == {}
        assert await tx.usage.charged(UsageBy.DAY, since, since, user_id=user) == {}


async def test_what_calls_took_stays_when_their_memo_is_erased(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, bill = await new_memo(running=True), Bill(units=audio(60), micros=6_000)
    async with database.write() as tx:
        await tx.attempts.begin(job.job_id, user, "azure-fast", "azure", 1, bill=bill)
        await tx.memos.mark_deleted(job.memo_id, user)
        await tx.memos.erase(job.memo_id, user)
        kept = await tx.session.rows(select(attempts.c.cost_micros))
    assert [row.cost_micros for row in kept] == [6_000]
