"""A service that keeps credits, on a real socket, and a wallet over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from activities.memo import MemoActivities
from activities.wallet import RemoteWallet
from contracts.errors import Failure
from contracts.invariants import Invariant
from contracts.jobs import JobFailure, JobState
from contracts.memo import EndMemo, MemoJob, SettleMemo
from contracts.reservations import Need
from contracts.speech_job import SpeechJob
from contracts.transcript import TranscriptRef
from providers.remote_credits import RemoteCredits
from store.database import Database
from store.invariants import violations
from tests.fakes.mana_credits import KEY, FakeManaCredits
from tests.fakes.ports import MemoryFiles

Owned = MemoJob | SpeechJob
FAILED = JobFailure(code="provider_out", message="No tier could serve")
SECONDS = 0.5
"""Bound of a call in these tests."""


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

    async def states(self, job: Owned) -> list[tuple[str, int]]:
        async with self.database.read() as tx:
            rows = await tx.reservations.of_job(job.job_id, job.user_id)
        return [(row.state, row.amount) for row in rows]

    async def account(self, job: Owned) -> tuple[int, int, int]:
        """Of the service: free, reserved, spent."""
        user = job.user_id
        return self.service.balance(user), self.service.open(user), self.service.spent[user]

    async def here(self, job: Owned) -> tuple[int, int]:
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


async def patiently(step: Any, tries: int = 6) -> Any:
    """A step as Temporal tries it: until it succeeds, or fails for good."""
    for _ in range(tries):
        try:
            return await step()
        except Failure as failure:
            if failure.final:
                raise
    return await step()
