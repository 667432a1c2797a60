"""A text is heard while it is spoken: OpenAI's client, a worker, and a vendor that holds back."""

import asyncio
import base64
import json
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil
import pytest
from openai import AsyncOpenAI
from temporalio.testing import WorkflowEnvironment

from contracts.speech import BYTES_PER_SECOND, SpeechFormat
from store.migrations import upgrade
from tests.api.front import Front, User
from tests.api.sockets import served
from tests.e2e.production import free_ports
from tests.fakes.http_wire import Request, Response, json_response
from tests.fakes.openai import FakeOpenAI
from tests.media.decoding import decoded
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SAMPLE: Final = (SpeechFormat.MP3, SpeechFormat.PCM)
"""Of the formats, in the default run; each one's audio is heard in test_speech_encoder.py."""
EXACT: Final = (SpeechFormat.WAV, SpeechFormat.PCM, SpeechFormat.FLAC)
ROOT: Final = Path(__file__).resolve().parents[2]
WORDS: Final = "It was a bright cold day in the harbour and all the clocks were silent. "


class HoldingVendor(FakeOpenAI):
    """Speaks a part only when it is let go of; refuses those it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, asyncio.Event] = {}
        self.refused: set[str] = set()
        self.spoke: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def hold(self, part: str) -> asyncio.Event:
        """Let go of it by setting what this returns."""
        return self.held.setdefault(part, asyncio.Event())

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        if request.path != "/v1/audio/speech":
            return await super()._vendor(request)
        part = json.loads(request.body)["input"].partition(".")[0]
        if part in self.held:
            await self.held[part].wait()
        if part in self.refused:
            return json_response({"error": {"message": "no", "code": "invalid"}}, 400), {}
        answer = await super()._vendor(request)
        self.spoke[part].set()
        return answer


@dataclass
class Stage:
    """Somebody's client, and the vendor that works in the end."""

    client: AsyncOpenAI
    vendor: HoldingVendor
    front: Front
    site: Site
    folder: Path
    user: User

    def asked(self, text: str, form: SpeechFormat, **fields: Any) -> Any:
        """The client's own way to take an answer as it comes."""
        create = self.client.audio.speech.with_streaming_response.create
        return create(model="tts-1", voice="nova", input=text, response_format=form.value, **fields)

    async def whole(self, text: str, form: SpeechFormat) -> bytes:
        """The file, from storage: it is told how long it is."""
        async with self.asked(text, form) as answer:
            data = b"".join([chunk async for chunk in answer.iter_bytes()])
            assert int(answer.headers["content-length"]) == len(data)
        return data

    async def heard(self, text: str, form: SpeechFormat) -> bytes:
        """Its audio, however far it is."""
        async with self.asked(text, form) as answer:
            return b"".join([chunk async for chunk in answer.iter_bytes()])

    def calls(self, name: str) -> int:
        return sum(name in part for part, spoke in self.vendor.spoke.items() if spoke.is_set())


@pytest.fixture(scope="module")
async def stage(
    environment: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder, vendor = tmp_path_factory.mktemp("stream"), HoldingVendor()
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    await vendor.start()
    site = Site(environment.client, folder, vendor)
    settings: dict[str, Any] = {
        "SPEECH_TIERS": "openai,local",
        "OPENAI_BASE_URL": vendor.base_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_API_WAIT_SECONDS": 60,
        "TEMPORAL_ADDRESS": environment.client.service_client.config.target_host,
    }
    async with (
        site.working(SPEECH_TIERS="openai,local"),
        served(folder, temporal=True, **settings) as (front, url),
    ):
        body = {"name": "n", "scopes": ["speech"]}
        user = front.user()
        drawn = await front.ask("POST", "api-keys", user, json=body)
        key = drawn.json()["key"]
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
            yield Stage(client, vendor, front, site, folder, user)
    broken = await site.broken()
    await site.close()
    assert broken == []


def story(name: str, parts: int = 3) -> str:
    """A text whose every paragraph is a part of its own, and whose first words are its name."""
    return "\n\n".join(f"{name} {number}. {WORDS * 5}" for number in range(1, parts + 1))


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(form, marks=[] if form in SAMPLE else [pytest.mark.slow])
        for form in SpeechFormat
    ],
)
async def test_bytes_arrive_while_the_second_part_is_held_back_and_are_the_stored_audio(
    stage: Stage, form: SpeechFormat
) -> None:
    name = f"Captain {form}"
    text, gate = story(name), stage.vendor.hold(f"{name} 2")
    async with stage.asked(text, form) as answer:
        chunks = answer.iter_bytes()
        data = await anext(chunks)
        # The third part was there before the second, and is heard after it.
        await stage.vendor.spoke[f"{name} 3"].wait()
        assert not stage.vendor.spoke[f"{name} 2"].is_set()
        gate.set()
        data += b"".join([chunk async for chunk in chunks])
    assert answer.headers["content-type"].startswith("audio/")
    stored = await stage.whole(text, form)
    assert stage.calls(name) == 3
    heard, kept = decoded(data, form), decoded(stored, form)
    if form in EXACT:
        assert heard == kept
    assert len(heard) / BYTES_PER_SECOND == pytest.approx(len(kept) / BYTES_PER_SECOND, abs=0.1)
    if form is SpeechFormat.PCM:
        assert data == stored


async def test_events_come_as_the_parts_are_spoken(stage: Stage) -> None:
    text, gate = story("Pilot"), stage.vendor.hold("Pilot 2")
    async with stage.asked(text, SpeechFormat.PCM, stream_format="sse") as answer:
        lines = (line async for line in answer.iter_lines() if line)
        told = [json.loads((await anext(lines)).removeprefix("data: "))]
        assert not stage.vendor.spoke["Pilot 2"].is_set()
        gate.set()
        told += [json.loads(line.removeprefix("data: ")) async for line in lines]
    *deltas, done = told
    pcm = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["seconds"] == pytest.approx(len(pcm) / BYTES_PER_SECOND, abs=0.001)
    assert pcm == await stage.whole(text, SpeechFormat.PCM)


async def test_two_listeners_hear_the_same_and_it_is_bought_once(stage: Stage) -> None:
    text, gate = story("Sailor"), stage.vendor.hold("Sailor 2")
    listening = asyncio.Semaphore(0)

    async def listen() -> bytes:
        async with stage.asked(text, SpeechFormat.WAV) as answer:
            chunks = answer.iter_bytes()
            first: bytes = await anext(chunks)
            listening.release()
            return first + b"".join([chunk async for chunk in chunks])

    both = asyncio.gather(listen(), listen())
    await listening.acquire()
    await listening.acquire()
    gate.set()
    first, second = await both
    assert first == second
    assert decoded(first, SpeechFormat.WAV) == decoded(
        await stage.whole(text, SpeechFormat.WAV), SpeechFormat.WAV
    )
    assert stage.calls("Sailor") == 3


async def test_another_voice_after_the_first_bytes_ends_the_answer_short(stage: Stage) -> None:
    text, gate = story("Smuggler"), stage.vendor.hold("Smuggler 2")
    stage.vendor.refused.add("Smuggler 2")
    async with (
        stage.asked(text, SpeechFormat.MP3) as answer,
        stage.asked(text, SpeechFormat.MP3, stream_format="sse") as events,
    ):
        chunks, lines = answer.iter_bytes(), events.iter_lines()
        assert await anext(chunks)
        assert (await anext(lines)).startswith("data: ")
        gate.set()
        with pytest.raises(httpx2.RemoteProtocolError):
            [chunk async for chunk in chunks]
        told = [line async for line in lines if line]
    assert told[-2] == "event: error"
    error = json.loads(told[-1].removeprefix("data: "))["error"]
    assert (error["code"], error["type"]) == ("voice_changed", "invalid_request_error")
    assert set(error) >= {"message", "param"}
    assert decoded(await stage.heard(text, SpeechFormat.MP3), SpeechFormat.MP3)
    assert await stage.whole(text, SpeechFormat.MP3)


async def test_another_voice_before_the_first_bytes_is_heard_from_the_beginning(
    stage: Stage,
) -> None:
    text = story("Stowaway")
    stage.vendor.refused.add("Stowaway 1")
    data = await stage.heard(text, SpeechFormat.PCM)
    assert data == await stage.whole(text, SpeechFormat.PCM)


async def test_a_listener_who_hangs_up_leaves_nothing_open_and_the_job_at_work(
    stage: Stage,
) -> None:
    text, gate = story("Cook"), stage.vendor.hold("Cook 2")
    watched = stage.front.services.measures.watchers
    async with stage.asked(text, SpeechFormat.OPUS) as answer:
        assert await anext(answer.iter_bytes())
        assert encoders()
        assert watched._value.get() == 1
    while encoders() or watched._value.get():
        await asyncio.sleep(0.02)
    gate.set()
    assert decoded(await stage.heard(text, SpeechFormat.OPUS), SpeechFormat.OPUS)
    assert stage.calls("Cook") == 3


@pytest.mark.slow
async def test_a_file_that_is_deleted_while_it_is_heard_ends_the_answer_short(
    stage: Stage,
) -> None:
    text = story("Ghost")
    stage.vendor.hold("Ghost 2")
    async with stage.asked(text, SpeechFormat.FLAC) as answer:
        chunks = answer.iter_bytes()
        assert await anext(chunks)
        page = await stage.front.ask("GET", "speech", stage.user)
        newest = page.json()["speech"][0]
        gone = await stage.front.ask("DELETE", f"speech/{newest['id']}", stage.user)
        assert gone.is_success, gone.text
        with pytest.raises(httpx2.RemoteProtocolError):
            [chunk async for chunk in chunks]
    while await under_way(stage, newest["jobId"]):
        await asyncio.sleep(0.1)


async def under_way(stage: Stage, job_id: str) -> int:
    """Calls of vendors that have not ended."""
    async with stage.site.database.read() as tx:
        attempts = await tx.attempts.list(job_id, stage.user.id)
    return sum(each.outcome is None for each in attempts)


@pytest.mark.slow
async def test_an_api_killed_in_the_middle_is_asked_again(stage: Stage) -> None:
    text, gate = story("Mutineer"), stage.vendor.hold("Mutineer 2")
    (port,) = free_ports(1)
    async with api(stage, port) as process:
        client = stage.client.with_options(base_url=f"http://127.0.0.1:{port}/v1")
        create = client.audio.speech.with_streaming_response.create
        async with create(model="tts-1", voice="nova", input=text, response_format="wav") as answer:
            chunks = answer.iter_bytes()
            assert await anext(chunks)
            process.kill()
            with pytest.raises(httpx2.TransportError):
                [chunk async for chunk in chunks]
    gate.set()
    assert decoded(await stage.heard(text, SpeechFormat.WAV), SpeechFormat.WAV)
    assert stage.calls("Mutineer") == 3


@asynccontextmanager
async def api(stage: Stage, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process of the API, over the same folder."""
    settings = stage.front.settings
    env = {
        **os.environ,
        "DATA_DIR": str(stage.folder),
        "PORT": str(port),
        "EMBEDDED_ISSUER": "true",
        "TEMPORAL_ADDRESS": settings.temporal.address,
        "SPEECH_TIERS": "openai,local",
        "OPENAI_BASE_URL": stage.vendor.base_url,
        "OPENAI_API_KEY": "test",
    }
    command = (sys.executable, "-c", "import cli; cli.main()", "api")
    process = await asyncio.create_subprocess_exec(*command, env=env, cwd=ROOT)
    try:
        async with httpx2.AsyncClient() as http, asyncio.timeout(60):
            while True:
                try:
                    if (await http.get(f"http://127.0.0.1:{port}/health/ready")).is_success:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def encoders() -> list[str]:
    """What runs below this process and encodes."""
    return [
        name
        for child in psutil.Process().children(recursive=True)
        if (name := child.name()) in {"ffmpeg", "bwrap"}
    ]
