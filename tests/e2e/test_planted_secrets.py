"""Secrets, tokens and spoken words that were planted everywhere are found nowhere they must not be.

The whole product as it is run, `voicekeep up` with sealed histories, beside stand-ins of a vendor,
of a stranger's media and of a webhook's receiver. Then everything it left is searched: logs,
metrics, error bodies, every table, Temporal's own file, and the histories with their seals opened.
"""

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from api.principals import CRON_HEADER, SERVICE_HEADER
from runtime.issuer import EmbeddedIssuer
from runtime.settings_values import parse_payload_keys
from runtime.temporal import make_plugin
from tests.counts import payloads_in
from tests.embedded import Up, running
from tests.fakes.media_host import MediaHost
from tests.fakes.openai import FakeOpenAI
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.recordings import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PAYLOAD_KEY: Final = base64.b64encode(b"planted-key-of-32-bytes-exactly!").decode()
ENVIRONMENT: Final = {
    "OPENAI_API_KEY": "sk-planted-vendor-key-51",
    "SERVICE_KEY": "planted-service-key-52",
    "INTERNAL_API_KEY": "planted-cron-key-53",
    "AZURE_SPEECH_WEBHOOK_SECRET": "planted-speech-secret-54",
    "AZURE_EVENTS_KEY": "planted-events-key-55",
}
SPOKEN: Final = "Zwetschgendatschi"
ASKED: Final = "Quittengelee"
SIGNATURE: Final = "planted-signature-56"
HOOK: Final = "planted-hook-57"
TITLE: Final = "Planted title 58"
REFUSED: Final = "planted-refusal-59"
WRONG: Final = "planted-wrong-input-60"
OWN: Final = "planted-own-token-61"
READ: Final = "Mirabellenkompott"
QUOTED: Final = json.dumps(
    {"error": {"message": f"Incorrect API key provided: {OWN}", "code": "invalid_api_key"}}
)
"""As vendors refuse tokens: with the token in the sentence."""

WORDS: Final = {"memos", "memories", "transcripts", "transcript_parts", "language_requests"}
MAY_STAND: Final[Mapping[str, set[str]]] = {
    SPOKEN: WORDS,
    ASKED: {"language_requests", "memories"},
    TITLE: {"memos"},
    READ: {"speech_files"},
    # An endpoint as its POST told it is told again to the same key for a day.
    HOOK: {"webhook_endpoints", "idempotency_keys"},
}
"""Tables that a planted text may stand in; all else may stand in none."""


@dataclass
class World:
    """The product and everybody it speaks to."""

    up: Up
    ready: Mapping[str, Any]
    client: httpx.AsyncClient
    vendor: FakeOpenAI
    host: MediaHost
    receiver: WebhookReceiver
    planted: set[str]
    bodies: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, status: int, **kwargs: Any) -> dict[str, Any]:
        """A request that has to be answered so; the bodies of errors are kept."""
        answer = await self.client.request(method, f"/api/v1/{path}", **kwargs)
        assert answer.status_code == status, answer.text
        if status >= 400:
            self.bodies += [answer.text, str(answer.headers)]
        found: dict[str, Any] = answer.json()
        return found

    async def ended(self, job_id: str) -> dict[str, Any]:
        """A job when it is over."""
        async with asyncio.timeout(60):
            while True:
                job = await self.ask("GET", f"jobs/{job_id}", 200)
                if job["state"] not in {"queued", "running"}:
                    return job
                await asyncio.sleep(0.1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        vendor, host, receiver = FakeOpenAI(), MediaHost(), WebhookReceiver()
        for each in (vendor, host.wire, receiver):
            await each.start()
            stack.push_async_callback(each.aclose)
        environment = ENVIRONMENT | {
            "TEMPORAL_PAYLOAD_KEYS": f"one:{PAYLOAD_KEY}",
            "OPENAI_BASE_URL": vendor.base_url,
            "OPENAI_LANGUAGE_MODEL": "some-model",
            "TRANSCRIPTION_TIERS": "openai",
            "LANGUAGE_MODEL_TIERS": "openai",
            "SPEECH_TIERS": "openai",
            "EGRESS_ALLOW": "127.0.0.1/32",
            "LOG_LEVEL": "debug",
        }
        data = tmp_path / "data"
        up, ready = await asyncio.to_thread(stack.enter_context, running(data, **environment))
        token = EmbeddedIssuer.open(data).sign(str(uuid4()), email="planted@mail.example")
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=ready["api"], headers={"Authorization": f"Bearer {token}"}, timeout=60
            )
        )
        planted = {*ENVIRONMENT.values(), PAYLOAD_KEY, SIGNATURE, REFUSED, WRONG, OWN, token}
        planted |= {*MAY_STAND, token.rpartition(".")[2]}
        yield World(up, ready, client, vendor, host, receiver, planted)


async def use_a_key(world: World) -> None:
    """An API key that works, and one letter of it changed."""
    asked, once = {"name": "Import", "scopes": ["memos:read"]}, {"Idempotency-Key": "key"}
    key = (await world.ask("POST", "api-keys", 201, json=asked, headers=once))["key"]
    world.planted.add(key)
    for shown, status in ((key, 200), (key[:-1] + "?", 401), (key[::-1], 401)):
        await world.ask("GET", "memos", status, headers={"Authorization": f"Bearer {shown}"})
    world.planted |= {key[:-1], key[::-1]}


async def read_aloud(world: World) -> None:
    """A text spoken by its user's own token, and one whose token the vendor takes no more."""
    body: dict[str, object] = {}
    for number, status in ((1, "ready"), (2, "failed")):
        if status == "failed":
            world.vendor.fault(call="audio/speech", status=401, body=QUOTED)
        body = {"text": f"{READ} number {number}.", "voice": "nova", "openai_token": OWN}
        told = (await world.client.post("/tts/generate", json=body)).json()
        path = f"/tts/status/{told['content_hash']}"
        async with asyncio.timeout(60):
            while told["status"] == "generating":
                await asyncio.sleep(0.1)
                told = (await world.client.get(path)).json()
        assert told["status"] == status
    spoken = [call for call in world.vendor.calls if call["path"] == "/v1/audio/speech"]
    assert {call["bearer"] for call in spoken} == {OWN}
    for token in (f"{OWN} ", [OWN]):
        answer = await world.client.post("/tts/generate", json=body | {"openai_token": token})
        assert answer.status_code in {400, 401}
        world.bodies += [answer.text, str(answer.headers)]


async def live(world: World, folder: Path) -> str:
    """A memo by a signed address with all its webhooks, a question, a memo that fails; its job."""
    hook = {"url": f"{world.receiver.wire.url}/hook?token={HOOK}"}
    once = {"Idempotency-Key": "hook"}
    made = await world.ask("POST", "webhook-endpoints", 201, json=hook, headers=once)
    world.planted.add(made["secret"])
    world.receiver.secret = made["secret"]
    await use_a_key(world)
    recording = make(folder / "tone.wav", 20)
    path = world.host.put("tone.wav", recording.read_bytes(), secret=SIGNATURE)
    world.vendor.fault(call="audio/transcriptions", pattern="harbour", becomes=SPOKEN)
    body = {"mediaUrl": f"{world.host.wire.url}{path}", "title": TITLE}
    memo = await world.ask("POST", "memos", 201, json=body)
    assert (await world.ended(memo["jobId"]))["state"] == "completed"
    read = await world.ask("GET", f"memos/{memo['memoId']}", 200)
    assert SPOKEN in read["memo"]["source"]["transcript"]
    question = {"question": f"Who likes {ASKED}, and who {SPOKEN}?"}
    path, once = f"memos/{memo['memoId']}/question", {"Idempotency-Key": "question"}
    told = await world.ask("POST", path, 200, json=question, headers=once)
    assert told["answer"]
    world.vendor.fault(call="audio/transcriptions", status=400, body=REFUSED, times=9)
    failed = await world.ask(
        "POST", "memos/upload", 201, files={"file": ("a.wav", recording.read_bytes())}
    )
    assert (await world.ended(failed["jobId"]))["state"] == "failed"
    async with asyncio.timeout(30):
        while len(world.receiver.received) < 5:
            await asyncio.sleep(0.1)
    return str(memo["jobId"])


async def err(world: World) -> None:
    """Every way to have what was sent said back."""
    wrong = {"Authorization": f"Bearer {WRONG}"}
    await world.ask("GET", "memos", 401, headers=wrong)
    await world.ask("GET", f"nothing/{WRONG}", 404)
    await world.ask("GET", f"memos?limit={WRONG}", 400)
    await world.ask("GET", f"memos?cursor={WRONG}", 400)
    await world.ask("GET", f"memos/{WRONG}", 404)
    await world.ask("GET", f"jobs/{WRONG}", 404)
    await world.ask("POST", "memos", 400, content=f'{{"{WRONG}'.encode())
    for fields in (
        {"filePath": WRONG},
        {"mediaUrl": f"https://{WRONG}:{WRONG}@127.0.0.1/?{WRONG}"},
        {"filePath": 7, "location": WRONG, "recordingLanguages": [WRONG]},
        {"mediaType": {WRONG: WRONG}},
    ):
        await world.ask("POST", "memos", 400, json={"duration": WRONG} | fields)
    for path, header in (("grant", SERVICE_HEADER), ("refund", CRON_HEADER)):
        await world.ask("POST", f"internal/credits/{path}", 401, headers={header: WRONG}, json={})
    right = {SERVICE_HEADER: ENVIRONMENT["SERVICE_KEY"]}
    await world.ask("POST", "internal/credits/grant", 400, headers=right, json={"amount": WRONG})
    await world.ask("POST", f"webhooks/azure-events?key={WRONG}", 401, json=[])
    hook = {"url": f"https://10.0.0.1/{WRONG}"}
    await world.ask("POST", "webhook-endpoints", 400, json=hook)


async def histories(world: World) -> AsyncIterator[bytes]:
    """Everything in every history, each payload opened; and as it is stored, sealed."""
    keys = parse_payload_keys(f"one:{PAYLOAD_KEY}")
    client = await Client.connect(world.ready["temporal"], plugins=[make_plugin(keys)])
    codec = client.data_converter.payload_codec
    assert codec is not None
    async for found in client.list_workflows():
        handle = client.get_workflow_handle(found.id, run_id=found.run_id)
        history = await handle.fetch_history()
        yield history.to_json().encode()
        for payload in payloads_in(history.events):
            (opened,) = await codec.decode([payload])
            yield opened.SerializeToString()


def stored(data: Path) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, and every file that is no recording and no key."""
    with sqlite3.connect(data / "voicekeep.db") as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - its own names
                yield table, repr(row).encode()
    database.close()
    for path in sorted(data.rglob("*")):
        kind = path.relative_to(data).parts[0]
        if path.is_file() and kind not in {"files", "keys"} and "voicekeep.db" not in kind:
            yield kind, path.read_bytes()


async def test_nothing_that_is_secret_or_was_said_is_found_outside_its_own_tables(
    world: World, tmp_path: Path
) -> None:
    job_id = await live(world, tmp_path)
    await read_aloud(world)
    await err(world)
    metrics = await world.client.get("/metrics")
    searched = [("error", body.encode()) for body in world.bodies]
    searched += [("metrics", metrics.content)]
    opened = [("history", text) async for text in histories(world)]
    assert len(opened) > 20
    world.up.stop()
    searched += [*opened, *stored(world.up.data), ("log", world.up.log.read_bytes())]
    webhooks = json.dumps(world.receiver.received)
    searched.append(("webhooks", webhooks.encode()))
    found = {
        (where, planted)
        for where, text in searched
        for planted in world.planted
        if planted.encode() in text and where not in MAY_STAND.get(planted, set())
    }
    assert found == set()
    named = {where for where, text in searched if job_id.encode() in text}
    assert named > {"history", "temporal.db", "jobs", "job_events", "log"}
    for planted, tables in MAY_STAND.items():
        assert any(planted.encode() in text for where, text in searched if where in tables)
