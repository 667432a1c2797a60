"""How whoever comes in is received; which operation lets in whom: ``tests/security/table.py``."""

import base64
import json
from pathlib import Path
from typing import Final

import pytest

from api.patience import MAX_HEADER_BYTES
from tests.api.front import API, Front, User, opened

BAD_TOKENS: Final = {
    "not a token": "Bearer garbage",
    "two tokens": "Bearer a b",
    "three empty parts": "Bearer ..",
    "too long": "Bearer " + "a" * 100_000,
    "not text": b"Bearer \xff\xfe",
}


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
    # What is longer than headers may be in all is not even looked at.
    assert answer.status_code == (431 if len(header) > MAX_HEADER_BYTES else 401)


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
