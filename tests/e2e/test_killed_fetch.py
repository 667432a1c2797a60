"""A worker that dies while it fetches a recording: one file, one charge, nothing left over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.memo import MemoJob, MemoResult
from store.migrations import upgrade
from tests.by_url import memo_by_url
from tests.e2e.mortal import Mortal
from tests.fakes.media_host import MediaHost
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CALLS = {"before": 1, "inside": 2, "after": 1}
"""How often the recording is asked for: it is not after all of it is there."""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[MediaHost]:
    host = MediaHost()
    await host.wire.start()
    host.put("memo.wav", make(tmp_path / "tone.wav", 70).read_bytes())
    yield host
    await host.wire.aclose()


@pytest.fixture
async def site(
    environment: WorkflowEnvironment, host: MediaHost, tmp_path: Path
) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    site.settings_of_worker = {"EGRESS_ALLOW": host.wire.url.removeprefix("http://")}
    yield site
    await site.close()


async def whole(site: Mortal, host: MediaHost, job: MemoJob, result: MemoResult) -> None:
    """Everything that must hold of a memo whose recording was fetched."""
    assert (result.state, result.charged) == (JobState.COMPLETED, 3)
    assert len(site.vendor.calls) == 1
    async with site.database.read() as tx:
        memo = await tx.memos.find(job.memo_id, job.user_id)
        assert await tx.addresses.find(job.job_id, job.user_id) is None
    assert memo is not None
    path = memo.source["audio_path"]
    assert [stored.key async for stored in site.files.list("")] == [path]
    assert b"".join([part async for part in site.files.read(path)]) == host.files["memo.wav"][0]
    assert await site.broken() == []


@pytest.mark.parametrize(
    "when", ["inside", *(pytest.param(w, marks=pytest.mark.slow) for w in ("before", "after"))]
)
async def test_a_worker_that_dies_at_the_fetch_leaves_one_file_and_one_charge(
    site: Mortal, host: MediaHost, when: str
) -> None:
    job = await memo_by_url(site, f"{host.wire.url}/memo.wav")
    async with site.worker("fetch", when):
        handle = await site.start(job)
        result = await asyncio.wait_for(handle.result(), 100)
    assert site.deaths == 1
    assert len(host.wire.calls) == CALLS[when]
    await whole(site, host, job, result)


async def test_a_worker_that_is_killed_in_the_middle_of_a_recording_fetches_it_again(
    site: Mortal, host: MediaHost
) -> None:
    host.wire.fault(drip=0.001)
    job = await memo_by_url(site, f"{host.wire.url}/memo.wav")
    incoming = site.folder / "files" / "incoming"
    async with site.worker("no step", "before"):
        handle = await site.start(job)
        async with asyncio.timeout(100):
            while not any(incoming.glob("*")):
                await asyncio.sleep(0.05)
            site.kill()
            result = await handle.result()
    assert len(host.wire.calls) == 2
    await whole(site, host, job, result)
