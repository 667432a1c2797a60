"""Requests made up from the document: no server error, and no answer it does not tell of."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.main import create_app
from api.principals import CRON_HEADER, SERVICE_HEADER
from contracts.jobs import JobState
from tests.api.front import User, settings_for
from tests.api.sockets import served
from tests.api.uploading import begin

EXAMPLES: Final = 12
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


KEY: Final = "key-of-a-test"
KEYS: Final = dict.fromkeys(
    ("SERVICE_KEY", "INTERNAL_API_KEY", "AZURE_SPEECH_WEBHOOK_SECRET", "AZURE_EVENTS_KEY"), KEY
)
"""Routes of keys that are not set are closed, which is a server error to a stranger."""

MANY: Final = {"user": 14_000, "service": 4_000, "cron": 2_000}
"""Requests of the slow test, as each principal."""


@dataclass
class Served:
    """The app served from a thread of its own, and a user of it with a memo."""

    address: str = ""
    user: User = field(default_factory=lambda: User("", {}))
    memo: dict[str, Any] = field(default_factory=dict)
    upload: str = ""
    blueprint: str = ""


@pytest.fixture(scope="module")
def running(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "voicekeep.db").write_bytes(empty_database.read_bytes())
    found, up, stop = Served(), threading.Event(), threading.Event()

    async def serve() -> None:
        limits = {"STARTING_CREDITS": 1_000_000_000, "LONG_CALL_WAIT_SECONDS": 0}
        async with served(folder, **limits, **KEYS) as (front, address):
            found.address, found.user = address, front.user()
            found.memo = await front.new_memo(found.user)
            begun = await begin(front, found.user, 1000)
            found.upload = begun["url"].rpartition("/")[2]
            await front.move(found.memo, JobState.RUNNING)
            await front.say(found.memo)
            await front.move(found.memo, JobState.COMPLETED)
            body = {"name": {"en": "Meeting"}}
            made = await front.ask("POST", "blueprints", found.user, json=body)
            found.blueprint = made.json()["blueprint"]["id"]
            up.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    yield found
    stop.set()
    thread.join()


# The bytes of an upload are as they are.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


FRAMING: Final = {"content-length", "transfer-encoding"}
"""The client's own headers: with a wrong one there is no request that could be answered."""


def made_up_from() -> dict[str, Any]:
    """The operations of the document, by name."""
    document = create_app(settings_for(Path("/nonexistent"))).openapi()
    schema = schemathesis.openapi.from_dict(document)
    return {
        each.ok().label: each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)
    }


def takes_anything(operation: Any) -> bool:
    """Whether there is something to get wrong."""
    return bool(operation.body or operation.query or operation.headers)


OPERATIONS: Final = made_up_from()
MODES: Final = [(name, GenerationMode.POSITIVE) for name in OPERATIONS] + [
    (name, GenerationMode.NEGATIVE) for name in OPERATIONS if takes_anything(OPERATIONS[name])
]


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_made_up_requests_get_answers_the_document_tells_of(
    name: str, mode: GenerationMode, running: Served
) -> None:
    headers = {**running.user.headers, SERVICE_HEADER: KEY}
    assert asked(running, name, mode, headers, round_number=0) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("principal", MANY)
def test_twenty_thousand_of_them_too_whoever_asks(principal: str, running: Served) -> None:
    shown = {
        "user": running.user.headers,
        "service": {SERVICE_HEADER: KEY},
        "cron": {CRON_HEADER: KEY},
    }
    count = 0
    for round_number in itertools.count(1):
        for name, mode in MODES:
            count += asked(running, name, mode, shown[principal], round_number=round_number)
        if count >= MANY[principal]:
            break


def asked(
    running: Served, name: str, mode: GenerationMode, headers: Mapping[str, str], round_number: int
) -> int:
    """Ask about one operation, other things in each round; how often."""
    count = 0

    @seed(round_number)
    @given(case=OPERATIONS[name].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        nonlocal count
        count += 1
        aim(case, running)
        for framing in FRAMING & {name.lower() for name in case.headers or ()}:
            case.headers.pop(framing)
        response = case.call(base_url=running.address, headers=dict(headers), timeout=20)
        case.validate_response(response, checks=CHECKS)

    ask()
    return count


def aim(case: schemathesis.Case[Any], running: Served) -> None:
    """Let about half of the requests be about something that is there."""
    ids = {
        "memo_id": running.memo["memoId"],
        "job_id": running.memo["jobId"],
        "upload_id": running.upload,
        "blueprint_id": running.blueprint,
    }
    if len(str(case.path_parameters)) % 2:
        case.path_parameters.update({k: v for k, v in ids.items() if k in case.path_parameters})
    if isinstance(case.body, dict) and isinstance(case.body.get("filePath"), str):
        case.body["filePath"] = f"{running.user.id}/{case.body['filePath'] or 'x'}"
