"""A long recording in chunks on the real server: exact calls, also when the worker is killed."""

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

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SECONDS = 430
CHUNKS = 16
"""Or one more: each of at most 31 s, which is what fits into 1 MB."""


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    site.settings_of_worker["OPENAI_TRANSCRIPTION_MAX_MB"] = "1"
    yield site
    await site.close()


async def only_one_is_left(site: Mortal, job: MemoJob) -> bool:
    """Every chunk has been answered but the one that hangs."""
    async with site.database.read() as tx:
        attempts = await tx.attempts.list(job.job_id, job.user_id)
    open_ones = [attempt for attempt in attempts if attempt.outcome is None]
    return len(attempts) > CHUNKS - 1 and len(open_ones) == 1


async def test_a_worker_killed_during_chunk_seven_buys_that_one_again_alone(
    site: Mortal, tmp_path: Path
) -> None:
    job = await site.memo(make(tmp_path / "tone.mp3", SECONDS), claimed_seconds=SECONDS)
    site.vendor.fault(times=6)  # nothing goes wrong with these
    site.vendor.fault(hang=True)
    async with site.worker("no step", "before"):
        handle = await site.start(job)
        async with asyncio.timeout(270):
            while not await only_one_is_left(site, job):
                await asyncio.sleep(0.1)
            site.kill()
            result = await handle.result()
    site.vendor.release()
    assert (result.state, result.tier, result.charged) == (JobState.COMPLETED, "openai", 15)
    async with site.database.read() as tx:
        made = await tx.attempts.list(job.job_id, job.user_id)
        transcript = await tx.transcripts.load(job.job_id, job.user_id)
    attempts = [attempt for attempt in made if attempt.step == Step.TRANSCRIBE]
    lost = [attempt for attempt in attempts if attempt.outcome is not AttemptOutcome.SUCCEEDED]
    assert [attempt.error_code for attempt in lost] == ["worker_lost"]
    chunks = {attempt.chunk for attempt in attempts}
    assert len(chunks) >= CHUNKS
    assert len(site.vendor.calls) == len(attempts) == len(chunks) + 1
    assert transcript.seconds == pytest.approx(SECONDS, abs=1)
    assert await site.broken() == []
