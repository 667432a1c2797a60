"""Memos by `mediaUrl`, from the POST to the end: the real front, server, worker and sockets."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.memo import MemoResult
from runtime import logs
from runtime.settings_groups import LogSettings
from runtime.settings_values import parse_payload_keys
from store.migrations import upgrade
from tests.api.front import Front, User, opened
from tests.fakes.media_host import MediaHost
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site, local_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECRET: Final = "plantedsignature7c1f"
SECONDS: Final = 70
KEYS: Final = "one:" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("audio") / "tone.wav", SECONDS).read_bytes()


@dataclass
class World:
    """The front, a worker's folder, and a stranger's server that the rules allow."""

    site: Site
    front: Front
    host: MediaHost
    user: User

    async def post(self, path: str, **fields: Any) -> dict[str, Any]:
        body = {"mediaUrl": f"{self.host.wire.url}{path}"} | fields
        answer = await self.front.ask("POST", "memos", self.user, json=body)
        assert answer.status_code == 201, answer.text
        started: dict[str, Any] = answer.json()
        return started

    async def result(self, started: dict[str, Any]) -> MemoResult:
        handle = self.site.client.get_workflow_handle(started["jobId"], result_type=MemoResult)
        return await asyncio.wait_for(handle.result(), 60)

    async def failure(self, started: dict[str, Any]) -> dict[str, Any]:
        with pytest.raises(WorkflowFailureError):
            await self.result(started)
        job = (await self.front.ask("GET", f"jobs/{started['jobId']}", self.user)).json()
        assert job["state"] == "failed"
        assert job["credits"] == {"held": 0, "charged": 0}
        error: dict[str, Any] = job["error"]
        return error

    async def memo(self, started: dict[str, Any]) -> dict[str, Any]:
        answer = await self.front.ask("GET", f"memos/{started['memoId']}", self.user)
        memo: dict[str, Any] = answer.json()["memo"]
        return memo

    async def stored(self) -> list[str]:
        return [file.key async for file in self.site.files.list(f"{self.user.id}/")]

    def rows(self) -> str:
        """Everything the database says when it is asked."""
        with sqlite3.connect(self.site.folder / "voicekeep.db") as database:
            return "\n".join(database.iterdump())


@pytest.fixture(scope="module")
async def shared(
    environment: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await _world(environment, tmp_path_factory.mktemp("world"), stack)


@pytest.fixture
def world(shared: World) -> World:
    """With a user of one's own, and nothing asked of the stranger's server so far."""
    shared.host.wire.calls.clear()
    shared.host.wire.faults.clear()
    return replace(shared, user=shared.front.user())


async def _world(
    environment: WorkflowEnvironment, folder: Path, stack: AsyncExitStack, **settings: Any
) -> World:
    vendor, host = FakeOpenAI(), MediaHost()
    await vendor.start()
    await host.wire.start()
    stack.push_async_callback(host.wire.aclose)
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    site = Site(environment.client, folder, vendor)
    stack.push_async_callback(site.close)
    rules: dict[str, Any] = {"EGRESS_ALLOW": host.wire.url.removeprefix("http://"), **settings}
    await stack.enter_async_context(site.working(MEDIA_FETCH_TRIES=2, **rules))
    address = environment.client.service_client.config.target_host
    front = await stack.enter_async_context(
        opened(folder, temporal=True, TEMPORAL_ADDRESS=address, **rules)
    )
    return World(site, front, host, front.user())


async def test_a_recording_at_an_address_becomes_a_memo(world: World, recording: bytes) -> None:
    started = await world.post(world.host.put("memo.wav", recording, secret=SECRET))
    result = await world.result(started)
    assert (result.state, result.charged) == (JobState.COMPLETED, 3)

    memo = await world.memo(started)
    path = memo["source"]["audio_path"]
    assert path == started["audioPath"]
    assert path.startswith(f"{world.user.id}/{started['memoId']}/audio_")
    assert memo["source"]["media_type"] == "audio/wav"
    assert b"".join([part async for part in world.site.files.read(path)]) == recording
    assert await world.stored() == [path]
    assert await world.site.broken() == []
    job = (await world.front.ask("GET", f"jobs/{started['jobId']}", world.user)).json()
    told = [event["step"] for event in job["timeline"] if event.get("step")]
    assert told[:2] == ["queued", "fetch"] or "fetch" in told
    assert "media_addresses" in world.rows()
    assert SECRET not in world.rows()


async def test_a_container_that_is_not_the_addressed_one_is_stored_as_what_it_is(
    world: World, recording: bytes
) -> None:
    started = await world.post(world.host.put("memo.mp3", recording, "audio/mpeg"))
    assert started["audioPath"].endswith(".mp3")
    await world.result(started)
    path = (await world.memo(started))["source"]["audio_path"]
    assert path == started["audioPath"].removesuffix("mp3") + "wav"
    assert await world.stored() == [path]
    assert await world.site.broken() == []


async def test_a_new_round_of_a_fetched_memo_does_not_fetch_again(
    world: World, recording: bytes
) -> None:
    world.site.vendor.fault(status=401, times=5)
    path, memo_id = world.host.put("memo.wav", recording, secret=SECRET), str(uuid4())
    started = await world.post(path, memoId=memo_id)
    assert (await world.failure(started))["code"] == "provider_out"
    world.site.vendor.faults.clear()
    again = await world.post(path, memoId=memo_id)
    assert again["audioPath"] == started["audioPath"]
    assert (await world.result(again)).charged == 3
    assert len(world.host.wire.calls) == 1
    assert await world.stored() == [started["audioPath"]]
    assert await world.site.broken() == []


FAILURES: Final[dict[str, tuple[dict[str, Any], str, int]]] = {
    "gone": ({"status": 404}, "media_not_found", 1),
    "forbidden": ({"status": 403}, "media_fetch_failed", 1),
    "a redirect inside": (
        {"status": 302, "headers": {"location": "http://127.0.0.1:1/"}}, "media_fetch_failed", 1
    ),
    "busy": ({"status": 503, "times": 2, "headers": {"retry-after": "0"}}, "media_unavailable", 2),
    "cut off": ({"cut": "body", "times": 12}, "media_unavailable", 12),
    "not audio": ({"body": "<html>no such file</html>"}, "unsupported_media_type", 1),
    "nothing": ({"body": ""}, "unsupported_media_type", 1),
    "packed": ({"headers": {"content-encoding": "gzip"}}, "media_fetch_failed", 1),
    "too large": ({"length": 1 << 40}, "too_large", 1),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
async def test_what_cannot_be_fetched_fails_free_of_charge_and_leaves_nothing(
    world: World, recording: bytes, case: str
) -> None:
    fault, code, calls = FAILURES[case]
    world.host.wire.fault(**fault)
    started = await world.post(world.host.put("memo.wav", recording, secret=SECRET))
    error = await world.failure(started)
    assert error["code"] == code
    assert len(world.host.wire.calls) == calls
    assert await world.stored() == []
    assert SECRET not in world.rows()
    assert await world.site.broken() == []


async def test_a_recording_that_is_cut_off_is_taken_up_where_it_ended(
    world: World, recording: bytes
) -> None:
    world.host.wire.fault(cut="body")
    started = await world.post(world.host.put("memo.wav", recording))
    assert (await world.result(started)).charged == 3
    first, second = world.host.wire.calls
    assert (first["range"], second["range"]) == (None, f"bytes={len(recording) // 2}-")
    path = (await world.memo(started))["source"]["audio_path"]
    assert b"".join([part async for part in world.site.files.read(path)]) == recording


async def test_a_memo_that_is_cancelled_while_it_is_fetched_leaves_nothing(
    world: World, recording: bytes
) -> None:
    world.host.wire.fault(hang=True)
    started = await world.post(world.host.put("memo.wav", recording, secret=SECRET))
    async with asyncio.timeout(60):
        while not world.host.wire.calls:
            await asyncio.sleep(0.05)
        await world.front.ask("POST", f"jobs/{started['jobId']}/cancel", world.user)
        with pytest.raises(WorkflowFailureError):
            await world.result(started)
    world.host.wire.release()
    assert (await world.memo(started))["status"] == "cancelled"
    assert SECRET not in world.rows()
    assert await world.stored() == []
    assert await world.site.broken() == []


async def test_a_memo_that_is_deleted_while_it_is_fetched_leaves_nothing(
    world: World, recording: bytes
) -> None:
    world.host.wire.fault(hang=True)
    started = await world.post(world.host.put("memo.wav", recording, secret=SECRET))
    async with asyncio.timeout(60):
        while not world.host.wire.calls:
            await asyncio.sleep(0.05)
        gone = await world.front.ask("DELETE", f"memos/{started['memoId']}", world.user)
        handle = world.site.client.get_workflow_handle(gone.json()["jobId"])
        assert (await handle.result())["transcripts"] == 0
    world.host.wire.release()
    assert SECRET not in world.rows()
    assert await world.stored() == []
    assert await world.site.broken() == []


async def test_the_secret_of_an_address_is_found_nowhere(
    world: World, recording: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings(LOG_LEVEL="debug", LOG_FORMAT="json"))
    try:
        await _search(world, recording)
    finally:
        logs.configure(LogSettings(LOG_LEVEL="error", LOG_FORMAT="json"))
    told = capfd.readouterr()
    assert "activity.declined" in told.err
    assert SECRET not in told.out + told.err


async def test_a_sealed_secret_is_not_even_in_what_a_deleted_row_leaves_of_itself(
    tmp_path: Path, recording: bytes
) -> None:
    async with local_server(parse_payload_keys(KEYS)) as environment, AsyncExitStack() as stack:
        sealed = await _world(environment, tmp_path, stack, TEMPORAL_PAYLOAD_KEYS=KEYS)
        started = await sealed.post(sealed.host.put("memo.wav", recording, secret=SECRET))
        assert (await sealed.result(started)).charged == 3
        files = list(tmp_path.glob("voicekeep.db*"))
        assert files
        for path in files:
            assert SECRET.encode() not in path.read_bytes()


async def _search(world: World, recording: bytes) -> None:
    good = world.host.put("signed.wav", recording, secret=SECRET)
    world.host.wire.fault(cut="body")
    jobs = [await world.post(good), await world.post(f"/none.wav?signature={SECRET}")]
    await world.result(jobs[0])
    await world.failure(jobs[1])
    for started in jobs:
        handle = world.site.client.get_workflow_handle(started["jobId"])
        history = (await handle.fetch_history()).to_json()
        assert SECRET not in history
        assert base64.b64encode(SECRET.encode()).decode()[4:-4] not in history
        for payload in _payloads(json.loads(history)):
            assert SECRET.encode() not in payload
        events = await world.front.ask("GET", f"jobs/{started['jobId']}", world.user)
        assert SECRET not in events.text + json.dumps(await world.memo(started))
    assert SECRET not in world.rows()
    metrics = await world.front.ask("GET", "/metrics")
    assert SECRET not in metrics.text
    for url in (f"ftp://a/{SECRET}", f"https://localhost/{SECRET}", f"https://{SECRET}@a/"):
        refused = await world.front.ask("POST", "memos", world.user, json={"mediaUrl": url})
        assert (refused.status_code, refused.json()["code"]) == (400, "url_not_allowed")
        assert SECRET not in refused.text


def _payloads(value: Any) -> list[bytes]:
    if isinstance(value, dict):
        own = [base64.b64decode(value["data"])] if isinstance(value.get("data"), str) else []
        return own + [found for inner in value.values() for found in _payloads(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _payloads(inner)]
    return []
