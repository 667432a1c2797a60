"""Who gets what answer, operation by operation: a table that is complete or the test fails."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from api.main import create_app
from contracts.jobs import JobState
from contracts.memory import NewMemory
from tests.api.front import API, Front, User, opened, settings_for, wav

Statuses = tuple[int, int, int, int, int]
"""anonymous, garbage token, expired token, a stranger, the owner"""

OPEN: Final[Statuses] = (200, 200, 200, 200, 200)
CLOSED: Final[Statuses] = (503, 503, 503, 503, 503)
"""Routes of keys this installation has not set: nobody's token opens them."""

TABLE: Final[Mapping[str, Statuses]] = {
    "POST /api/v1/memos/upload": (401, 401, 401, 201, 201),
    "POST /api/v1/memos": (401, 401, 401, 400, 201),
    "POST /api/v1/memos/process": (401, 401, 401, 400, 201),
    "GET /api/v1/memos": (401, 401, 401, 200, 200),
    "GET /api/v1/memos/{memo_id}": (401, 401, 401, 404, 200),
    "PATCH /api/v1/memos/{memo_id}": (401, 401, 401, 404, 200),
    "DELETE /api/v1/memos/{memo_id}": (401, 401, 401, 404, 202),
    "GET /api/v1/memos/{memo_id}/transcript": (401, 401, 401, 404, 200),
    "GET /api/v1/memos/{memo_id}/events": (401, 401, 401, 404, 204),
    "GET /api/v1/memos/find-by-job/{job_id}": (401, 401, 401, 404, 200),
    "POST /api/v1/memos/{memo_id}/retry-transcription": (401, 401, 401, 404, 400),
    "POST /api/v1/memos/{memo_id}/reprocess": (401, 401, 401, 404, 400),
    "POST /api/v1/memos/combine": (401, 401, 401, 404, 202),
    "POST /api/v1/memos/{memo_id}/question": (401, 401, 401, 404, 202),
    "POST /api/v1/memos/{memo_id}/retry-headline": (401, 401, 401, 404, 202),
    "POST /api/v1/memos/{memo_id}/memories": (401, 401, 401, 404, 202),
    "GET /api/v1/memos/{memo_id}/memories": (401, 401, 401, 404, 200),
    "GET /api/v1/memories/{memory_id}": (401, 401, 401, 404, 200),
    "PATCH /api/v1/memories/{memory_id}": (401, 401, 401, 404, 200),
    "DELETE /api/v1/memories/{memory_id}": (401, 401, 401, 404, 200),
    "GET /api/v1/blueprints": (401, 401, 401, 200, 200),
    "POST /api/v1/blueprints": (401, 401, 401, 201, 201),
    "GET /api/v1/blueprints/{blueprint_id}": (401, 401, 401, 404, 200),
    "PATCH /api/v1/blueprints/{blueprint_id}": (401, 401, 401, 404, 200),
    "DELETE /api/v1/blueprints/{blueprint_id}": (401, 401, 401, 404, 200),
    "GET /api/v1/jobs/{job_id}": (401, 401, 401, 404, 200),
    "GET /api/v1/jobs/{job_id}/events": (401, 401, 401, 404, 204),
    "POST /api/v1/jobs/{job_id}/cancel": (401, 401, 401, 404, 409),
    "GET /api/v1/credits/pricing": OPEN,
    "GET /api/v1/credits/balance": (401, 401, 401, 200, 200),
    "GET /api/v1/credits/transactions": (401, 401, 401, 200, 200),
    "POST /api/v1/credits/check": (401, 401, 401, 200, 200),
    "POST /api/v1/credits/consume": (401, 401, 401, 200, 200),
    "GET /api/v1/webhook-endpoints": (401, 401, 401, 200, 200),
    "POST /api/v1/webhook-endpoints": (401, 401, 401, 201, 201),
    "GET /api/v1/webhook-endpoints/{endpoint_id}": (401, 401, 401, 404, 200),
    "PATCH /api/v1/webhook-endpoints/{endpoint_id}": (401, 401, 401, 404, 200),
    "DELETE /api/v1/webhook-endpoints/{endpoint_id}": (401, 401, 401, 404, 200),
    "POST /api/v1/webhook-endpoints/{endpoint_id}/rotate-secret": (401, 401, 401, 404, 200),
    "POST /api/v1/webhook-endpoints/{endpoint_id}/test": (401, 401, 401, 404, 202),
    "GET /api/v1/webhook-messages": (401, 401, 401, 200, 200),
    "GET /api/v1/webhook-messages/{message_id}": (401, 401, 401, 404, 200),
    "POST /api/v1/webhook-messages/{message_id}/replay": (401, 401, 401, 404, 202),
    "POST /api/v1/webhook-messages/replay": (401, 401, 401, 404, 202),
    "GET /api/v1/webhook-secret": (401, 401, 401, 200, 200),
    "POST /api/v1/webhook-secret/rotate": (401, 401, 401, 200, 200),
    "POST /api/v1/uploads": (401, 401, 401, 201, 201),
    "OPTIONS /api/v1/uploads/tus": (401, 401, 401, 204, 204),
    "POST /api/v1/uploads/tus": (401, 401, 401, 201, 201),
    "OPTIONS /api/v1/uploads/tus/{upload_id}": (401, 401, 401, 204, 204),
    "HEAD /api/v1/uploads/tus/{upload_id}": (401, 401, 401, 404, 200),
    "PATCH /api/v1/uploads/tus/{upload_id}": (401, 401, 401, 404, 204),
    "POST /api/v1/uploads/tus/{upload_id}": (401, 401, 401, 404, 204),
    "DELETE /api/v1/uploads/tus/{upload_id}": (401, 401, 401, 404, 204),
    "POST /api/v1/batch-metadata": (401, 401, 401, 404, 200),
    "POST /api/v1/internal/batch-metadata": CLOSED,
    "POST /api/v1/internal/credits/grant": CLOSED,
    "POST /api/v1/internal/credits/refund": CLOSED,
    "POST /api/v1/internal/transcription-completed": CLOSED,
    "POST /api/v1/webhooks/azure-speech": CLOSED,
    "POST /api/v1/webhooks/azure-events": CLOSED,
    "GET /health": OPEN,
    "GET /health/ready": OPEN,
    "GET /health/live": OPEN,
    "GET /metrics": OPEN,
    "GET /.well-known/jwks.json": OPEN,
}
"""Every operation of the OpenAPI document; a new one has to be given a row, and thought about."""

TUS: Final = {"Tus-Resumable": "1.0.0"}
TUS_PATCH: Final = {
    "Upload-Offset": "0",
    "Content-Type": "application/offset+octet-stream",
    "X-HTTP-Method-Override": "PATCH",
}

BAD_TOKENS: Final = {
    "not a token": "Bearer garbage",
    "two tokens": "Bearer a b",
    "three empty parts": "Bearer ..",
    "too long": "Bearer " + "a" * 100_000,
    "not text": b"Bearer \xff\xfe",
}


def operations() -> list[str]:
    document = create_app(settings_for(Path("/nonexistent"))).openapi()
    return [
        f"{method.upper()} {path}" for path, found in document["paths"].items() for method in found
    ]


def test_every_operation_has_its_row() -> None:
    assert sorted(operations()) == sorted(TABLE)


@pytest.mark.parametrize("operation", TABLE)
async def test_each_operation_answers_each_caller_as_the_table_says(
    front: Front, anna: User, operation: str
) -> None:
    expected = TABLE[operation]
    strange = front.user()
    callers = (
        None,
        User("", {"Authorization": "Bearer garbage"}),
        front.user(anna.id, expires_in=-60),
        strange,
        anna,
    )
    memo = await finished_memo(front, anna) | await written(front, anna)
    memo |= await announced(front, anna)
    got = [(await call(front, operation, caller, memo, anna)).status_code for caller in callers]
    assert tuple(got) == expected


async def finished_memo(front: Front, user: User) -> dict[str, Any]:
    memo = await front.new_memo(user)
    await front.move(memo, JobState.RUNNING)
    await front.say(memo)
    await front.move(memo, JobState.COMPLETED)
    return memo


async def written(front: Front, user: User) -> dict[str, str]:
    """Ids of a blueprint, and of another memo with a memory."""
    other = await finished_memo(front, user)
    memory = NewMemory(id=str(uuid4()), title="Tasks", content="None")
    async with front.database.write() as tx:
        await tx.memories.add(other["memoId"], user.id, [memory])
    made = await front.ask("POST", "blueprints", user, json={"name": {"en": "Meeting"}})
    blueprint_id = made.json()["blueprint"]["id"]
    return {"other": other["memoId"], "memory": memory.id, "blueprint": blueprint_id}


async def announced(front: Front, user: User) -> dict[str, str]:
    """Ids of an endpoint, of a message to it, and of an upload under way."""
    hook = await front.ask("POST", "webhook-endpoints", user, json={"url": "https://1.1.1.1/"})
    endpoint_id = hook.json()["endpoint"]["id"]
    sent = await front.ask("POST", f"webhook-endpoints/{endpoint_id}/test", user)
    upload = {"filename": "a.wav", "mediaType": "audio/wav", "bytes": len(wav())}
    begun = (await front.ask("POST", "uploads", user, json=upload)).json()
    return {
        "endpoint": endpoint_id,
        "message": sent.json()["messageId"],
        "upload": begun["url"].rpartition("/")[2],
    }


async def call(
    front: Front, operation: str, caller: User | None, memo: Mapping[str, Any], owner: User
) -> httpx.Response:
    """The same well-formed request, from whoever; about the owner's memo."""
    method, template = operation.split(" ")
    path = template.format(
        memory_id=memo["memory"],
        blueprint_id=memo["blueprint"],
        memo_id=memo["memoId"],
        job_id=memo["jobId"],
        endpoint_id=memo["endpoint"],
        message_id=memo["message"],
        upload_id=memo["upload"],
    )
    kwargs: dict[str, Any] = {}
    if path.endswith("/upload"):
        kwargs["files"] = {"file": ("a.wav", wav())}
    elif method == "POST" and "/jobs/" not in path:
        kwargs["json"] = {
            "filePath": f"{owner.id}/x/audio.m4a", "duration": 1, "question": "?", "prompt": "?",
            "memoIds": [memo["memoId"], memo["other"]], "name": {"en": "Meeting"},
            "memoId": memo["memoId"], "jobId": "x", "url": "https://1.1.1.1/",
            "endpointId": memo["endpoint"], "from": "2026-01-01", "to": "2036-01-01",
            "filename": "a.wav", "mediaType": "audio/wav", "bytes": 9,
        }  # fmt: skip
        if "/credits/" in path:
            kwargs["json"] = {"operation": "EXPORT", "amount": 1, "description": "A book"}
        if template.endswith(("/memos", "/process")):
            del kwargs["json"]["memoId"], kwargs["json"]["mediaType"]
    elif method == "PATCH":
        kwargs["json"] = {"title": "Changed", "isPublic": False}
    if "/tus" in path:
        kwargs = {"headers": TUS | {"Upload-Length": "9"}}
        if "{" in template and method in {"PATCH", "POST"}:
            kwargs = {"headers": TUS | TUS_PATCH, "content": wav()[:5]}
    if path.endswith("/events"):
        kwargs["headers"] = {"Last-Event-ID": "999"}
    return await front.ask(method, path, caller, **kwargs)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (None, "Missing authorization header"),
        ("", "Missing authorization header"),
        ("Basic YTpi", "Missing authorization header"),
        ("Bearer ", "Missing authorization header"),
        ("Bearer garbage", "Invalid or expired token"),
    ],
)
async def test_a_refusal_says_no_more_than_it_must(
    front: Front, header: str | None, sentence: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await front.ask("GET", "memos", headers=headers)
    body = answer.json()
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (body["success"], body["error"], body["code"]) == (False, sentence, "unauthorized")
    assert body["requestId"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_what_is_no_token_is_refused(front: Front, name: str) -> None:
    header = BAD_TOKENS[name]
    answer = await front.ask("GET", "memos", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_a_token_without_a_subject_is_told_so(front: Front) -> None:
    answer = await front.ask("GET", "memos", front.user(user_id=" "))
    assert (answer.status_code, answer.json()["error"]) == (401, "Token missing subject claim")


async def test_a_token_for_another_audience_is_refused(front: Front) -> None:
    answer = await front.ask("GET", "memos", front.user(audience="somebody-else"))
    assert answer.status_code == 401


async def test_a_token_signed_by_nobody_is_refused(front: Front, anna: User) -> None:
    head, body, _ = anna.headers["Authorization"].removeprefix("Bearer ").split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    for token in (f"{none}.{body}.", f"{head}.{body}.", f"{head}.{body}.{'A' * 86}"):
        answer = await front.ask("GET", "memos", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


async def test_the_token_is_looked_at_before_anything_else(front: Front) -> None:
    broken = await front.ask(
        "POST", "memos", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert broken.status_code == 401
    paging = await front.ask("GET", "memos?limit=0")
    assert paging.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "anonymous", "known"),
    [
        ("GET", "/api/v1/nothing", 401, 404),
        ("GET", "/api/v1", 401, 404),
        ("GET", "/api/v1/", 401, 404),
        ("GET", "/api/v1/memos/", 401, 404),
        ("PUT", "/api/v1/memos", 401, 405),
        ("GET", "/api/v1/memos/a/b/c", 401, 404),
        ("DELETE", "/api/v1/credits/pricing", 401, 405),
        ("GET", "/nothing", 404, 404),
        ("POST", "/health", 405, 405),
    ],
)
async def test_strangers_are_not_told_which_paths_there_are(
    front: Front, method: str, path: str, anonymous: int, known: int
) -> None:
    stranger = await front.ask(method, path)
    assert stranger.status_code == anonymous
    answer = await front.ask(method, path, front.user())
    assert answer.status_code == known
    assert set(answer.json()) == {"success", "error", "code", "requestId"}


async def test_a_subject_that_is_no_uuid_owns_rows_of_its_own(front: Front) -> None:
    auth0, other = front.user("auth0|5f7c8ec7"), front.user("auth0|5f7c8ec8")
    answer = await front.upload(auth0)
    assert answer.status_code == 201
    memo = answer.json()["memo"]
    again = await front.ask("GET", f"memos/{memo['id']}", auth0)
    assert again.json()["memo"]["user_id"] == memo["user_id"]
    assert (await front.ask("GET", f"memos/{memo['id']}", other)).status_code == 404


async def test_the_rate_of_a_principal_is_limited_and_told(data_dir: Path) -> None:
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=3) as front:
        anna, ben = front.user(), front.user()
        answers = [await front.ask("GET", "memos", anna) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == [
            "2", "1", "0", "0",
        ]  # fmt: skip
        refused = answers[-1]
        assert refused.json()["code"] == "rate_limited"
        assert refused.headers["X-RateLimit-Limit"] == "3"
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert 0 < int(refused.headers["X-RateLimit-Reset"]) <= 60
        assert (await front.ask("GET", "memos", ben)).status_code == 200


async def test_polling_and_what_is_public_are_not_counted(data_dir: Path) -> None:
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=1) as front:
        anna = front.user()
        memo = await front.new_memo(anna)
        for _ in range(5):
            polled = await front.ask("GET", f"jobs/{memo['jobId']}", anna)
            assert polled.status_code == 200
            assert "X-RateLimit-Limit" not in polled.headers
            public = await front.ask("GET", f"{API}/credits/pricing", anna)
            assert public.status_code == 200
        assert (await front.ask("GET", "memos", anna)).status_code == 429


async def test_pages_of_named_origins_may_call_with_credentials(data_dir: Path) -> None:
    async with opened(data_dir, CORS_ORIGINS="https://app.example, https://other.example") as front:
        asked = {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, "
            "x-service-key, x-internal-api-key",
        }
        preflight = await front.ask("OPTIONS", "memos", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
        for name in ("authorization", "idempotency-key", "x-service-key", "x-internal-api-key"):
            assert name in preflight.headers["Access-Control-Allow-Headers"].lower()
        refused = await front.ask("GET", "memos", headers={"Origin": "https://app.example"})
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "X-Request-ID" in refused.headers["Access-Control-Expose-Headers"]
        other = await front.ask("GET", "memos", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
