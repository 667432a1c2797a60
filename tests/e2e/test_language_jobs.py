"""A worker that dies in a language job: one result, one charge, one call where that can be known.

Real server, real worker process; the model is a stand-in over a real socket that counts its calls.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.language import Use
from contracts.language_job import LanguageJob
from contracts.tiers import Attempt, AttemptOutcome
from providers.language_translation import BATCH_LINES
from store.migrations import upgrade
from tests.counts import payloads_in
from tests.e2e.mortal import Mortal
from tests.fakes.openai import FakeOpenAI
from tests.written import ORDER, PLANTED, ordered, start, transcribed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WHEN = ("inside", "after", pytest.param("before", marks=pytest.mark.slow))


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    # Takes a temperature, so that no call is refused for it and made again.
    site.settings_of_worker = {
        "LANGUAGE_MODEL_TIERS": "openai",
        "OPENAI_LANGUAGE_MODEL": "some-model",
    }
    yield site
    await site.close()


async def answered(site: Mortal, job: LanguageJob) -> None:
    """Everything that must hold once a question is answered."""
    async with site.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
        found = await tx.jobs.find(job.job_id, job.user_id)
        memories = await tx.memories.list(job.subject_id, job.user_id)
    assert (balance.credits, balance.held, balance.total_spent) == (145, 0, 5)
    assert found is not None
    assert found.state is JobState.COMPLETED
    (memory,) = memories
    assert memory.content is not None
    assert "MARK-2" in memory.content
    assert await site.broken() == []


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", ["reserve_language", "write_language"])
async def test_a_worker_that_dies_once_leaves_one_answer_one_charge_and_one_call(
    site: Mortal, tmp_path: Path, step: str, when: str
) -> None:
    job = await ordered(site, await transcribed(site, tmp_path), Use.QUESTION)
    async with site.worker(step, when):
        result = await asyncio.wait_for((await start(site, job)).result(), 100)
    assert site.deaths == 1
    assert (result.state, result.charged) == (JobState.COMPLETED, 5)
    assert len(site.vendor.calls) == 1
    await answered(site, job)


@pytest.mark.parametrize("when", WHEN)
async def test_a_worker_that_dies_over_a_failure_charges_nothing(
    site: Mortal, tmp_path: Path, when: str
) -> None:
    site.vendor.fault(status=401, times=9)
    job = await ordered(site, await transcribed(site, tmp_path), Use.QUESTION)
    async with site.worker("end_language", when):
        handle = await start(site, job)
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 100)
    assert site.deaths == 1
    assert len(site.vendor.calls) == 1
    async with site.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
        state = await tx.jobs.state(job.job_id, job.user_id)
    assert (balance.credits, balance.held, state) == (150, 0, JobState.FAILED)
    assert await site.broken() == []


async def test_a_call_whose_answer_was_lost_is_made_again_once_and_both_are_seen(
    site: Mortal, tmp_path: Path
) -> None:
    job = await ordered(site, await transcribed(site, tmp_path), Use.QUESTION)
    site.vendor.fault(hang=True)
    async with site.worker("no step", "before"):
        handle = await start(site, job)
        async with asyncio.timeout(100):
            while not site.vendor.calls:
                await asyncio.sleep(0.05)
            site.kill()
            await handle.result()
    site.vendor.release()
    assert len(site.vendor.calls) == 2
    async with site.database.read() as tx:
        lost, served = await tx.attempts.list(job.job_id, job.user_id)
    assert (lost.outcome, lost.error_code) == (AttemptOutcome.FAILED, "worker_lost")
    assert (served.outcome, served.step) == (AttemptOutcome.SUCCEEDED, "write")
    await answered(site, job)


@pytest.mark.slow
async def test_a_worker_that_dies_in_a_translation_buys_the_batch_under_way_again_alone(
    site: Mortal, tmp_path: Path
) -> None:
    site.settings_of_worker["LANGUAGE_PARALLEL_CALLS"] = "1"
    memo = await transcribed(site, tmp_path, "de-DE", lines=BATCH_LINES + 1)
    job = await ordered(site, memo, Use.TRANSLATE)
    site.vendor.fault()  # nothing goes wrong with the first
    site.vendor.fault(hang=True)
    async with site.worker("no step", "before"):
        handle = await start(site, job)
        async with asyncio.timeout(100):
            while len(site.vendor.calls) < 2:
                await asyncio.sleep(0.05)
            site.kill()
            result = await handle.result()
    site.vendor.release()
    assert (result.charged, len(site.vendor.calls)) == (5, 3)
    async with site.database.read() as tx:
        texts = await tx.language.texts(job.job_id, job.user_id)
        balance = await tx.credits.balance(job.user_id)
    assert list(texts) == list(range(BATCH_LINES + 1))
    assert (balance.credits, balance.held) == (145, 0)
    assert await site.broken() == []


@pytest.mark.parametrize("use", list(Use))
async def test_no_word_of_what_is_asked_or_written_is_in_the_stored_history(
    site: Mortal, tmp_path: Path, use: Use
) -> None:
    memo = await transcribed(site, tmp_path, "de-DE" if use is Use.TRANSLATE else "en-US")
    said = f'"Only {PLANTED} MARK-2."'
    site.vendor.fault(pattern=r'"[^"]*MARK-2[^"]*"', becomes=said)
    job = await ordered(site, memo, use, ORDER)
    async with site.working(LANGUAGE_MODEL_TIERS="openai"):
        handle = await start(site, job)
        assert (await handle.result()).state is JobState.COMPLETED
        history = await handle.fetch_history()
    payloads = [payload.data for payload in payloads_in(history.events)]
    assert any(job.job_id.encode() in data for data in payloads)
    for data in payloads:
        for word in (PLANTED, "MARK-", "arbour", "boats"):
            assert word.encode() not in data
    assert await site.broken() == []


async def test_a_job_cancelled_in_the_middle_of_its_call_ends_free_of_charge(
    site: Mortal, tmp_path: Path
) -> None:
    job = await ordered(site, await transcribed(site, tmp_path), Use.QUESTION)
    site.vendor.fault(hang=True)
    async with site.worker("no step", "before"):
        handle = await start(site, job)
        async with asyncio.timeout(60):
            while not site.vendor.calls:
                await asyncio.sleep(0.05)
            await handle.cancel()
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            while not [a for a in await _attempts(site, job) if a.outcome is not None]:
                await asyncio.sleep(0.05)
        site.vendor.release()
    (attempt,) = await _attempts(site, job)
    assert attempt.outcome is AttemptOutcome.CANCELLED
    async with site.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
    assert (balance.credits, balance.held) == (150, 0)
    assert await site.broken() == []


async def _attempts(site: Mortal, job: LanguageJob) -> Sequence[Attempt]:
    async with site.database.read() as tx:
        return await tx.attempts.list(job.job_id, job.user_id)
