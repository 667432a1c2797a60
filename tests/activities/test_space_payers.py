"""A memo made in a space that pays: its whole life on the space's account."""

import json
from uuid import uuid4

import pytest

from activities.memo import MemoActivities
from contracts.credits import JobCredits
from contracts.jobs import JobState
from contracts.memo import EndMemo, MemoJob, SettleMemo
from contracts.transcript import TranscriptRef
from contracts.webhooks import WebhookEvent, new_secret
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.ports import MemoryFiles
from tests.statements import asked_of

THRESHOLD = 100
OWNER = str(uuid4())


@pytest.fixture
def memo(database: Database) -> MemoActivities:
    return MemoActivities(database, MemoryFiles(), THRESHOLD)


async def in_a_space(database: Database, job: MemoJob) -> MemoJob:
    """The job, made in a space that pays and has 101 credits; its owner listens."""
    space_id = str(uuid4())
    async with database.write() as tx:
        await tx.spaces.create(space_id, OWNER, "Team", None)
        await tx.spaces.join(space_id, job.user_id)
        await tx.spaces.let_pay(space_id, OWNER, pays=True)
        await tx.credits.grant(space_id, "order 1", 101, "Top-up", space=True)
        await tx.webhook_endpoints.add(
            OWNER, "https://1.1.1.1/", new_secret(), events=(WebhookEvent.CREDITS_LOW,)
        )
    return job.model_copy(update={"space_id": space_id})


async def balances(database: Database, job: MemoJob) -> tuple[int, int]:
    async with database.read() as tx:
        own = await tx.credits.balance(job.user_id)
        shared = await tx.credits.balance(str(job.space_id), space=True)
    assert (own.held, shared.held) == (0, 0)
    return own.credits, shared.credits


async def test_the_space_is_charged_and_its_owner_told_that_little_is_left(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await in_a_space(database, await new_memo())
    await memo.reserve(job)
    async with database.write() as tx:
        await tx.spaces.leave(str(job.space_id), job.user_id)
    ref = TranscriptRef(ref=job.job_id, seconds=90, words=2, sha256="0" * 64, tier="local")
    settled = await memo.settle(SettleMemo(job=job, transcript=ref, seconds=90))
    await memo.end(EndMemo(job=job, state=JobState.COMPLETED))
    assert settled.charged == 3
    assert await balances(database, job) == (150, 98)
    [delivery] = settled.announced
    async with database.read() as tx:
        assert await tx.credits.of_job(job.user_id, job.job_id) == JobCredits(
            charged=3, space_id=job.space_id
        )
        sent = await tx.webhooks.outgoing(delivery)
    assert sent is not None
    assert delivery.user_id == OWNER
    assert json.loads(sent.body)["data"] == {
        "credits": 98, "threshold": THRESHOLD, "space_id": job.space_id,
    }  # fmt: skip


async def test_a_failure_costs_the_space_nothing(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await in_a_space(database, await new_memo())
    await memo.reserve(job)
    await memo.end(EndMemo(job=job, state=JobState.FAILED))
    assert await balances(database, job) == (150, 101)


async def test_a_space_that_pays_costs_one_statement(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    alone = await new_memo()
    async with database.write() as tx:
        await tx.credits.balance(alone.user_id)
    counted = []
    for job in (alone, await in_a_space(database, await new_memo(user_id=alone.user_id))):
        with asked_of(database) as asked:
            await memo.reserve(job)
        counted.append(len(asked.statements))
    assert counted[1] == counted[0] + 1
