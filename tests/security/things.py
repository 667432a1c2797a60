"""One of everything that a user can have, and every operation asked about them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from api.main import create_app
from contracts.blueprint import PromptDraft
from contracts.jobs import JobState
from contracts.memory import NewMemory
from tests.api.front import Front, User, settings_for, wav
from tests.api.reading import spoken
from tests.api.uploading import begin
from tests.fakes.ports import part
from tests.fakes.vendor_tokens import GOOD

SECRET: Final = "pomegranate"
"""Stands in every text of what a user has."""

Things = Mapping[str, str]
"""Ids, by the names that the document's parameters and fields have."""

EVERYBODYS: Final = {"model": "tts-1"}
"""Names in paths that are of the settings, and nobody's own."""

TUS: Final = {"Tus-Resumable": "1.0.0"}
PIECE: Final = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
HEADERS: Final[Mapping[str, Mapping[str, str]]] = {
    "POST /api/v1/uploads/tus": TUS | {"Upload-Length": "9"},
    "HEAD /api/v1/uploads/tus/{upload_id}": TUS,
    "PATCH /api/v1/uploads/tus/{upload_id}": PIECE,
    "POST /api/v1/uploads/tus/{upload_id}": PIECE | {"X-HTTP-Method-Override": "PATCH"},
    "DELETE /api/v1/uploads/tus/{upload_id}": TUS,
    # What has been told already: a stream that is allowed ends at once.
    "GET /api/v1/memos/{memo_id}/events": {"Last-Event-ID": "999"},
    "GET /api/v1/jobs/{job_id}/events": {"Last-Event-ID": "999"},
    "GET /api/v1/speech/{speech_id}/events": {"Last-Event-ID": "999"},
}
SPENT: Final = {"operation": "EXPORT", "amount": 1, "description": "A book"}
GIVEN: Final = {
    "userId": "{user_id}",
    "amount": 1,
    "reference": "{reference}",
    "description": "As agreed",
}
REPORT: Final = {"memoId": "{memo_id}", "userId": "{user_id}", "success": False, "error": "none"}
NAMED: Final = {"memoId": "{memo_id}", "jobId": "{job_id}"}
REPLAYED: Final = {"endpointId": "{endpoint_id}", "from": "2026-01-01", "to": "2036-01-01"}
API_KEY: Final = {"name": SECRET, "scopes": ["memos:read"]}
HOOK: Final = {"url": "https://1.1.1.1/"}
BODIES: Final[Mapping[str, Any]] = {
    "POST /api/v1/memos": {"filePath": "{file_path}", "duration": 1},
    "POST /api/v1/memos/process": {"filePath": "{file_path}", "duration": 1},
    "PATCH /api/v1/memos/{memo_id}": {"title": SECRET},
    "POST /api/v1/memos/{memo_id}/reprocess": {},
    "POST /api/v1/memos/combine": {"memoIds": ["{memo_id}", "{other_memo_id}"]},
    "POST /api/v1/memos/{memo_id}/question": {"question": "?"},
    "POST /api/v1/memos/{memo_id}/memories": {"prompt": "?"},
    "PATCH /api/v1/memories/{memory_id}": {"title": SECRET},
    "POST /api/v1/blueprints": {"name": {"en": "Meeting"}},
    "PATCH /api/v1/blueprints/{blueprint_id}": {"isPublic": False},
    "POST /api/v1/speech": {"text": "Read me."},
    "POST /auth/verify": {"openai_token": f"{GOOD}-of-somebody"},
    "POST /auth/refresh": {"session_token": "{session_token}"},
    "POST /tts/generate": {"text": "Read me."},
    "POST /v1/audio/speech": {"input": "Read me.", "model": "tts-1", "voice": "nova"},
    "POST /api/v1/uploads": {"filename": "a.wav", "mediaType": "audio/wav", "bytes": 9},
    "POST /api/v1/credits/check": {"operation": "EXPORT", "amount": 1},
    "POST /api/v1/credits/consume": SPENT,
    "PATCH /api/v1/spaces/{space_id}/credits": {"pays": False},
    "POST /api/v1/internal/credits/grant": GIVEN,
    "POST /api/v1/internal/credits/refund": GIVEN | {"reference": "{user_id}"},
    "POST /api/v1/api-keys": API_KEY,
    "POST /api/v1/webhook-endpoints": HOOK,
    "PATCH /api/v1/webhook-endpoints/{endpoint_id}": HOOK,
    "POST /api/v1/webhook-messages/replay": REPLAYED,
    "POST /api/v1/internal/transcription-completed": REPORT,
    "POST /api/v1/internal/batch-metadata": NAMED,
    "POST /api/v1/batch-metadata": NAMED,
    "POST /api/v1/webhooks/azure-speech": {},
    "POST /api/v1/webhooks/azure-events": [],
}
"""A good body for each operation that takes JSON; ``{names}`` are those of `Things`."""


def document() -> dict[str, Any]:
    """The OpenAPI document of the app."""
    app = create_app(settings_for(Path("/nonexistent")))
    found: dict[str, Any] = app.openapi()
    return found


def operations() -> dict[str, dict[str, Any]]:
    """Every operation of the document by its name, ``GET /path``."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


async def things_of(front: Front, user: User, *, running: bool = False) -> dict[str, str]:
    """One of everything, with the secret in it; the memo's job is over or, if so said, running."""
    memo = (await front.upload(user, wav(), title=SECRET)).json()
    other = (await front.upload(user, wav(), title=SECRET)).json()
    for each in (memo, other):
        await front.move(each, JobState.RUNNING)
        await front.say(each, part(0, 1, SECRET))
        if not running:
            await front.move(each, JobState.COMPLETED)
    memory = NewMemory(id=str(uuid4()), title=SECRET, content=SECRET)
    blueprint_id, reference, space_id = str(uuid4()), str(uuid4()), str(uuid4())
    async with front.database.write() as tx:
        await tx.memories.add(other["memoId"], user.id, [memory])
        made = await tx.blueprints.create(
            blueprint_id, user.id, name={"en": SECRET}, description={}, system_prompt={},
            is_public=False, drafts=[PromptDraft(prompt_text={"en": SECRET})],
        )  # fmt: skip
        await tx.credits.grant(user.id, reference, 1, SECRET)
        await tx.spaces.create(space_id, user.id, SECRET, None)
        for order in ("first", "second"):
            await tx.credits.grant(space_id, order, 1, SECRET, space=True)
    return {
        "user_id": user.id,
        "memo_id": memo["memoId"],
        "other_memo_id": other["memoId"],
        "job_id": memo["jobId"],
        "file_path": f"{user.id}/x/audio.m4a",
        "memory_id": memory.id,
        "blueprint_id": blueprint_id,
        "prompt_id": made.prompts[0].id,
        "reference": reference,
        "space_id": space_id,
    } | await addressed(front, user)


async def addressed(front: Front, user: User) -> dict[str, str]:
    """An endpoint, a message to it, an upload under way, an API key."""
    body = HOOK | {"description": SECRET}
    hook = await front.ask("POST", "webhook-endpoints", user, json=body)
    endpoint_id = hook.json()["endpoint"]["id"]
    sent = await front.ask("POST", f"webhook-endpoints/{endpoint_id}/test", user)
    begun = await begin(front, user, len(wav()))
    drawn = (await front.ask("POST", "api-keys", user, json=API_KEY)).json()
    # Words of one's own: equal words of two users have one hash.
    read = await spoken(front, user, text=f"{SECRET} {uuid4()}")
    verify = {"openai_token": f"{GOOD}-{user.id}"}
    session = (await front.ask("POST", "/auth/verify", json=verify)).json()
    return {
        "speech_id": read["id"],
        "file_id": read["id"],
        "content_hash": read["contentHash"],
        "session_token": session["session_token"],
        "api_key_id": drawn["apiKey"]["id"],
        "endpoint_id": endpoint_id,
        "message_id": sent.json()["messageId"],
        "upload_id": begun["url"].rpartition("/")[2],
    }


def nobodys(things: Things) -> dict[str, str]:
    """Ids of the same form, of nothing that there is."""
    fresh = {name: str(uuid4()) for name in things}
    endpoint_id, memo_id = fresh["endpoint_id"], fresh["memo_id"]
    return fresh | {
        "job_id": f"memo-{memo_id}",
        "file_path": f"{fresh['user_id']}/x/audio.m4a",
        "message_id": f"msg_{uuid4().hex}-{endpoint_id}",
        "content_hash": uuid4().hex * 2,
    }


async def ask(
    front: Front,
    operation: str,
    things: Things,
    headers: Mapping[str, str],
    *,
    query: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
) -> httpx.Response:
    """The same well-formed request about things, from whoever; ``fields`` come into its body."""
    method, template = operation.split(" ")
    kwargs: dict[str, Any] = {"params": query}
    if template.endswith("/upload"):
        kwargs |= {"files": {"file": ("a.wav", wav())}, "data": fields}
    elif template.endswith(("/transcriptions", "/translations")):
        form = {"model": "whisper-1", **(fields or {})}
        kwargs |= {"files": {"file": ("a.wav", wav())}, "data": form}
    elif operation in BODIES:
        body = filled(BODIES[operation], things)
        kwargs["json"] = body | fields if fields else body
    elif template.endswith("/tus/{upload_id}") and method in {"PATCH", "POST"}:
        kwargs["content"] = wav()[:5]
    given = {**HEADERS.get(operation, {}), **headers}
    path = template.format(**EVERYBODYS, **things)
    return await front.ask(method, path, headers=given, **kwargs)


def filled(template: Any, things: Things) -> Any:
    """A body with ids in the places of their names."""
    if isinstance(template, str):
        return template.format(**things)
    if isinstance(template, list):
        return [filled(each, things) for each in template]
    if isinstance(template, dict):
        return {name: filled(each, things) for name, each in template.items()}
    return template
