"""One data folder as a test sees it: database, files, a vendor, memos in it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

import worker
from contracts import ids
from contracts.audio import MediaKind
from contracts.memo import MemoJob, MemoResult
from contracts.queues import MAIN
from runtime.settings import Settings, load
from runtime.settings_values import PayloadKey
from runtime.temporal import make_plugin
from runtime.temporal_jobs import JOB_KIND, SUBJECT_ID, USER_ID, TemporalJobs
from runtime.temporal_server import dev_server_extra_args, resolve
from store.database import Database
from store.files import open_files
from store.invariants import violations
from store.resumable_disk import ResumableFiles
from tests.fakes.openai import FakeOpenAI

DEATH_NOTICED = timedelta(seconds=1)
"""Time-out of a workflow task, ten seconds outside of tests."""


@asynccontextmanager
async def local_server(keys: tuple[PayloadKey, ...] = ()) -> AsyncIterator[WorkflowEnvironment]:
    """The real dev server, its history in memory."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(resolve().executable),
        dev_server_extra_args=dev_server_extra_args(),
        search_attributes=[JOB_KIND, USER_ID, SUBJECT_ID],
        plugins=[make_plugin(keys)],
    )
    async with environment:
        yield environment


class Site:
    """A migrated data folder and its vendor; the caller runs the worker.

    Args:
        storage: settings of the storage, on disk when there are none.
    """

    def __init__(
        self,
        client: Client,
        folder: Path,
        vendor: FakeOpenAI,
        storage: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.client = client
        self.folder = folder
        self.vendor = vendor
        self.storage = storage
        self.database = Database(f"sqlite:///{folder / 'voicekeep.db'}")
        self._stack = AsyncExitStack()
        self.files = open_files(self.settings().storage_setup, self._stack).files

    def settings(self, **overrides: object) -> Settings:
        """Of a worker whose only tier is the vendor."""
        return load(
            None,
            **{
                "DATA_DIR": self.folder,
                "TRANSCRIPTION_TIERS": "openai",
                "OPENAI_BASE_URL": self.vendor.base_url,
                "OPENAI_API_KEY": "test",
                "LANGUAGE_MODEL_TIERS": "local",
            }
            | dict(self.storage)
            | overrides,
        )

    async def memo(self, audio: Path | None, **fields: object) -> MemoJob:
        """Write a memo's rows as the API does, with its file in storage when there is one."""
        memo_id, user_id = str(uuid.uuid4()), str(fields.get("user_id", uuid.uuid4()))
        suffix = audio.suffix if audio else ".m4a"
        job = MemoJob(
            job_id=ids.memo_job(memo_id),
            memo_id=memo_id,
            user_id=user_id,
            audio_path=f"{user_id}/{memo_id}/audio{suffix}",
            claimed_seconds=200,
            heartbeat_seconds=2,
        ).model_copy(update=fields)
        async with self.database.write() as tx:
            await tx.media.add(
                job.audio_path, user_id, kind=MediaKind.UPLOAD, memo_id=memo_id, job_id=None
            )
            await tx.memos.create(
                memo_id,
                user_id,
                title="New recording",
                title_by_user=False,
                source={"audio_path": job.audio_path},
                metadata={},
                job_id=job.job_id,
            )
            await tx.jobs.create(
                job.job_id,
                user_id,
                kind=ids.MEMO,
                subject_id=memo_id,
                request=job.model_dump(mode="json"),
                deadline_seconds=600,
            )
        if audio is not None:
            await self.files.put_file(job.audio_path, audio, media_type="audio/unknown")
        return job

    async def start(self, job: MemoJob) -> WorkflowHandle[object, MemoResult]:
        """Start the memo's workflow; a dead worker's workflow task is given out again soon."""
        return await self.client.start_workflow(
            ids.MEMO,
            job,
            id=job.job_id,
            task_queue=MAIN,
            task_timeout=DEATH_NOTICED,
            result_type=MemoResult,
        )

    @asynccontextmanager
    async def working(self, **overrides: object) -> AsyncIterator[None]:
        """The real worker in this process, over this site's own database object."""
        settings = self.settings(**overrides)
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            jobs = TemporalJobs(self.client)
            activities = await worker.assemble(settings, self.database, jobs, stack)
            serving = asyncio.create_task(worker.serve(settings, self.client, activities, stop))
            try:
                yield
            finally:
                stop.set()
                await serving

    async def broken(self) -> list[object]:
        """Every invariant that does not hold."""
        resumable = ResumableFiles(self.folder / "files")
        return [found async for found in violations(self.database, self.files, resumable)]

    async def close(self) -> None:
        await self._stack.aclose()
        await self.database.close()
        await self.vendor.aclose()
