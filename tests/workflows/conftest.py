"""A real server with a virtual clock, and activities that answer by script."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from contracts import ids, queues
from contracts.language import Use
from contracts.language_job import LanguageJob, LanguageResult
from contracts.memo import MemoJob, MemoResult
from contracts.speech import SpeechFormat
from contracts.speech_job import SpeechJob, SpeechResult
from runtime.temporal import make_plugin
from runtime.temporal_jobs import JOB_KIND, SUBJECT_ID, USER_ID
from runtime.temporal_server import dev_server_extra_args, resolve
from tests.faults.asked_delays import AskedDelays
from tests.workflows.script import Script
from workflows import policies
from workflows.language import LanguageWorkflow
from workflows.memo import MemoWorkflow
from workflows.speech import SpeechWorkflow


@pytest.fixture(scope="session")
def delays() -> AskedDelays:
    return AskedDelays()


@pytest.fixture(scope="session")
async def skipping(delays: AskedDelays) -> AsyncIterator[WorkflowEnvironment]:
    """The real server, skipping to the next timer, back-off or timeout."""
    server = resolve()
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(),
        dev_server_existing_path=str(server.executable),
        dev_server_extra_args=dev_server_extra_args(time_skipping=True),
        search_attributes=[JOB_KIND, USER_ID, SUBJECT_ID],
        plugins=[delays.plugin(), make_plugin()],
    )
    async with environment:
        yield environment
    # The SDK's core writes a panic to stderr for each time-out of a local activity that runs out
    # after its worker has ended (harmless, 1.35); let them run out before pytest sums up.
    await asyncio.sleep(policies.SHORT_STEP.total_seconds() + 1)


def worker(client: Client, queue: str, script: Script, *workflows: type) -> Worker:
    """Runs workflows on a queue of the test's own; what they raise ends them."""
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=script.activities(),
        workflow_failure_exception_types=[Exception],
    )


def media_worker(client: Client, script: Script) -> Worker:
    """Runs what media workers do."""
    return Worker(client, task_queue=queues.MEDIA, activities=script.activities())


class MemoRunner:
    """Starts memo workflows whose activities follow a script."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self.client = environment.client
        self.environment = environment

    @asynccontextmanager
    async def by_the_clock(
        self, script: Script, job: MemoJob | None = None
    ) -> AsyncIterator[WorkflowHandle[MemoWorkflow, MemoResult]]:
        """As ``started``; time passes as it does, or when a test says so."""
        with self.environment.with_time_skipping_disabled():
            async with self.started(script, job) as handle:
                yield handle

    def job(self, **fields: object) -> MemoJob:
        memo_id = str(uuid.uuid4())
        return MemoJob(
            job_id=ids.memo_job(memo_id),
            memo_id=memo_id,
            user_id=str(uuid.uuid4()),
            audio_path="u/m/audio.m4a",
            claimed_seconds=61,
            **fields,
        )

    @asynccontextmanager
    async def started(
        self, script: Script, job: MemoJob | None = None
    ) -> AsyncIterator[WorkflowHandle[MemoWorkflow, MemoResult]]:
        job = job or self.job()
        queue = f"test-{job.memo_id}"
        main = worker(self.client, queue, script, MemoWorkflow, LanguageWorkflow)
        async with media_worker(self.client, script), main:
            yield await self.client.start_workflow(
                MemoWorkflow.run,
                job,
                id=job.job_id,
                task_queue=queue,
                execution_timeout=timedelta(days=10),
            )

    async def run(self, script: Script, job: MemoJob | None = None) -> MemoResult:
        async with self.started(script, job) as handle:
            return await handle.result()


class LanguageRunner:
    """Starts language workflows whose activities follow a script."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self.client = environment.client

    @asynccontextmanager
    async def started(
        self, script: Script, use: Use = Use.QUESTION
    ) -> AsyncIterator[WorkflowHandle[LanguageWorkflow, LanguageResult]]:
        job = LanguageJob(
            job_id=ids.language_job(use, str(uuid.uuid4())),
            use=use,
            user_id=str(uuid.uuid4()),
            subject_id=str(uuid.uuid4()),
            memo_ids=("m",),
            price=5,
        )
        queue = f"test-{job.job_id}"
        async with worker(self.client, queue, script, LanguageWorkflow):
            yield await self.client.start_workflow(
                LanguageWorkflow.run,
                job,
                id=job.job_id,
                task_queue=queue,
                execution_timeout=timedelta(days=10),
            )

    async def run(self, script: Script, use: Use = Use.QUESTION) -> LanguageResult:
        async with self.started(script, use) as handle:
            return await handle.result()


class SpeechRunner:
    """Starts speech workflows whose activities follow a script."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self.client = environment.client

    @asynccontextmanager
    async def started(
        self, script: Script, **fields: object
    ) -> AsyncIterator[WorkflowHandle[SpeechWorkflow, SpeechResult]]:
        file_id = str(uuid.uuid4())
        job = SpeechJob(
            job_id=ids.speech_job(file_id),
            user_id=str(uuid.uuid4()),
            file_id=file_id,
            form=SpeechFormat.MP3,
            price=3,
        ).model_copy(update=fields)
        queue = f"test-{job.job_id}"
        main = worker(self.client, queue, script, SpeechWorkflow)
        async with media_worker(self.client, script), main:
            yield await self.client.start_workflow(
                SpeechWorkflow.run,
                job,
                id=job.job_id,
                task_queue=queue,
                execution_timeout=timedelta(days=10),
            )

    async def run(self, script: Script, **fields: object) -> SpeechResult:
        async with self.started(script, **fields) as handle:
            return await handle.result()


@pytest.fixture
def reading(skipping: WorkflowEnvironment) -> SpeechRunner:
    return SpeechRunner(skipping)


@pytest.fixture
def writing(skipping: WorkflowEnvironment) -> LanguageRunner:
    return LanguageRunner(skipping)


@pytest.fixture
def memos(skipping: WorkflowEnvironment) -> MemoRunner:
    return MemoRunner(skipping)
