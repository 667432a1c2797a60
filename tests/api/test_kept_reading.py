"""The read-aloud contract older clients know: each answer, each error, whose is whose."""

import asyncio
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import pytest

from contracts.jobs import JobFailure, JobState, Step
from contracts.speech_text import MAX_CHARACTERS
from runtime.issuer import EmbeddedIssuer
from runtime.sessions import Sessions
from runtime.settings_sign_in import SignInSettings
from tests.api.front import Front, User, opened
from tests.api.reading import AUDIO, TEXT, spoken
from tests.fakes.vendor_tokens import GOOD

MINE, YOURS = f"{GOOD}-mine", f"{GOOD}-yours"
BODY = {"text": TEXT, "voice": "nova"}


async def signed_in(front: Front, token: str = MINE) -> User:
    """A user by the session that a token of the vendor gives."""
    answer = await front.ask("POST", "/auth/verify", json={"openai_token": token})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return User(told["user_id"], {"Authorization": f"Bearer {told['session_token']}"})


async def generated(front: Front, user: User, **fields: Any) -> dict[str, Any]:
    answer = await front.ask("POST", "/tts/generate", user, json=BODY | fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_token_gives_a_session_of_a_week_and_always_the_same_user(front: Front) -> None:
    first = await front.ask("POST", "/auth/verify", json={"openai_token": MINE})
    again = await front.ask("POST", "/auth/verify", json={"openai_token": MINE})
    other = await front.ask("POST", "/auth/verify", json={"openai_token": YOURS})
    told = first.json()
    assert set(told) == {"user_id", "session_token", "expires_at"}
    assert told["user_id"] == again.json()["user_id"] != other.json()["user_id"]
    claims = await front.services.tokens.verify(told["session_token"])
    assert claims.user_id == told["user_id"]
    assert 6.9 * 86_400 < claims.expires_at - time() <= 7 * 86_400


async def test_a_user_is_the_same_in_another_process_and_after_a_restart(data_dir: Path) -> None:
    async with opened(data_dir) as front, opened(data_dir) as beside:
        one, other = await signed_in(front), await signed_in(beside)
        assert one.id == other.id
        assert (await beside.ask("GET", "/user/usage", one)).status_code == 200
    async with opened(data_dir) as restarted:
        assert (await signed_in(restarted)).id == one.id
        assert (await restarted.ask("GET", "/user/usage", one)).status_code == 200


def test_a_session_key_is_the_same_on_every_machine_and_nothing_is_made_of_another(
    tmp_path: Path,
) -> None:
    def sessions(key: str | None, folder: str) -> Sessions:
        return Sessions.open(SignInSettings(SESSION_KEY=key), tmp_path / folder)

    key, other = "k" * 32, "o" * 32
    assert sessions(key, "a").user_id(MINE) == sessions(key, "b").user_id(MINE)
    assert sessions(key, "a").key_set() == sessions(key, "b").key_set()
    assert not (tmp_path / "a").exists()
    ids = {sessions(each, "c").user_id(MINE) for each in (key, other, None)}
    assert len(ids | {sessions(None, "d").user_id(MINE)}) == 4
    own = EmbeddedIssuer.open(tmp_path / "c").key_set()
    assert sessions(None, "c").key_set() != own


@pytest.mark.parametrize("token", ["sk-bad", "a b", "sk-good\r\nX: 1", "sk-göod", GOOD * 200])
async def test_a_token_that_is_none_is_401(front: Front, token: str) -> None:
    answer = await front.ask("POST", "/auth/verify", json={"openai_token": token})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "message"}
    assert answer.json()["error"] == "unauthorized"
    assert token not in answer.text


@pytest.mark.parametrize("body", [{}, {"openai_token": ""}, {"openai_token": 7}, [], None])
async def test_a_sign_in_without_a_token_is_400(front: Front, body: Any) -> None:
    answer = await front.ask("POST", "/auth/verify", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "validation_failed")


async def test_a_vendor_that_is_away_is_503_and_nobody_is_turned_away(front: Front) -> None:
    front.vendor_tokens.away = True
    for token in (MINE, "sk-bad"):
        answer = await front.ask("POST", "/auth/verify", json={"openai_token": token})
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    front.vendor_tokens.away = False
    assert (await signed_in(front)).id


async def test_the_vendor_is_asked_once_within_minutes(data_dir: Path) -> None:
    async with opened(data_dir) as front:
        await signed_in(front)
        front.vendor_tokens.away = True
        await signed_in(front)
        assert front.vendor_tokens.asked == 1
    async with opened(data_dir, TOKEN_CHECK_KEPT_SECONDS=0) as front:
        await signed_in(front)
        front.vendor_tokens.revoked.add(MINE)
        answer = await front.ask("POST", "/auth/verify", json={"openai_token": MINE})
        assert (answer.status_code, front.vendor_tokens.asked) == (401, 2)


async def test_a_session_goes_on_by_its_body_or_as_bearer(front: Front, anna: User) -> None:
    user = await signed_in(front)
    token = user.headers["Authorization"].removeprefix("Bearer ")
    by_body = await front.ask("POST", "/auth/refresh", json={"session_token": token})
    by_header = await front.ask("POST", "/auth/refresh", user)
    for answer in (by_body, by_header):
        assert answer.status_code == 200
        assert set(answer.json()) == {"user_id", "session_token", "expires_at"}
        assert answer.json()["user_id"] == user.id
        fresh = {"Authorization": f"Bearer {answer.json()['session_token']}"}
        assert (await front.ask("GET", "/user/usage", headers=fresh)).status_code == 200
    for headers in ({}, anna.headers, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
        refused = await front.ask("POST", "/auth/refresh", headers=dict(headers))
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")


async def test_an_ended_session_opens_nothing_and_does_not_go_on(data_dir: Path) -> None:
    async with opened(data_dir, SESSION_DAYS=0.000001) as front:
        user = await signed_in(front)
        await asyncio.sleep(1.1)  # times in tokens are whole seconds
        for method, path in (("POST", "/auth/refresh"), ("GET", "/user/usage")):
            assert (await front.ask(method, path, user)).status_code == 401


async def test_a_session_reads_aloud_and_opens_nothing_else(front: Front) -> None:
    user = await signed_in(front)
    assert (await front.ask("GET", "speech", user)).status_code == 200
    for path in ("memos", "credits/balance", "api-keys", "webhook-endpoints", "events"):
        answer = await front.ask("GET", path, user)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_signing_in_is_closed_where_it_is_not_wanted(data_dir: Path) -> None:
    async with opened(data_dir) as front:
        user = await signed_in(front)
    closed: list[dict[str, Any]] = [{"EMBEDDED_ISSUER": False}, {"TOKEN_SIGN_IN": False}]
    for settings in closed:
        async with opened(data_dir, **settings) as front:
            answer = await front.ask("POST", "/auth/verify", json={"openai_token": MINE})
            assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")
            assert (await front.ask("GET", "/user/usage", user)).status_code == 401


async def test_attempts_to_sign_in_are_counted(data_dir: Path) -> None:
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=2) as front:
        body = {"openai_token": "sk-bad"}
        answers = [await front.ask("POST", "/auth/verify", json=body) for _ in range(3)]
        assert [each.status_code for each in answers] == [401, 401, 429]
        assert answers[-1].json()["error"] == "rate_limited"


async def test_nothing_of_a_token_is_kept(front: Front, data_dir: Path) -> None:
    token = f"{GOOD}-pomegranate"
    await generated(front, await signed_in(front, token), openai_token=token)
    written = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert TEXT.encode() in written
    assert b"pomegranate" not in written


async def test_a_text_is_generated_once_and_found_by_its_hash(front: Front) -> None:
    user = await signed_in(front)
    told = await generated(front, user)
    assert set(told) == {"file_id", "content_hash", "status", "expires_at"}
    assert told["status"] == "generating"
    assert await generated(front, user) == told
    assert len(front.starter.started) == 1
    for path in (f"/tts/{told['content_hash']}/status", f"/tts/status/{told['content_hash']}"):
        answer = await front.ask("GET", path, user)
        assert answer.json() == {
            "status": "generating",
            "file_id": told["file_id"],
            "expires_at": told["expires_at"],
        }


async def test_many_equal_requests_at_once_start_one_job(front: Front) -> None:
    user = await signed_in(front)
    told = await asyncio.gather(*(generated(front, user) for _ in range(100)))
    assert len({each["file_id"] for each in told}) == 1
    assert len(front.starter.started) == 1


@pytest.fixture
async def reader(front: Front) -> tuple[User, dict[str, Any]]:
    """A user whose text has been spoken."""
    user = await signed_in(front)
    told = await spoken(front, user)
    return user, told


async def test_a_file_that_is_there_has_an_address_and_is_served(
    front: Front, reader: tuple[User, dict[str, Any]]
) -> None:
    user, made = reader
    told = await generated(front, user)
    assert (told["status"], told["url"]) == ("ready", f"/files/{made['id']}")
    whole = await front.ask("GET", told["url"], user)
    assert (whole.status_code, whole.content) == (200, AUDIO)
    assert whole.headers["Content-Type"] == "audio/mpeg"
    head = await front.ask("HEAD", told["url"], user)
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(AUDIO)))
    known = {"If-None-Match": whole.headers["ETag"]}
    assert (await front.ask("GET", told["url"], user, headers=known)).status_code == 304
    piece = await front.ask("GET", told["url"], user, headers={"Range": "bytes=5-9"})
    assert (piece.status_code, piece.content) == (206, AUDIO[5:10])
    late = await front.ask("GET", told["url"], user, headers={"Range": "bytes=9999-"})
    assert late.status_code == 416


async def test_two_users_with_the_same_text_know_nothing_of_each_other(
    front: Front, reader: tuple[User, dict[str, Any]]
) -> None:
    user, made = reader
    other = await signed_in(front, YOURS)
    for method, path in (
        ("GET", f"/tts/{made['contentHash']}/status"),
        ("GET", f"/files/{made['id']}"),
        ("DELETE", f"/tts/{made['id']}"),
    ):
        answer = await front.ask(method, path, other)
        assert answer.status_code == 404
        assert answer.json() == {"error": "not_found", "message": "Not found"}
    told = await generated(front, other)
    assert (told["content_hash"], told["status"]) == (made["contentHash"], "generating")
    assert told["file_id"] != made["id"]
    assert (await front.ask("GET", f"/files/{made['id']}", user)).content == AUDIO


@pytest.mark.parametrize("spelling", ["/tts/{}", "/tts/delete/{}"])
async def test_a_deleted_file_is_gone_and_can_be_asked_for_again(
    spelling: str, front: Front, reader: tuple[User, dict[str, Any]]
) -> None:
    user, made = reader
    answer = await front.ask("DELETE", spelling.format(made["id"]), user)
    assert (answer.status_code, answer.json()) == (200, {"deleted": True})
    assert front.stored == []
    for method, path in (
        ("GET", f"/files/{made['id']}"),
        ("GET", f"/tts/{made['contentHash']}/status"),
        ("DELETE", spelling.format(made["id"])),
    ):
        assert (await front.ask(method, path, user)).status_code == 404
    assert (await generated(front, user))["status"] == "generating"


async def test_one_that_failed_is_told_and_made_again(front: Front) -> None:
    user = await signed_in(front)
    told = await generated(front, user)
    job_id = f"speech-{told['file_id']}"
    failure = JobFailure(code="provider_failed", message="No tier could serve")
    async with front.database.write() as tx:
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.SPEAK)
        await tx.speech.failed(told["file_id"], user.id, failure.code, failure.message)
        await tx.jobs.move(job_id, user.id, JobState.FAILED, step=Step.DONE, failure=failure)
    front.starter.live.discard(job_id)
    path = f"/tts/{told['content_hash']}/status"
    assert (await front.ask("GET", path, user)).json()["status"] == "failed"
    assert (await front.ask("GET", f"/files/{told['file_id']}", user)).status_code == 404
    assert (await generated(front, user))["status"] == "generating"
    assert len(front.starter.started) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"text": ""}, "validation_failed"),
        ({"text": "x" * (MAX_CHARACTERS + 1)}, "validation_failed"),
        ({"text": " \u200b "}, "nothing_to_say"),
        ({"voice": "nobody"}, "unknown_voice"),
        ({"model": "gpt-99"}, "unknown_model"),
        ({"speed": 0.2}, "validation_failed"),
        ({"format": "ogg"}, "validation_failed"),
    ],
)
async def test_what_cannot_be_spoken_is_refused_by_name(
    change: dict[str, object], code: str, front: Front, anna: User
) -> None:
    answer = await front.ask("POST", "/tts/generate", anna, json=BODY | change)
    assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert set(answer.json()) == {"error", "message"}
    assert front.starter.started == []


async def test_a_key_that_came_with_another_text_is_refused(front: Front, anna: User) -> None:
    key = {"Idempotency-Key": "k"}
    first = await front.ask("POST", "/tts/generate", anna, json=BODY, headers=key)
    again = await front.ask("POST", "/tts/generate", anna, json=BODY, headers=key)
    assert first.json() == again.json()
    other = await front.ask("POST", "/tts/generate", anna, json=BODY | {"speed": 2}, headers=key)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")


async def test_usage_counts_ones_own_files(front: Front, anna: User) -> None:
    user = await signed_in(front)
    for number in range(3):
        await spoken(front, user, text=f"Text {number}")
    await generated(front, user)
    await spoken(front, anna)
    told = (await front.ask("GET", "/user/usage", user)).json()
    assert told == {
        "files_count": 3,
        "storage_used_mb": round(3 * len(AUDIO) / 2**20, 3),
        "generated_today": 4,
        "last_cleanup": None,
    }
    async with front.database.write() as tx:
        await tx.speech.cleaned()
    told = (await front.ask("GET", "/user/usage", user)).json()
    assert datetime.fromisoformat(told["last_cleanup"]).timestamp() <= time()
