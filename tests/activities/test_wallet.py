"""Credits kept elsewhere: a job's whole life over a real socket, with answers lost on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from activities.memo import MemoActivities
from activities.wallet import RemoteWallet
from contracts.errors import Conflict, Failure, InsufficientCredits, Unavailable
from contracts.invariants import Invariant
from contracts.jobs import JobFailure, JobState
from contracts.memo import EndMemo, MemoJob, SettleMemo
from contracts.reservations import Need, ReservationState
from contracts.transcript import TranscriptRef
from providers.remote_credits import RemoteCredits
from store import schema
from store.database import Database
from store.invariants import violations
from tests.activities.conftest import NewMemo
from tests.fakes.mana_credits import KEY, FakeManaCredits
from tests.fakes.ports import MemoryFiles

FAILED = JobFailure(code="provider_out", message="No tier could serve")
SECONDS = 0.5
"""Bound of a call in these tests."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'voicekeep.db'}", starting_credits=0)
    schema.jobs.metadata.create_all(database.engines[0])
    yield database
    await database.close()


class Purse:
    """A service, and a wallet over it that does not wait before it looks into a lost answer."""

    def __init__(self, database: Database, service: FakeManaCredits, remote: RemoteCredits) -> None:
        self.database = database
        self.service = service
        self.remote = remote
        self.wallet = RemoteWallet(database, remote, lease_seconds=0, left_seconds=0)
        self.memo = MemoActivities(database, MemoryFiles(), 0, self.wallet)

    def anew(self, **options: float) -> None:
        """Another worker takes over: it knows nothing but the rows."""
        given = {"lease_seconds": 0.0, "left_seconds": 0.0} | options
        self.wallet = RemoteWallet(self.database, self.remote, **given)
        self.memo = MemoActivities(self.database, MemoryFiles(), 0, self.wallet)

    async def measured(self, job: MemoJob, price: int) -> None:
        """The probe's step, of a recording of that price."""
        key = f"{job.job_id}:hold_measured"

        async def measure(_: Any) -> int:
            return price

        need = Need(job_id=job.job_id, user_id=job.user_id, key=key, round=job.round)
        await self.wallet.cover(need, measure)
        async with self.database.write() as tx:
            await tx.credits.adjust_hold(job.user_id, job.job_id, key, price)
            await self.wallet.adjusted(tx, job.job_id, job.user_id)
        await self.wallet.tell(job.job_id, job.user_id)

    async def settle(self, job: MemoJob, seconds: float) -> int:
        ref = TranscriptRef(ref="r", seconds=seconds, words=2, sha256="0" * 64, tier="local")
        order = SettleMemo(job=job, transcript=ref, seconds=seconds)
        return (await self.memo.settle(order)).charged

    async def complete(self, job: MemoJob) -> None:
        await self.memo.end(EndMemo(job=job, state=JobState.COMPLETED))

    async def fail(self, job: MemoJob) -> None:
        await self.memo.end(EndMemo(job=job, state=JobState.FAILED, failure=FAILED))

    async def states(self, job: MemoJob) -> list[tuple[str, int]]:
        async with self.database.read() as tx:
            rows = await tx.reservations.of_job(job.job_id, job.user_id)
        return [(row.state, row.amount) for row in rows]

    async def account(self, job: MemoJob) -> tuple[int, int, int]:
        """Of the service: free, reserved, spent."""
        user = job.user_id
        return self.service.balance(user), self.service.open(user), self.service.spent[user]

    async def here(self, job: MemoJob) -> tuple[int, int]:
        async with self.database.read() as tx:
            found = await tx.credits.balance(job.user_id)
        return found.credits, found.held

    async def broken(self) -> list[str]:
        money = {Invariant.LEDGER, Invariant.CHARGED_ONCE}
        found = [each async for each in violations(self.database)]
        return [each.what for each in found if each.invariant in money]


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Purse]:
    service = FakeManaCredits(KEY)
    url = await service.start()
    remote = RemoteCredits(url, SecretStr(KEY), "memoro", seconds=SECONDS)
    purse = Purse(database, service, remote)
    yield purse
    service.release()
    await purse.wallet.aclose()
    await remote.aclose()
    await service.aclose()


@pytest.fixture
async def purse(database: Database) -> AsyncIterator[Purse]:
    async with opened(database) as purse:
        yield purse


async def patiently(step: Any, tries: int = 6) -> Any:
    """A step as Temporal tries it: until it succeeds, or fails for good."""
    for _ in range(tries):
        try:
            return await step()
        except Failure as failure:
            if failure.final:
                raise
    return await step()


async def test_a_memo_is_reserved_corrected_and_committed_to_the_credit(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=61)
    await purse.memo.reserve(job)
    assert await purse.account(job) == (147, 3, 0)
    assert await purse.here(job) == (3, 3)
    await purse.measured(job, 10)
    assert await purse.account(job) == (140, 10, 0)
    assert await purse.settle(job, 300) == 10
    assert await purse.account(job) == (140, 0, 10)
    assert await purse.here(job) == (0, 0)
    await purse.complete(job)
    assert await purse.states(job) == [("committed", 3), ("committed", 7)]


async def test_a_recording_shorter_than_claimed_is_reserved_anew_before_the_old_goes(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=300)
    await purse.memo.reserve(job)
    await purse.measured(job, 2)
    assert await purse.account(job) == (148, 2, 0)
    assert await purse.here(job) == (2, 2)
    assert await purse.states(job) == [("refunded", 10), ("reserved", 2)]


async def test_who_has_not_enough_for_both_gets_the_first_back_before_the_second(
    purse: Purse, new_memo: NewMemo
) -> None:
    job = await new_memo(claimed_seconds=300)
    purse.service.earned[job.user_id] = 11
    await purse.memo.reserve(job)
    await purse.measured(job, 8)
    assert await purse.account(job) == (3, 8, 0)
    assert await purse.settle(job, 240) == 8
    assert await purse.account(job) == (3, 0, 8)
    assert await purse.here(job) == (0, 0)


async def test_too_few_credits_are_told_with_what_there_is(purse: Purse, new_memo: NewMemo) -> None:
    job = await new_memo(claimed_seconds=300)
    purse.service.earned[job.user_id] = 9
    with pytest.raises(InsufficientCredits) as short:
        await purse.memo.reserve(job)
    assert (short.value.required, short.value.available) == (10, 9)
    purse.service.earned[job.user_id] = 12
    await purse.memo.reserve(job)
    with pytest.raises(InsufficientCredits) as short:
        await purse.measured(job, 13)
    assert (short.value.required, short.value.available) == (13, 12)
    await purse.fail(job)
    assert await purse.account(job) == (12, 0, 0)
    assert await purse.here(job) == (0, 0)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_what_ends_without_a_transcript_is_given_back(
    purse: Purse, new_memo: NewMemo, state: JobState
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    await purse.memo.end(EndMemo(job=job, state=state, failure=FAILED))
    assert await purse.account(job) == (150, 0, 0)
    assert await purse.here(job) == (0, 0)


async def test_a_retry_is_charged_once_and_only_when_it_succeeds(
    purse: Purse, new_memo: NewMemo, database: Database
) -> None:
    job = await new_memo()
    await purse.memo.reserve(job)
    await purse.fail(job)
    async with database.write() as tx:
        row = await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=60)
    again = MemoJob.model_validate(row.request)
    await purse.memo.reserve(again)
    for _ in range(2):
        assert await purse.settle(again, 61) == 3
    await purse.complete(again)
    assert await purse.account(job) == (147, 0, 3)
    assert purse.service.made("commit") == 1


async def test_a_job_that_ended_meanwhile_reserves_nothing(purse: Purse, new_memo: NewMemo) -> None:
    job = await new_memo()
    await purse.memo.end(EndMemo(job=job, state=JobState.CANCELLED))
    assert not (await purse.memo.reserve(job)).present
    assert purse.service.calls == []


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


async def test_many_jobs_at_once_reserve_no_more_than_there_is(
    purse: Purse, new_memo: NewMemo
) -> None:
    user = str(uuid4())
    purse.service.earned[user] = 16
    jobs = [await new_memo(user_id=user) for _ in range(8)]
    outcomes = await asyncio.gather(
        *(purse.memo.reserve(job) for job in jobs), return_exceptions=True
    )
    assert sum(isinstance(each, InsufficientCredits) for each in outcomes) == 3
    assert (purse.service.balance(user), purse.service.open(user)) == (1, 15)
