"""Memos whose recordings are in storage elsewhere: the real worker, Azurite or a stand-in."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from cli import outside_probes, verdict
from contracts import ids
from contracts.jobs import JobState, Step
from contracts.memo import EraseJob, EraseReceipt, MemoJob
from contracts.queues import MAIN
from store.migrations import upgrade
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes import supabase_storage
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site
from tests.stores import supabase

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["supabase", "azure"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Mapping[str, object]]:
    """Settings of a storage with nothing in it."""
    if request.param == "azure":
        azurite: Azurite = request.getfixturevalue("azurite")
        yield {
            "STORAGE": "azure",
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
            "AZURE_BLOB_ENDPOINT": azurite.url,
            "AZURE_STORAGE_CONTAINER": "memos-end-to-end",
        }
        return
    async with supabase() as fake:
        yield {
            "STORAGE": "supabase",
            "MEMORO_SUPABASE_URL": fake.url,
            "MEMORO_SUPABASE_SERVICE_KEY": supabase_storage.KEY,
        }


@pytest.fixture
async def site(
    environment: WorkflowEnvironment, storage: Mapping[str, object], tmp_path: Path
) -> AsyncIterator[Site]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Site(environment.client, tmp_path, vendor, storage)
    yield site
    await site.close()


async def stored(site: Site) -> list[str]:
    return sorted([file.key async for file in site.files.list("")])


async def erased(site: Site, job: MemoJob) -> EraseReceipt:
    """Delete a memo as the API does, and let its erasure end."""
    erasure = EraseJob(job_id=ids.erase_job(job.memo_id), user_id=job.user_id, memo_id=job.memo_id)
    async with site.database.write() as tx:
        await tx.memos.mark_deleted(job.memo_id, job.user_id)
        await tx.jobs.create(
            erasure.job_id,
            job.user_id,
            kind=ids.ERASE,
            subject_id=job.memo_id,
            request=erasure.model_dump(),
            deadline_seconds=600,
        )
    receipt: EraseReceipt = await site.client.execute_workflow(
        ids.ERASE, erasure, id=erasure.job_id, task_queue=MAIN, result_type=EraseReceipt
    )
    return receipt


async def test_a_memo_is_converted_transcribed_and_erased_and_nothing_is_left(
    site: Site, tmp_path: Path
) -> None:
    settings = site.settings()
    examined = await outside_probes(settings)["storage service"]()
    assert site.storage["STORAGE"] != "azure" or "memos-end-to-end" in examined
    job = await site.memo(make(tmp_path / "tone.aiff", 70))
    assert await stored(site) == [job.audio_path]
    async with site.working():
        result = await (await site.start(job)).result()
        assert (result.state, result.tier) == (JobState.COMPLETED, "openai")
        assert await converted(site, job)
        assert await stored(site) == [job.audio_path]
        assert (await verdict(settings)).violations == ()
        assert (await erased(site, job)).files == 1
    assert await stored(site) == []
    assert (await verdict(settings)).violations == ()
    assert not (settings.files_dir / "user-uploads").exists()
    assert list(settings.storage_setup.spool.iterdir()) == []


async def test_a_file_that_is_lost_and_one_that_nobody_owns_are_found(
    site: Site, tmp_path: Path
) -> None:
    job = await site.memo(make(tmp_path / "tone.wav", 1))
    await site.files.put_file(
        "nobody/left/audio.wav", tmp_path / "tone.wav", media_type="audio/wav"
    )
    await site.files.delete(job.audio_path)
    found = (await verdict(site.settings())).violations
    assert {violation.subject for violation in found} >= {job.audio_path, "nobody/left/audio.wav"}
    await site.files.delete("nobody/left/audio.wav")


async def converted(site: Site, job: MemoJob) -> bool:
    """Whether the job made a work file on its way."""
    async with site.database.read() as tx:
        events = await tx.jobs.events_after({job.job_id: 0}, job.user_id)
    return any(event.data.get("step") == Step.CONVERT for event in events)
