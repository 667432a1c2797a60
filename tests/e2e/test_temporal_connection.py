"""The connection to Temporal, the shared plugin and the job starter, on a real server."""

import asyncio
import json
import logging
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from pydantic import SecretBytes
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError, ApplicationErrorCategory
from temporalio.worker import Replayer, Worker

from contracts import ids
from contracts.errors import Unavailable
from contracts.queues import MAIN
from runtime import logs
from runtime.addresses import port_of, reserve
from runtime.polling import hosts_by_queue
from runtime.schedules import prepare
from runtime.settings import load
from runtime.settings_groups import TemporalSettings
from runtime.settings_values import PayloadKey
from runtime.temporal import connect, connect_when_up, make_plugin
from runtime.temporal_jobs import JOB_KIND, SUBJECT_ID, USER_ID, TemporalJobs
from runtime.temporal_server import DevServer, resolve, start_dev_server_args
from tests.fakes.echo_job import EchoJob, Told, obey

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PLANTED = "a secret sentence somebody spoke"
KEY = PayloadKey(id="k1", key=SecretBytes(b"k" * 32))


class Server:
    """A dev server without our search attributes, on a port that stays its own."""

    def __init__(self, folder: Path) -> None:
        self._held = reserve("127.0.0.1", 0, "")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{port_of(self._held)}"

    @property
    def settings(self) -> TemporalSettings:
        return load(None, TEMPORAL_ADDRESS=self.address).temporal

    def start(self) -> None:
        executable = resolve().executable
        server = DevServer(
            port=port_of(self._held), ui_port=None, database=self._folder / "temporal.db"
        )
        arguments = list(start_dev_server_args(server))
        while "--search-attribute" in arguments:
            at = arguments.index("--search-attribute")
            del arguments[at : at + 2]
        with (self._folder / "temporal.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(executable), *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self._held.close()


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    found = Server(tmp_path_factory.mktemp("temporal"))
    found.start()
    try:
        await prepare(found.settings)
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
async def client(server: Server) -> Client:
    return await connect(server.settings)


@asynccontextmanager
async def serving(client: Client) -> AsyncIterator[None]:
    worker = Worker(client, task_queue=MAIN, workflows=[EchoJob], activities=[obey])
    async with worker:
        yield


def new_job() -> str:
    return f"echo-{uuid4()}"


async def failure_of(client: Client, told: Told) -> ApplicationError:
    """What a workflow sees of an activity's failure."""
    with pytest.raises(WorkflowFailureError) as raised:
        await client.execute_workflow("echo", told, id=new_job(), task_queue=MAIN)
    assert isinstance(raised.value.cause, ActivityError)
    cause = raised.value.cause.cause
    assert isinstance(cause, ApplicationError)
    return cause


async def test_starting_a_job_twice_is_one_job(client: Client) -> None:
    jobs, job_id = TemporalJobs(client), new_job()
    assert await jobs.start("echo", job_id, str(uuid4()), {"wait": True}) is True
    assert await jobs.start("echo", job_id, str(uuid4()), {"wait": True}) is False
    assert await jobs.running(job_id)


async def test_a_job_that_was_started_many_times_at_once_is_one_job(client: Client) -> None:
    jobs, job_id = TemporalJobs(client), new_job()
    user = str(uuid4())
    started = await asyncio.gather(
        *(jobs.start("echo", job_id, user, {"wait": True}) for _ in range(20))
    )
    assert sorted(started) == [False] * 19 + [True]


async def test_a_job_that_has_ended_can_be_started_again(client: Client) -> None:
    jobs, job_id = TemporalJobs(client), new_job()
    async with serving(client):
        for _ in range(2):
            assert await jobs.start("echo", job_id, str(uuid4()), {"message": "hi"}) is True
            assert await client.get_workflow_handle(job_id).result() == "hi"
    assert not await jobs.running(job_id)
    assert await jobs.status(job_id) is WorkflowExecutionStatus.COMPLETED


async def test_operators_find_a_job_by_kind_user_and_subject(client: Client) -> None:
    jobs, job_id, user = TemporalJobs(client), new_job(), str(uuid4())
    await jobs.start("echo", job_id, user, {"wait": True})
    found = await client.get_workflow_handle(job_id).describe()
    attributes = found.typed_search_attributes
    assert attributes.get(JOB_KIND) == "echo"
    assert attributes.get(USER_ID) == user
    assert attributes.get(SUBJECT_ID) == job_id.removeprefix("echo-")
    assert await found.static_summary() == "echo"
    assert found.raw_description.workflow_execution_info.priority.fairness_key == user
    assert found.raw_description.execution_config.workflow_execution_timeout.ToTimedelta() == (
        timedelta(hours=48)
    )


async def test_cancelling_ends_a_running_job_and_nothing_else(client: Client) -> None:
    jobs, job_id = TemporalJobs(client), new_job()
    await jobs.start("echo", job_id, str(uuid4()), {"wait": True})
    async with serving(client):
        assert await jobs.cancel(job_id) is True
        with suppress(WorkflowFailureError):
            await client.get_workflow_handle(job_id).result()
        await jobs.start("echo", ended := new_job(), str(uuid4()), {"message": "hi"})
        await client.get_workflow_handle(ended).result()
    assert await jobs.status(job_id) is WorkflowExecutionStatus.CANCELED
    assert await jobs.cancel(job_id) is False
    assert await jobs.cancel(ended) is False
    assert await jobs.cancel(new_job()) is False


async def test_a_job_nobody_started_is_unknown(client: Client) -> None:
    jobs = TemporalJobs(client)
    assert await jobs.status(new_job()) is None
    assert await jobs.running(new_job()) is False


async def test_the_class_of_a_failure_says_whether_it_is_tried_again(client: Client) -> None:
    async with serving(client):
        final = await failure_of(client, Told(fail="MediaRejected", message="no", tries=5))
        assert (final.type, final.message) == ("audio_not_supported", "no")
        assert final.non_retryable
        busy = await failure_of(client, Told(fail="ProviderBusy", message="later"))
        assert (busy.type, busy.non_retryable) == ("provider_busy", False)


async def test_retry_after_is_the_pause_before_the_next_try(client: Client) -> None:
    # The policy's own pause is 30 s, in which this test would run out of time.
    told = Told(fail="Unavailable", message="away", retry_after=0.05, tries=3)
    async with serving(client), asyncio.timeout(60):
        failure = await failure_of(client, told)
    assert failure.next_retry_delay == timedelta(seconds=0.05)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("NotThereYet", ApplicationErrorCategory.BENIGN),
        ("NoSpeech", ApplicationErrorCategory.BENIGN),
        ("InvalidInput", ApplicationErrorCategory.BENIGN),
        ("Unavailable", ApplicationErrorCategory.UNSPECIFIED),
        ("ProviderOut", ApplicationErrorCategory.UNSPECIFIED),
    ],
)
async def test_only_what_is_unexpected_counts_as_an_error(
    client: Client, name: str, category: ApplicationErrorCategory
) -> None:
    async with serving(client):
        assert (await failure_of(client, Told(fail=name, message="x"))).category is category


async def test_what_a_failure_carries_comes_along_as_its_detail(client: Client) -> None:
    async with serving(client):
        failure = await failure_of(client, Told(fail="InsufficientCredits"))
    assert list(failure.details) == [{"requiredCredits": 3, "availableCredits": 1}]


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("name", ["ValueError", "KeyError"])
async def test_the_words_of_an_unknown_exception_reach_neither_history_nor_log(
    client: Client, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    logs.configure(load(None, LOG_FORMAT="json").logs)
    # Sealed, so that the input itself is no hit.
    sealed = await connect(
        load(None, TEMPORAL_ADDRESS=client.service_client.config.target_host).temporal.model_copy(
            update={"payload_keys": (KEY,)}
        )
    )
    async with serving(sealed):
        failure = await failure_of(sealed, Told(fail=name, message=PLANTED))
    assert (failure.type, failure.non_retryable) == ("internal_error", False)
    assert failure.message == f"obey met an unexpected {name}"
    assert failure.cause is None
    said = capsys.readouterr().err
    assert '"activity.crashed"' in said
    assert PLANTED not in said


async def test_with_keys_nothing_readable_is_stored_and_the_history_still_replays(
    server: Server,
) -> None:
    settings = server.settings.model_copy(update={"payload_keys": (KEY,)})
    client = await connect(settings)
    job_id = new_job()
    told = Told(fail="Unavailable", message=PLANTED)
    async with serving(client):
        with suppress(WorkflowFailureError):
            await client.execute_workflow("echo", told, id=job_id, task_queue=MAIN)
    stored = await client.get_workflow_handle(job_id).fetch_history()
    raw = stored.to_json()
    assert PLANTED not in raw
    assert "echo_job.py" not in raw
    assert json.loads(raw)["events"]
    replayer = Replayer(workflows=[EchoJob], plugins=[make_plugin(settings.payload_keys)])
    await replayer.replay_workflow(stored)


async def test_a_lazy_client_answers_unavailable_until_the_server_is_there_and_after_it_left(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path)
    try:
        jobs = TemporalJobs(await connect(server.settings, lazy=True))
        for call in (jobs.health(), jobs.start("echo", new_job(), "u", {}), jobs.status("x")):
            with pytest.raises(Unavailable) as raised:
                await call
            assert raised.value.retry_after == 1
        server.start()
        await connect_when_up(server.settings)
        await prepare(server.settings)
        await jobs.health()
        job_id = new_job()
        assert await jobs.start("echo", job_id, "u", {"wait": True})
        server.kill()
        with pytest.raises(Unavailable):
            await jobs.cancel(job_id)
        server.start()
        await connect_when_up(server.settings)
        assert await jobs.running(job_id)
    finally:
        server.close()


async def test_connecting_where_nothing_listens_is_unavailable(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with pytest.raises(Unavailable):
        await connect(server.settings)
    server.close()


async def test_schedules_are_made_once_and_an_operators_pause_survives_the_next_deploy(
    server: Server, client: Client
) -> None:
    handle = client.get_schedule_handle(ids.RECONCILE)
    before = await handle.describe()
    assert before.schedule.spec.intervals[0].every == timedelta(minutes=1)
    await handle.pause(note="looking into it")
    await prepare(server.settings)
    after = await handle.describe()
    assert (after.schedule.state.paused, after.schedule.state.note) == (True, "looking into it")
    names = [entry.id async for entry in await client.list_schedules()]
    assert names.count(ids.RECONCILE) <= 1


async def test_hosts_are_known_by_queue_while_workers_poll(client: Client) -> None:
    queue = f"test-{uuid4()}"
    assert await hosts_by_queue(client, [queue]) == {queue: frozenset()}
    async with Worker(client, task_queue=queue, activities=[obey]):
        while not (found := await hosts_by_queue(client, [queue]))[queue]:
            await asyncio.sleep(0.05)
    [host] = found[queue]
    assert client.identity.endswith(f"@{host}")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, {"target_host": "127.0.0.1:7233", "tls": False}),
        (
            {
                "TEMPORAL_ADDRESS": "ns.acct.tmprl.cloud:7233",
                "TEMPORAL_NAMESPACE": "ns.acct",
                "TEMPORAL_API_KEY": "key",
            },
            {"target_host": "ns.acct.tmprl.cloud:7233", "api_key": "key", "tls": True},
        ),
        (
            {"TEMPORAL_ADDRESS": "h:1", "TEMPORAL_TLS": "true"},
            {"target_host": "h:1", "tls": True},
        ),
    ],
)
async def test_temporal_cloud_needs_nothing_but_the_environment(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], expected: dict[str, Any]
) -> None:
    for name, value in ({"ENV_FILE": ""} | names).items():
        monkeypatch.setenv(name, value)
    client = await connect(load().temporal, lazy=True)
    config = client.service_client.config
    assert config.target_host == expected["target_host"]
    assert bool(config.tls) is expected["tls"]
    assert config.api_key == expected.get("api_key")
    assert client.namespace == names.get("TEMPORAL_NAMESPACE", "default")
