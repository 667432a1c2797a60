"""The embedded server with our arguments: the real CLI, a real file, a crash."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from runtime.temporal_server import (
    SEARCH_ATTRIBUTES,
    DevServer,
    TemporalServerMissing,
    resolve,
    start_dev_server_args,
)
from tests.e2e.production import free_ports, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cli() -> Path:
    """The Temporal CLI that `make env` provided."""
    try:
        found = resolve()
    except TemporalServerMissing as missing:
        pytest.skip(missing.message)
    assert found.executable is not None
    return found.executable


@contextmanager
def running(cli: Path, server: DevServer, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server while the block runs, its UI already answering; ended without a word."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            [str(cli), *start_dev_server_args(server)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{server.ui_port}/healthz"))
        yield child
    finally:
        child.kill()
        child.wait()


def answers(url: str) -> bool:
    """Whether a page is there."""
    try:
        with urlopen(url, timeout=2) as page:  # noqa: S310 - an address of this test
            return bool(page.status == 200)
    except OSError:
        return False


async def connected(server: DevServer) -> Client:
    """A client of the server's own namespace, once it takes one."""
    return await Client.connect(f"{server.ip}:{server.port}", namespace=server.namespace)


async def test_what_was_started_is_there_after_a_crash_and_can_be_searched_for(
    cli: Path, tmp_path: Path
) -> None:
    port, ui_port, metrics_port = free_ports(3)
    server = DevServer(
        port=port,
        ui_port=ui_port,
        metrics_port=metrics_port,
        database=tmp_path / "temporal.db",
        namespace="jobs",
    )
    log = tmp_path / "temporal.log"
    value = str(uuid4())
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name in SEARCH_ATTRIBUTES
        ]
    )
    with running(cli, server, log):
        assert answers(f"http://127.0.0.1:{metrics_port}/metrics")
        client = await connected(server)
        await client.start_workflow(
            "anything",
            id=value,
            task_queue="nobody",
            search_attributes=attributes,
            execution_timeout=timedelta(minutes=5),
        )
    with running(cli, server, log):
        client = await connected(server)
        query = " AND ".join(f"{name} = '{value}'" for name in SEARCH_ATTRIBUTES)
        assert [job.id async for job in client.list_workflows(query)] == [value]
