"""A worker that dies before, inside and after every step: one transcript, one charge, no leftovers.

Real server, real worker process, real ffmpeg; the vendor is a stand-in over a real socket that
counts its calls.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from contracts.tiers import AttemptOutcome
from store.migrations import upgrade
from tests.e2e.mortal import Mortal
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

STEPS = ("reserve", "probe", "convert", "transcribe", "settle", "headline", "discard_work", "end")
POINTS = [
    *((step, "inside") for step in STEPS),
    *((step, "after") for step in ("convert", "transcribe", "settle", "end")),
    *(
        pytest.param(step, when, marks=pytest.mark.slow)
        for step in STEPS
        for when in ("before", "after")
        if when == "before" or step not in {"convert", "transcribe", "settle", "end"}
    ),
]
SECONDS = 70
"""Costs three credits; claimed as 200, so that the hold is corrected on the way."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A format the vendor does not take, so that it has to be converted."""
    return make(tmp_path_factory.mktemp("audio") / "tone.aiff", SECONDS)


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    yield site
    await site.close()


@pytest.mark.parametrize(("step", "when"), POINTS)
async def test_a_worker_that_dies_once_leaves_one_transcript_and_one_charge(
    site: Mortal, recording: Path, step: str, when: str
) -> None:
    job = await site.memo(recording)
    async with site.worker(step, when):
        handle = await site.start(job)
        result = await asyncio.wait_for(handle.result(), 100)
    assert site.deaths == 1
    assert (result.state, result.charged, result.tier) == (JobState.COMPLETED, 3, "openai")
    assert len(site.vendor.calls) == 1
    await whole(site, job)


async def test_a_call_whose_answer_was_lost_is_made_again_once_and_both_are_seen(
    site: Mortal, recording: Path
) -> None:
    job = await site.memo(recording)
    site.vendor.fault(hang=True)
    async with site.worker("no step", "before"):
        handle = await site.start(job)
        async with asyncio.timeout(100):
            while not site.vendor.calls:
                await asyncio.sleep(0.05)
            site.kill()
            result = await handle.result()
    site.vendor.release()
    assert result.charged == 3
    assert len(site.vendor.calls) == 2
    async with site.database.read() as tx:
        lost, served, headline = await tx.attempts.list(job.job_id, job.user_id)
    assert (headline.step, headline.outcome) == (Step.HEADLINE, AttemptOutcome.SUCCEEDED)
    assert (lost.outcome, lost.error_code) == (AttemptOutcome.FAILED, "worker_lost")
    assert served.outcome is AttemptOutcome.SUCCEEDED
    await whole(site, job)


async def whole(site: Site, job: MemoJob) -> None:
    """Everything that must hold once a memo is complete."""
    async with site.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
        found = await tx.jobs.find(job.job_id, job.user_id)
        memo = await tx.memos.find(job.memo_id, job.user_id)
        transcript = await tx.transcripts.load(job.job_id, job.user_id)
    assert (balance.credits, balance.held, balance.total_spent) == (147, 0, 3)
    assert found is not None
    assert found.state is JobState.COMPLETED
    assert memo is not None
    assert memo.source["transcript"] == transcript.text
    assert len(transcript.text.split()) == SECONDS * 2
    assert [stored.key async for stored in site.files.list("")] == [job.audio_path]
    assert await site.broken() == []
