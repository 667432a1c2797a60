"""API keys over HTTP: drawn, shown once, used as their owner, revoked."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from sqlalchemy import event, text

from api.admission import user_router
from api.key_ring import KeyUses
from contracts.api_keys import Environment, Scope, draw_key
from runtime import logs
from runtime.settings_groups import LogSettings
from store.api_keys import MOST_KEYS
from store.database import Database, utc_now
from tests.api.front import Front, User, opened

ASKED: Final = {"name": "Import", "scopes": ["memos:read"]}
UNKNOWN: Final = "4d0f5c53-9a0b-4c8c-8f1e-2f9a3b1c7d55"


@pytest.fixture
def talkative() -> Iterator[None]:
    """Everything is logged."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    logs.configure(LogSettings(LOG_LEVEL="debug", LOG_FORMAT="json"))
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


async def drawn(front: Front, user: User, **changes: Any) -> dict[str, Any]:
    answer = await front.ask("POST", "api-keys", user, json=ASKED | changes)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def by_header(key: str) -> Mapping[str, str]:
    return {"X-API-Key": key}


def as_token(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_key_is_shown_once_and_listed_without_what_would_open_anything(
    front: Front, anna: User, ben: User
) -> None:
    ahead = (utc_now() + timedelta(days=1)).isoformat()
    answer = await front.ask("POST", "api-keys", anna, json=ASKED | {"expiresAt": ahead})
    body = answer.json()
    key, view = body["key"], body["apiKey"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert view == {
        "id": view["id"],
        "name": "Import",
        "prefix": "vk_live_",
        "last4": key[-4:],
        "scopes": ["memos:read"],
        "expiresAt": ahead,
        "lastUsedAt": None,
        "createdAt": view["createdAt"],
    }
    listed = await front.ask("GET", "api-keys", anna)
    assert listed.json() == {"success": True, "apiKeys": [view]}
    assert key[8:-4] not in listed.text
    assert (await front.ask("GET", "api-keys", ben)).json()["apiKeys"] == []


@pytest.mark.parametrize("shown", [by_header, as_token])
async def test_a_key_acts_as_its_owner(front: Front, anna: User, ben: User, shown: Any) -> None:
    memo = await front.new_memo(anna)
    headers = shown((await drawn(front, anna))["key"])
    theirs = shown((await drawn(front, ben))["key"])
    own = await front.ask("GET", f"memos/{memo['memoId']}", headers=headers)
    assert own.json()["memo"]["user_id"] == anna.id
    stranger = await front.ask("GET", f"memos/{memo['memoId']}", headers=theirs)
    assert stranger.status_code == 404


UNUSABLE: Final[tuple[dict[str, Any], ...]] = (
    {"scopes": []},
    {"scopes": ["memos:*"]},
    {"scopes": "admin"},
    {"name": " "},
    {"name": "n" * 101},
    {"name": "NUL \x00"},
    {"expiresAt": "tomorrow"},
    {"expiresAt": "2020-01-01"},
    {"expiresAt": "9999-12-31T23:59:59-23:00"},
    {"expiresAt": "0001-01-01T00:00:00+23:00"},
    {"expiresAt": None},
)


async def test_a_key_nobody_could_use_is_not_drawn(front: Front, anna: User) -> None:
    for changes in UNUSABLE:
        answer = await front.ask("POST", "api-keys", anna, json=ASKED | changes)
        assert answer.status_code == 400, changes
        assert answer.json()["code"] in {"validation_failed", "invalid_text"}, changes
    assert (await front.ask("GET", "api-keys", anna)).json()["apiKeys"] == []


async def refusals(front: Front, anna: User) -> dict[str, str]:
    """Keys that are not believed, each for another reason."""
    good = (await drawn(front, anna))["key"]
    revoked = await drawn(front, anna)
    answer = await front.ask("DELETE", f"api-keys/{revoked['apiKey']['id']}", anna)
    assert answer.json() == {"success": True, "apiKeyId": revoked["apiKey"]["id"]}
    expired, kept = draw_key(Environment.LIVE)
    elsewhere, test = draw_key(Environment.TEST)
    async with front.database.write() as tx:
        ended = tx.session.now - timedelta(microseconds=1)
        await tx.api_keys.add(anna.id, kept, name="n", scopes=[Scope.ADMIN], expires_at=ended)
        await tx.api_keys.add(anna.id, test, name="n", scopes=[Scope.ADMIN])
    return {
        "revoked": revoked["key"],
        "expired": expired,
        "of another environment": elsewhere,
        "never drawn": draw_key(Environment.LIVE)[0],
        "cut off": good[:-1],
        "mistyped": good[:20] + ("a" if good[20] != "a" else "b") + good[21:],
        "garbage": "vk_live_",
    }


async def test_a_key_that_does_not_work_is_told_what_any_bad_token_is_told(
    front: Front, anna: User
) -> None:
    bad = await front.ask("GET", "memos", headers=as_token("garbage"))
    for why, key in (await refusals(front, anna)).items():
        for shown in (by_header, as_token):
            answer = await front.ask("GET", "memos", headers=shown(key))
            assert answer.status_code == 401, why
            assert answer.json() | {"requestId": ""} == bad.json() | {"requestId": ""}, why
            assert set(answer.headers) == set(bad.headers), why
            unrouted = await front.ask("GET", "nothing", headers=shown(key))
            assert unrouted.status_code == 401, why


async def test_what_stands_in_the_headers_is_one_key_or_one_token(front: Front, anna: User) -> None:
    key = (await drawn(front, anna))["key"]
    for headers in (
        {**anna.headers, **by_header(key)},
        {**as_token(key), **by_header(key)},
        {**as_token("garbage"), **by_header(key)},
        {"Authorization": "", **by_header(key)},
        by_header(""),
        by_header(anna.headers["Authorization"]),
        by_header(anna.headers["Authorization"].removeprefix("Bearer ")),
        by_header(f"Bearer {key}"),
        {"Authorization": key},
        {"Authorization": f"Basic {key}"},
        {"X-Service-Key": key},
        {"X-API-Key": b"\xff\xfe"},
    ):
        answer = await front.ask("GET", "memos", headers=dict(headers))
        assert answer.status_code == 401
        assert key not in answer.text


async def test_somebody_elses_key_is_revoked_like_one_that_is_not_there(
    front: Front, anna: User, ben: User
) -> None:
    made = await drawn(front, anna)
    told = []
    for key_id in (made["apiKey"]["id"], UNKNOWN, "x"):
        answer = await front.ask("DELETE", f"api-keys/{key_id}", ben)
        told.append((answer.status_code, answer.json() | {"requestId": ""}))
    assert [status for status, _ in told] == [404, 404, 404]
    assert told[0] == told[1] == told[2]
    assert (await front.ask("GET", "memos", headers=by_header(made["key"]))).status_code == 200


async def test_a_key_is_worthless_from_the_request_after_it_was_revoked(
    front: Front, anna: User
) -> None:
    made = await drawn(front, anna, scopes=["admin"])
    headers = by_header(made["key"])
    path = f"api-keys/{made['apiKey']['id']}"
    answers = await asyncio.gather(*(front.ask("DELETE", path, headers=headers) for _ in range(6)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 404}
    assert (await front.ask("GET", "memos", headers=headers)).status_code == 401


async def test_the_same_request_with_the_same_idempotency_key_draws_one_key(
    front: Front, anna: User
) -> None:
    once = {"Idempotency-Key": "k"}
    first, second = [
        await front.ask("POST", "api-keys", anna, json=ASKED, headers=once) for _ in range(2)
    ]
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len((await front.ask("GET", "api-keys", anna)).json()["apiKeys"]) == 1
    other = await front.ask("POST", "api-keys", anna, json=ASKED | {"name": "x"}, headers=once)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_another_process_repeats_the_answer_without_a_key_it_cannot_unseal(
    data_dir: Path,
) -> None:
    once = {"Idempotency-Key": "k"}
    async with opened(data_dir) as front:
        anna = front.user()
        first = await front.ask("POST", "api-keys", anna, json=ASKED, headers=once)
    async with opened(data_dir) as front:
        again = await front.ask("POST", "api-keys", anna, json=ASKED, headers=once)
    assert again.status_code == 201
    assert again.json() == first.json() | {"key": None}


@pytest.mark.usefixtures("talkative")
async def test_a_key_stands_nowhere_in_the_database_and_not_in_the_log(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    router = user_router("T", scope=Scope.MEMOS_READ)

    @router.get("/planted/{text}")
    async def planted(text: str) -> None:
        raise RuntimeError(text)

    async with opened(data_dir) as front:
        front.app.include_router(router)
        once = {"Idempotency-Key": "k"}
        made = await front.ask("POST", "api-keys", front.user(), json=ASKED, headers=once)
        key, key_id = made.json()["key"], made.json()["apiKey"]["id"]
        for shown in (by_header(key), as_token(key), by_header(key[:-1]), as_token(key + "x")):
            crashed = await front.ask("GET", f"planted/{key}?limit={key}", headers=shown)
            assert crashed.status_code in {401, 500}
            assert key not in crashed.text
            await front.ask("POST", "memos", headers=shown, json={key: key})
    assert caplog.text.count(key_id) == 2
    assert key[8:-4] not in caplog.text
    kept = [file.read_bytes() for file in data_dir.rglob("*") if file.is_file()]
    assert any(key_id.encode() in content for content in kept)
    assert not any(key[8:-4].encode() in content for content in kept)


async def test_a_request_with_a_key_asks_for_it_once_and_garbage_asks_for_nothing(
    front: Front, anna: User
) -> None:
    key = (await drawn(front, anna))["key"]
    asked: list[str] = []
    for engine in front.database.engines:
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert (await front.ask("GET", "memos", headers=by_header(key))).status_code == 200
    assert len([each for each in asked if each.startswith("SELECT") and "api_keys" in each]) == 1
    asked.clear()
    for garbage in ("x", "vk_live_", key[:-1], key.swapcase(), "vk_test_" + key[8:]):
        await front.ask("GET", "memos", headers=by_header(garbage))
    assert asked == []


async def test_the_last_use_is_told_and_its_writing_fails_no_request(
    front: Front, anna: User
) -> None:
    key = (await drawn(front, anna))["key"]

    async def last_used() -> str | None:
        listed = (await front.ask("GET", "api-keys", anna)).json()["apiKeys"]
        found: str | None = listed[0]["lastUsedAt"]
        return found

    uses = front.services.api_keys.uses
    assert (await front.ask("GET", "memos", headers=by_header(key))).status_code == 200
    await uses.flush()
    told = await last_used()
    assert told is not None
    assert utc_now() - datetime.fromisoformat(told) < timedelta(minutes=1)
    await front.ask("GET", "memos", headers=by_header(key))
    await uses.flush()
    assert await last_used() == told


@pytest.mark.usefixtures("talkative")
async def test_uses_that_cannot_be_written_are_told_and_let_go(
    front: Front, anna: User, caplog: pytest.LogCaptureFixture
) -> None:
    made = await drawn(front, anna)
    async with front.database.read() as tx:
        [key] = await tx.api_keys.list(anna.id)
    away = Database("postgresql://nobody@127.0.0.1:1/none", wait_seconds=0.2)
    uses = KeyUses(away, pause=0)
    uses.note(key)
    await uses.aclose()
    await away.close()
    [said] = [record.getMessage() for record in caplog.records if "uses_not" in str(record.msg)]
    assert made["key"] not in said
    assert anna.id not in said


async def test_what_was_noted_is_written_before_the_process_ends(data_dir: Path) -> None:
    async with opened(data_dir) as front:
        anna = front.user()
        key = (await drawn(front, anna))["key"]
        await front.ask("GET", "memos", headers=by_header(key))
    async with opened(data_dir) as front:
        async with front.database.read() as tx:
            [found] = await tx.api_keys.list(anna.id)
            [row] = await tx.session.rows(text("SELECT count(*) FROM api_keys"))
        assert found.last_used_at is not None
        assert row[0] == 1


async def test_token_and_keys_of_a_user_share_one_rate(data_dir: Path) -> None:
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=4) as front:
        anna, ben = front.user(), front.user()
        first, second = [(await drawn(front, anna))["key"] for _ in range(2)]
        answers = [
            await front.ask("GET", "memos", anna),
            await front.ask("GET", "memos", headers=by_header(first)),
            await front.ask("GET", "memos", headers=by_header(second)),
            await front.ask("GET", "memos", anna),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert (await front.ask("GET", "memos", ben)).status_code == 200


async def test_an_account_may_have_so_many_keys(front: Front, anna: User) -> None:
    async with front.database.write() as tx:
        for _ in range(MOST_KEYS):
            _, kept = draw_key(Environment.LIVE)
            await tx.api_keys.add(anna.id, kept, name="n", scopes=[Scope.SPEECH])
    answer = await front.ask("POST", "api-keys", anna, json=ASKED)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_api_keys")


async def test_keys_of_a_test_installation_say_so(data_dir: Path) -> None:
    async with opened(data_dir, API_KEY_ENVIRONMENT="test") as front:
        made = await drawn(front, front.user(), expiresAt="2100-01-01")
        assert made["key"].startswith("vk_test_")
        assert made["apiKey"]["expiresAt"] == datetime(2100, 1, 1, tzinfo=UTC).isoformat()
        assert (await front.ask("GET", "memos", headers=by_header(made["key"]))).status_code == 200
