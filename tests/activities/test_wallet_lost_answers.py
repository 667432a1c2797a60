"""Credits kept elsewhere, with answers lost on the way and workers that die."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.errors import Conflict, Unavailable
from contracts.memo import MemoJob
from contracts.reservations import ReservationState
from store import schema
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.activities.purse import Purse, patiently


@pytest.fixture
def starting_credits() -> int:
    """All of them are the service's."""
    return 0


LOST = {
    "before, cut": {"undone": True, "cut": "answer"},
    "after, 502": {"status": 502},
    "before, 500": {"undone": True, "status": 500},
    "after, cut": {"cut": "answer"},
    "after, in the body": {"cut": "body"},
    "after, no answer": {"hang": True},
    "after, unreadable": {"body": "{}"},
}
FAULTS = [
    pytest.param(fault, id=name, marks=[pytest.mark.slow] if at > 1 else [])
    for at, (name, fault) in enumerate(LOST.items())
]
"""The first two always run."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["commit", "refund-reservation"])
async def test_a_lost_answer_of_what_ends_a_reservation_is_asked_again_and_counts_once(
    purse: Purse, new_memo: NewMemo, call: str, fault: dict[str, Any]
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    purse.service.fault(call=call, **fault)
    if call == "commit":
        await purse.settle(job, 61)
        await purse.complete(job)
    else:
        await purse.fail(job)
    purse.anew()
    await purse.wallet.heal()
    spent = 3 if call == "commit" else 0
    assert await purse.account(job) == (150 - spent, 0, spent)
    assert await purse.here(job) == (0, 0)
    assert await purse.wallet.heal() == 0
    assert await purse.broken() == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_lost_answer_of_a_reservation_charges_once_and_leaks_nothing_unsaid(
    purse: Purse, new_memo: NewMemo, fault: dict[str, Any]
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", **fault)
    with capture_logs() as logs:
        await patiently(lambda: purse.memo.reserve(job))
    assert await purse.settle(job, 61) == 3
    await purse.complete(job)
    leaked = 0 if fault.get("undone") else 3
    assert await purse.account(job) == (147 - leaked, leaked, 3)
    assert await purse.here(job) == (0, 0)
    uncertain = [row for row in await purse.states(job) if row[0] == "uncertain"]
    assert sum(amount for _, amount in uncertain) == leaked
    assert [line["event"] for line in logs].count("reservation.uncertain") == bool(leaked)
    assert len(await purse.broken()) == bool(leaked)
    assert purse.service.made("reserve") == 2


async def test_two_answers_lost_for_good_end_the_round_and_the_next_may_ask_again(
    purse: Purse, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", cut="answer", times=9)
    with pytest.raises(Conflict) as lost:
        await patiently(lambda: purse.memo.reserve(job))
    assert lost.value.code == "credits_uncertain"
    await purse.fail(job)
    assert await purse.account(job) == (144, 6, 0)
    purse.service.faults.clear()
    async with database.write() as tx:
        row = await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=60)
    again = MemoJob.model_validate(row.request)
    await purse.memo.reserve(again)
    assert await purse.settle(again, 61) == 3
    assert await purse.account(job) == (141, 6, 3)


@pytest.mark.parametrize(
    "fault",
    [{"status": 401}, {"status": 404}, {"status": 429, "headers": {"retry-after": "7"}}],
    ids=["401", "404", "429"],
)
async def test_a_refusal_reserves_nothing_and_is_asked_again(
    purse: Purse, new_memo: NewMemo, fault: dict[str, Any]
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", undone=True, **fault)
    with pytest.raises(Unavailable) as refused:
        await purse.memo.reserve(job)
    assert refused.value.retry_after == (7 if fault["status"] == 429 else None)
    assert await purse.states(job) == []
    await purse.memo.reserve(job)
    assert await purse.account(job) == (147, 3, 0)


async def test_a_service_that_is_away_is_not_asked_to_reserve(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo()
    purse.service.fault(call="balance", status=503, undone=True, times=3)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await purse.memo.reserve(job)
    assert purse.service.made("reserve") == 0
    await purse.memo.reserve(job)
    assert await purse.account(job) == (147, 3, 0)


async def test_the_transcript_is_charged_while_the_service_is_away_and_told_when_it_is_back(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    purse.service.fault(call="commit", status=503, undone=True, times=4)
    assert await purse.settle(job, 61) == 3
    await purse.complete(job)
    for _ in range(2):
        purse.anew()
        assert await purse.wallet.heal() == 0
        assert await purse.account(job) == (147, 3, 0)
    assert await purse.wallet.heal() == 1
    assert await purse.account(job) == (147, 0, 3)


async def test_a_step_that_is_cut_off_does_not_lose_the_answer(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", latency=0.2)
    with suppress(TimeoutError):
        await asyncio.wait_for(purse.memo.reserve(job), 0.1)
    await purse.memo.reserve(job)
    assert await purse.account(job) == (147, 3, 0)
    assert purse.service.made("reserve") == 1


async def test_two_tries_of_a_step_at_once_reserve_once(purse: Purse, new_memo: NewMemo) -> None:
    job = await new_memo()
    await asyncio.gather(*(purse.memo.reserve(job) for _ in range(5)))
    assert await purse.account(job) == (147, 3, 0)


async def test_another_worker_waits_until_nobody_can_be_waiting_for_the_answer(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", cut="answer")
    with suppress(Unavailable):
        await purse.memo.reserve(job)
    purse.anew(lease_seconds=30)
    with pytest.raises(Unavailable) as early:
        await purse.memo.reserve(job)
    assert 29 < (early.value.retry_after or 0) <= 30
    purse.anew()
    await purse.memo.reserve(job)
    assert await purse.states(job) == [("uncertain", 3), ("reserved", 3)]


async def test_what_somebody_else_spent_meanwhile_leaves_a_lost_answer_uncertain(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", undone=True, cut="answer")
    with suppress(Unavailable):
        await purse.memo.reserve(job)
    purse.service.spent[job.user_id] += 3
    await purse.memo.reserve(job)
    assert await purse.states(job) == [("uncertain", 3), ("reserved", 3)]


async def test_credits_we_gave_back_meanwhile_hide_no_reservation(
    purse: Purse, new_memo: NewMemo
) -> None:
    other = await new_memo()
    job = await new_memo(user_id=other.user_id)
    await purse.memo.reserve(other)
    purse.service.fault(call="reserve", cut="answer")
    with suppress(Unavailable):
        await purse.memo.reserve(job)
    await purse.fail(other)
    assert await purse.account(job) == (147, 3, 0)
    await purse.memo.reserve(job)
    assert await purse.states(job) == [("uncertain", 3), ("reserved", 3)]


async def test_a_worker_that_died_after_its_job_ended_leaves_nothing_reserved(
    purse: Purse, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    async with database.write() as tx:
        await tx.credits.release(job.user_id, job.job_id, "k")
        await tx.session.run(schema.jobs.delete())
    purse.anew()
    assert await purse.wallet.heal() == 1
    assert await purse.account(job) == (150, 0, 0)
    assert await purse.here(job) == (0, 0)


async def test_an_uncertain_reservation_an_operator_found_is_given_back(
    purse: Purse, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    purse.service.fault(call="reserve", cut="answer")
    await patiently(lambda: purse.memo.reserve(job))
    lost = next(iter(purse.service.reserved))
    async with database.write() as tx:
        (row,) = await tx.reservations.uncertain(10)
        assert await tx.reservations.find_out(row, lost)
    await purse.wallet.heal()
    assert await purse.account(job) == (147, 3, 0)
    assert await purse.states(job) == [("refunded", 3), ("reserved", 3)]
    assert row.state is ReservationState.UNCERTAIN
