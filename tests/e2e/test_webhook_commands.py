"""An operator looks at webhooks and sends them again, by the command line alone."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from click.testing import CliRunner, Result
from temporalio.testing import WorkflowEnvironment

from cli import voicekeep as commands
from contracts.ids import webhook_job
from contracts.webhooks import (
    AttemptResult,
    Delivery,
    MemoEventData,
    MessageState,
    WebhookEvent,
)
from store.database import Database
from store.migrations import upgrade

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

FAILED = AttemptResult(delivered=False, status=500, code="refused", seconds=0.25)


class Desk:
    """An operator's, with a user who has an endpoint and a dead letter."""

    def __init__(self, folder: Path, database: Database, temporal: str) -> None:
        self.folder = folder
        self.database = database
        self.temporal = temporal
        self.user = str(uuid4())

    async def prepare(self) -> None:
        said = MemoEventData(memo_id="m", job_id="memo-m", status="completed")
        async with self.database.write() as tx:
            added = await tx.webhook_endpoints.add(self.user, "https://127.0.0.2/", "plain:s")
            (self.delivery,) = await tx.webhooks.announce(
                self.user, WebhookEvent.MEMO_COMPLETED, said, subject="memo-m"
            )
            await tx.webhooks.record(self.delivery, FAILED, pause=None)
        self.endpoint = added.id

    async def run(self, *arguments: str, user: str | None = None, **changes: str) -> Result:
        told = ("webhooks", *arguments, "--user", user or self.user, "--data", str(self.folder))
        environment = {"ENV_FILE": "", "DATABASE_URL": None, "TEMPORAL_ADDRESS": None} | changes
        return await asyncio.to_thread(CliRunner(env=environment).invoke, commands, told)

    async def answer(self, *arguments: str, running: bool = False) -> Any:
        changes = {"TEMPORAL_ADDRESS": self.temporal} if running else {}
        done = await self.run(*arguments, "--json", **changes)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    async def state(self, delivery: Delivery) -> MessageState:
        async with self.database.read() as tx:
            return (await tx.webhook_messages.find(delivery)).state


@pytest.fixture(autouse=True)
def logs_stay() -> Iterator[None]:
    """A command sets up logging as for a process of its own."""
    root, kept = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**kept)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def desk(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Desk]:
    url = f"sqlite:///{tmp_path / 'voicekeep.db'}"
    await upgrade(url)
    database = Database(url)
    desk = Desk(tmp_path, database, environment.client.service_client.config.target_host)
    await desk.prepare()
    yield desk
    await database.close()


async def test_what_was_sent_is_shown_to_whoever_names_its_owner(desk: Desk) -> None:
    message = desk.delivery.id
    endpoints = await desk.answer("endpoints")
    dead = await desk.answer("list", "--status", "dead")
    pending = await desk.answer("list", "--status", "pending")
    shown = await desk.answer("show", message)
    foreign = await desk.run("show", message, user=str(uuid4()))
    assert [each["id"] for each in endpoints["endpoints"]] == [desk.endpoint]
    assert "secret" not in json.dumps(endpoints)
    assert [each["id"] for each in dead["messages"]] == [message]
    assert pending["messages"] == []
    assert shown["message"]["body"]["data"]["job_id"] == "memo-m"
    assert [(each["status"], each["code"]) for each in shown["attempts"]] == [(500, "refused")]
    assert (foreign.exit_code, foreign.stderr) == (1, "voicekeep: Not found\n")


async def test_nothing_is_changed_when_nothing_runs_that_could_send_it(desk: Desk) -> None:
    assert (await desk.run("replay", desk.delivery.id)).exit_code == 3
    assert (await desk.run("test", desk.endpoint)).exit_code == 3
    assert (await desk.run("replay")).exit_code == 2
    assert await desk.state(desk.delivery) is MessageState.DEAD


async def test_what_is_replayed_or_tested_is_sent_by_a_workflow(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    replayed = await desk.answer("replay", desk.delivery.id, running=True)
    tested = await desk.answer("test", desk.endpoint, running=True)
    assert replayed == {"success": True, "messages": 1}
    assert await desk.state(desk.delivery) is MessageState.PENDING
    for message in (desk.delivery.id, tested["messageId"]):
        handle = environment.client.get_workflow_handle(webhook_job(message))
        assert (await handle.describe()).run_id
    of_a_time = (
        "replay",
        "--endpoint",
        desk.endpoint,
        "--from",
        "2020-01-01",
        "--to",
        "2999-01-01",
    )
    assert (await desk.answer(*of_a_time, running=True))["messages"] == 2
    async with desk.database.read() as tx:
        assert len(await tx.webhooks.overdue(seconds=60, limit=9)) == 2
