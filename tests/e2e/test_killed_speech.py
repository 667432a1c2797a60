"""Whoever dies while a text is read aloud: one file, one charge, and no call bought for nothing.

Real server, real processes that are killed; the vendor is a stand-in over a real socket that counts
its calls and outlives them.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts import ids
from contracts.jobs import JobState
from contracts.queues import MAIN
from contracts.speech_job import SpeechJob, SpeechState
from store.migrations import upgrade
from tests.e2e.mortal import Mortal
from tests.e2e.test_killed_api import Front, front
from tests.fakes.openai import FakeOpenAI
from tests.spoken import ordered, paragraphs, start

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

WHEN: Final = ("before", "inside", "recording", "after")
ALWAYS: Final = {("speak_part", "recording")}
"""Where death costs the most; the statements of all steps are in ``test_killed_anywhere.py``."""
STEPS: Final = {"plan_speech": WHEN[:2], "speak_part": WHEN, "join_speech": WHEN}
"""Every step writes in so many transactions that death may come in the second one, or does not."""
POINTS: Final = [
    pytest.param(step, when, marks=[] if (step, when) in ALWAYS else pytest.mark.slow)
    for step, points in STEPS.items()
    for when in dict.fromkeys((*points, "after"))
]
CALL: Final = "audio/speech"
TIERS: Final = {"SPEECH_TIERS": "openai"}


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    site.settings_of_worker = {**TIERS}
    yield site
    await site.close()


def bought(site: Any) -> int:
    return sum(CALL in call["path"] for call in site.vendor.calls)


async def left(site: Mortal, job: SpeechJob) -> tuple[SpeechState, int, list[str]]:
    """State of the file, credits, and how each call of the vendor ended."""
    async with site.database.read() as tx:
        file = await tx.speech.find(job.file_id, job.user_id)
        balance = await tx.credits.balance(job.user_id)
        attempts = await tx.attempts.list(job.job_id, job.user_id)
    assert file is not None
    assert (balance.held, balance.credits + balance.total_spent) == (0, 150)
    return file.state, balance.credits, [each.error_code or str(each.outcome) for each in attempts]


@pytest.mark.parametrize(("step", "when"), POINTS)
async def test_a_worker_that_dies_once_leaves_one_file_and_one_charge(
    site: Mortal, step: str, when: str
) -> None:
    job = (await ordered(site, paragraphs(2), price=2, language="en")).model_copy(
        update={"window": 1}
    )
    async with site.worker(step, when):
        result = await asyncio.wait_for((await start(site, job)).result(), 100)
    assert (site.deaths, result.state, result.parts) == (1, JobState.COMPLETED, 2)
    # Only an answer that was not written down is bought again, and both calls are seen.
    lost = (step, when) == ("speak_part", "recording")
    attempts = ["worker_lost"] * lost + ["succeeded"] * 2
    assert await left(site, job) == (SpeechState.READY, 148, attempts)
    assert bought(site) == 2 + lost
    assert await site.broken() == []


@pytest.mark.parametrize(
    "when",
    [
        pytest.param("before", marks=pytest.mark.slow),
        "inside",
        pytest.param("after", marks=pytest.mark.slow),
    ],
)
async def test_a_worker_that_dies_at_the_end_of_a_text_nobody_speaks_lets_go_of_its_price(
    site: Mortal, when: str
) -> None:
    site.vendor.fault(status=401, undone=True, times=9, call=CALL)
    job = await ordered(site, paragraphs(1), price=2, language="en")
    async with site.worker("end_speech", when):
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for((await start(site, job)).result(), 100)
    assert site.deaths == 1
    assert await left(site, job) == (SpeechState.FAILED, 150, ["provider_out"])
    assert bought(site) == 1
    assert await site.broken() == []


@pytest.mark.slow
async def test_a_worker_killed_while_the_vendor_speaks_has_that_part_spoken_once_more(
    site: Mortal,
) -> None:
    job = (await ordered(site, paragraphs(3), price=2, language="en")).model_copy(
        update={"window": 1}
    )
    site.vendor.fault(call=CALL)
    site.vendor.fault(hang=True, call=CALL)
    async with site.worker("no step", "before"):
        handle = await start(site, job)
        async with asyncio.timeout(100):
            while bought(site) < 2:
                await asyncio.sleep(0.05)
            site.kill()
            result = await handle.result()
    site.vendor.release()
    assert (result.parts, bought(site)) == (3, 4)
    attempts = ["succeeded", "worker_lost", "succeeded", "succeeded"]
    assert await left(site, job) == (SpeechState.READY, 148, attempts)
    assert await site.broken() == []


TEXT: Final = "The lighthouse keeper counted seven ships."
ASKED: Final[dict[str, dict[str, str]]] = {
    "/api/v1/speech": {"text": TEXT, "voice": "nova"},
    "/tts/generate": {"text": TEXT, "voice": "nova"},
    "/v1/audio/speech": {"input": TEXT, "voice": "nova", "model": "tts-1"},
}


async def whole(site: Front) -> None:
    """One file, once it is there, made by one call."""
    async with asyncio.timeout(90):
        while True:
            [file] = (await site.http.get("/api/v1/speech")).json()["speech"]
            if file["status"] == SpeechState.READY:
                break
            await asyncio.sleep(0.2)
    assert bought(site) == 1
    assert await site.broken() == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("path", ASKED)
async def test_a_client_whose_api_died_asks_again_and_has_the_one_file(
    environment: WorkflowEnvironment, tmp_path: Path, path: str, when: str
) -> None:
    async with front(environment, tmp_path / "data", when, **TIERS) as site:
        with pytest.raises(httpx.TransportError):
            await site.http.post(path, json=ASKED[path])
        await site.died()
        async with asyncio.timeout(60):
            while (again := await site.http.post(path, json=ASKED[path])).status_code == 409:
                await asyncio.sleep(float(again.headers["retry-after"]))
        assert again.is_success
        await whole(site)


@pytest.mark.slow
@pytest.mark.parametrize("path", ASKED)
async def test_a_text_whose_client_never_asks_again_is_started_by_reconcile(
    environment: WorkflowEnvironment, tmp_path: Path, path: str
) -> None:
    async with front(environment, tmp_path / "data", "before", **TIERS) as site:
        with pytest.raises(httpx.TransportError):
            await site.http.post(path, json=ASKED[path])
        await site.died()
        started = 0
        async with asyncio.timeout(60):
            while not started:
                await asyncio.sleep(2)
                healed = await site.client.execute_workflow(
                    ids.RECONCILE, id=f"reconcile-{uuid.uuid4()}", task_queue=MAIN
                )
                started = healed["started"]
        await whole(site)
