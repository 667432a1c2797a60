"""Temporal as production runs it: its real server on a real PostgreSQL, set up by our scripts."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.e2e.production import ROOT, ProductionTemporal, postgres, postgres_programs

NAMESPACE = "voicekeep"
SUBJECT = SearchAttributeKey.for_keyword("SubjectId")

# Building the server takes minutes where it has never been built.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(postgres_programs() is None, reason="no PostgreSQL server is installed"),
    pytest.mark.skipif(shutil.which("go") is None, reason="no Go to build the server with"),
]


@workflow.defn(name="waits")
class Waits:
    """A job that is in the middle of something for a while."""

    @workflow.run
    async def run(self, seconds: float) -> str:
        await workflow.sleep(timedelta(seconds=seconds))
        return "done"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionTemporal]:
    """The production server, set up as a first deployment does."""
    build = [sys.executable, str(ROOT / "tools" / "build_tools.py"), "--all"]
    subprocess.run(build, check=True)
    log: Path = tmp_path_factory.mktemp("production") / "temporal.log"
    with postgres("temporal") as port:
        temporal = ProductionTemporal(port, log)
        temporal.run_script("setup-schema.sh")
        temporal.start()
        try:
            temporal.run_script("register.sh")
            yield temporal
        finally:
            temporal.kill()


def test_a_second_deployment_changes_nothing_and_succeeds(server: ProductionTemporal) -> None:
    server.run_script("setup-schema.sh")
    server.run_script("register.sh")


async def test_a_job_found_by_its_subject_survives_a_crash_of_the_server(
    server: ProductionTemporal,
) -> None:
    client = await Client.connect(server.address, namespace=NAMESPACE)
    queue, subject = f"queue-{uuid4()}", str(uuid4())
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Waits],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=2,
        max_cached_workflows=10,
    ):
        job = await client.start_workflow(
            Waits.run,
            3.0,
            id=f"waits-{subject}",
            task_queue=queue,
            execution_timeout=timedelta(minutes=5),
            search_attributes=TypedSearchAttributes([SearchAttributePair(SUBJECT, subject)]),
            priority=Priority(priority_key=2, fairness_key="someone"),
        )
        await until_listed(client, f"SubjectId = '{subject}'")
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(90):
            assert await result_of(client, job.id) == "done"


async def result_of(client: Client, job_id: str) -> str:
    """What a job returned, asked for again while the server is away."""
    while True:
        try:
            job = client.get_workflow_handle_for(Waits.run, job_id)
            return await job.result(rpc_timeout=timedelta(seconds=10))
        except RPCError:
            await asyncio.sleep(0.5)


async def until_listed(client: Client, query: str) -> None:
    """Waits until the list that operators see holds one job."""
    async with asyncio.timeout(30):
        while [job async for job in client.list_workflows(query)] == []:
            await asyncio.sleep(0.2)
