"""The charge that takes a balance below the threshold tells of it, and no other charge does."""

import json
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.language import LanguageActivities
from activities.memo import MemoActivities
from activities.transcription import TierBounds
from contracts.memo import MemoJob, Settled, SettleMemo
from contracts.transcript import TranscriptRef
from contracts.webhooks import Delivery, MessageState, WebhookEvent, new_secret
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.activities.writing import NewBench
from tests.fakes.ports import MemoryFiles
from tests.statements import asked_of

THRESHOLD = 146


@pytest.fixture
def memo(database: Database) -> MemoActivities:
    return MemoActivities(database, MemoryFiles(), THRESHOLD)


async def listen(database: Database, user_id: str) -> None:
    async with database.write() as tx:
        await tx.webhook_endpoints.add(
            user_id, "https://1.1.1.1/", new_secret(), events=(WebhookEvent.CREDITS_LOW,)
        )


async def told(database: Database, deliveries: tuple[Delivery, ...]) -> list[Any]:
    async with database.read() as tx:
        found = [await tx.webhooks.outgoing(delivery) for delivery in deliveries]
    bodies = [json.loads(one.body) for one in found if one is not None]
    return [(body["type"], body["data"]) for body in bodies]


async def settle(memo: MemoActivities, job: MemoJob) -> Settled:
    ref = TranscriptRef(ref=job.job_id, seconds=90, words=2, sha256="0" * 64, tier="local")
    await memo.reserve(job)
    return await memo.settle(SettleMemo(job=job, transcript=ref, seconds=90))


async def test_of_the_memos_of_a_user_the_one_that_takes_the_balance_below_tells(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    first = await new_memo()
    await listen(database, first.user_id)
    jobs = [first] + [await new_memo(user_id=first.user_id) for _ in range(2)]
    settled = [await settle(memo, job) for job in jobs]
    assert [len(one.announced) for one in settled] == [0, 1, 0]
    assert await told(database, settled[1].announced) == [
        ("credits.low", {"credits": 144, "threshold": THRESHOLD})
    ]


async def test_a_settlement_done_twice_tells_once(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=240)
    await listen(database, job.user_id)
    ref = TranscriptRef(ref=job.job_id, seconds=240, words=2, sha256="0" * 64, tier="local")
    order = SettleMemo(job=job, transcript=ref, seconds=240)
    await memo.reserve(job)
    assert [len((await memo.settle(order)).announced) for _ in range(2)] == [1, 0]
    async with database.read() as tx:
        messages, _ = await tx.webhook_messages.page(job.user_id, limit=9)
    assert [message.state for message in messages] == [MessageState.PENDING]


async def test_who_stays_above_costs_no_further_statement(
    memo: MemoActivities, database: Database, new_memo: NewMemo
) -> None:
    above, below = await new_memo(), await new_memo(claimed_seconds=240)
    counted = []
    for activities, job in ((memo, above), (MemoActivities(database, MemoryFiles(), 148), below)):
        await activities.reserve(job)
        ref = TranscriptRef(ref=job.job_id, seconds=90, words=2, sha256="0" * 64, tier="local")
        order = SettleMemo(job=job, transcript=ref, seconds=90)
        with asked_of(database) as asked:
            await activities.settle(order)
        counted.append(len(asked.statements))
    # Who tells of it writes the webhooks, and looks for the address of a mail.
    assert counted[1] == counted[0] + 2


async def test_what_is_written_tells_of_its_charge_to_whoever_listens(
    bench: NewBench, database: Database
) -> None:
    job = await bench()
    await listen(database, job.job.user_id)
    job.activities = LanguageActivities(database, job.model, TierBounds(2, 3), THRESHOLD)
    ref = await ActivityEnvironment().run(job.activities.write_language, job.job)
    assert await told(database, ref.announced) == [
        ("credits.low", {"credits": 145, "threshold": THRESHOLD})
    ]
    assert (await job.write()).announced == ()
