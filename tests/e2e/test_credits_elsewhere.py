"""A memo whose credits a service elsewhere keeps: real server, real workers, a real socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from activities.wallet import RemoteWallet
from contracts.jobs import JobState
from contracts.memo import MemoJob
from providers.remote_credits import RemoteCredits
from store.migrations import upgrade
from tests.e2e.mortal import Mortal
from tests.fakes.mana_credits import KEY, FakeManaCredits
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

SECONDS = 70
"""Costs three credits; each memo here claims 200 seconds, which are seven."""


class Elsewhere(Mortal):
    """A site and its credits service."""

    service: FakeManaCredits

    @property
    def where(self) -> dict[str, str]:
        return {"MANA_CREDITS_URL": self.service.url, "SERVICE_KEY": KEY}

    async def account(self, job: MemoJob) -> tuple[int, int, int]:
        """Free, reserved, spent."""
        user = job.user_id
        return self.service.balance(user), self.service.open(user), self.service.spent[user]

    async def heal(self) -> int:
        remote = RemoteCredits(self.service.url, SecretStr(KEY), "memoro")
        healed = await RemoteWallet(self.database, remote, left_seconds=0).heal()
        await remote.aclose()
        return healed


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    vendor, service = FakeOpenAI(), FakeManaCredits(KEY)
    await vendor.start()
    await service.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Elsewhere(environment.client, tmp_path, vendor)
    site.service = service
    yield site
    service.release()
    await site.close()
    await service.aclose()


async def test_a_memo_is_transcribed_while_the_service_comes_and_goes_and_charged_to_the_credit(
    site: Elsewhere, tmp_path: Path
) -> None:
    site.service.fault(call="balance", status=503, undone=True, times=2)
    site.service.fault(call="commit", status=503, undone=True, times=9)
    site.service.fault(call="refund-reservation", cut="answer", times=9)
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS))
    async with site.working(**site.where):
        result = await (await site.start(job)).result()
    assert (result.state, result.charged) == (JobState.COMPLETED, 3)
    assert await site.account(job) == (147, 3, 0)
    site.service.faults.clear()
    assert await site.heal() > 0
    assert await site.account(job) == (147, 0, 3)
    assert await site.heal() == 0
    assert await site.broken() == []
    async with site.database.read() as tx:
        here = await tx.credits.balance(job.user_id)
    assert (here.credits, here.held) == (150, 0), "what the ledger here had is left alone"


async def test_who_is_short_at_the_service_is_told_and_keeps_what_there_was(
    site: Elsewhere, tmp_path: Path
) -> None:
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS), claimed_seconds=10)
    site.service.earned[job.user_id] = 2
    async with site.working(**site.where):
        with pytest.raises(WorkflowFailureError) as failed:
            await (await site.start(job)).result()
    assert "3 required, 2 available" in str(failed.value.cause)
    assert await site.account(job) == (2, 0, 0)
    assert site.vendor.calls == []
    assert await site.broken() == []


@pytest.mark.slow
async def test_a_worker_killed_before_it_wrote_down_what_was_reserved_asks_once_more_and_says_so(
    site: Elsewhere, tmp_path: Path
) -> None:
    site.settings_of_worker = site.where
    site.service.fault(call="reserve", hang=True)
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS), claimed_seconds=SECONDS)
    async with site.worker("no step", "before"):
        handle = await site.start(job)
        async with asyncio.timeout(150):
            while not site.service.made("reserve"):
                await asyncio.sleep(0.05)
            site.kill()
            result = await handle.result()
    assert (result.state, result.charged) == (JobState.COMPLETED, 3)
    assert await site.account(job) == (144, 3, 3)
    broken = [each.what for each in await site.broken()]  # type: ignore[attr-defined]  # violations
    assert len(broken) == 1
    assert "not known" in broken[0]
