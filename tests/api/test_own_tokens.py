"""A text that is to be spoken with its user's own token: who is asked, what is kept, how long."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.own_token import OwnToken
from contracts.errors import Conflict, Unavailable
from contracts.jobs import JobFailure, JobState, Step
from runtime.seals import SEALED
from runtime.sessions import own_token_seals
from tests.api.front import Front, User, opened, settings_for
from tests.api.reading import TEXT, ordered, spoken
from tests.fakes.vendor_tokens import GOOD

MINE, OTHER = f"{GOOD}-damson", f"{GOOD}-greengage"
BODY = {"text": TEXT, "voice": "nova"}
ELSEWHERE = "https://speech.example/v1"


async def ask(
    front: Front, user: User, token: str | None = MINE, key: str | None = None, **fields: Any
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = BODY | fields | ({} if token is None else {"openai_token": token})
    return await front.ask("POST", "/tts/generate", user, json=body, headers=headers)


async def accepted(front: Front, user: User, *args: Any, **kwargs: Any) -> str:
    """Id of the job."""
    answer = await ask(front, user, *args, **kwargs)
    assert answer.status_code == 200, answer.text
    return f"speech-{answer.json()['file_id']}"


async def sealed(front: Front, job_id: str, user: User) -> str | None:
    async with front.database.read() as tx:
        return await tx.secrets.find(job_id, user.id)


def opened_seal(front: Front, job_id: str, kept: str | None) -> str:
    """What the worker makes of it."""
    assert kept is not None
    settings = front.settings
    return own_token_seals(settings.sign_in, settings.data_dir).open(kept, job_id)


async def fail(front: Front, job_id: str, user: User) -> None:
    """As its workflow ends it."""
    failure = JobFailure(code="vendor_token_refused", message="No more")
    async with front.database.write() as tx:
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.SPEAK)
        await tx.secrets.forget(job_id, user.id)
        await tx.speech.failed(job_id.removeprefix("speech-"), user.id, "x", "x")
        await tx.jobs.move(job_id, user.id, JobState.FAILED, step=Step.DONE, failure=failure)
    front.starter.live.discard(job_id)


async def test_a_token_waits_sealed_for_its_job_alone_and_is_in_no_request(
    front: Front, anna: User, data_dir: Path
) -> None:
    job_id = await accepted(front, anna)
    kept = await sealed(front, job_id, anna)
    assert (kept or "").startswith(SEALED)
    assert opened_seal(front, job_id, kept) == MINE
    ((_, started, owner, request),) = front.starter.started
    assert (started, owner, request["own_token"]) == (job_id, anna.id, True)
    assert "damson" not in str(request)
    written = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert TEXT.encode() in written
    assert b"damson" not in written


async def test_a_text_without_a_token_keeps_none(front: Front, anna: User) -> None:
    for job_id in (
        await accepted(front, anna, None),
        (await ordered(front, anna, text="Another text", openai_token=MINE))["jobId"],
    ):
        assert await sealed(front, job_id, anna) is None
    assert [each[3]["own_token"] for each in front.starter.started] == [False, False]
    assert front.vendor_tokens.asked == 0


async def test_a_file_that_is_there_or_being_made_needs_no_token(front: Front, anna: User) -> None:
    await spoken(front, anna)
    front.vendor_tokens.away = True
    for token in (MINE, "sk-bad", "a b"):
        answer = await ask(front, anna, token)
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    front.vendor_tokens.away = False
    first = await accepted(front, anna, text="Not there yet")
    front.vendor_tokens.away = True
    for other in (OTHER, "sk-bad", None):
        assert await accepted(front, anna, other, text="Not there yet") == first
    assert opened_seal(front, first, await sealed(front, first, anna)) == MINE
    assert front.vendor_tokens.asked == 1


@pytest.mark.parametrize("token", ["sk-bad-damson", "a damson", f"{MINE}\r\nX: 1", MINE * 99])
async def test_a_token_the_vendor_refuses_is_401_and_nothing_is_written(
    front: Front, anna: User, token: str
) -> None:
    answer = await ask(front, anna, token)
    assert (answer.status_code, answer.json()["error"]) == (401, "vendor_token_refused")
    assert set(answer.json()) == {"error", "message"}
    assert "damson" not in answer.text
    assert front.starter.started == []
    async with front.database.read() as tx:
        assert await tx.speech.page(anna.id, limit=9) == []


@pytest.mark.parametrize("token", ["", 7, ["damson"]])
async def test_what_cannot_be_a_token_is_400(front: Front, anna: User, token: Any) -> None:
    answer = await ask(front, anna, token)
    assert (answer.status_code, answer.json()["error"]) == (400, "validation_failed")
    assert "damson" not in answer.text


async def test_a_vendor_that_does_not_say_is_503_and_nothing_is_written(
    front: Front, anna: User
) -> None:
    front.vendor_tokens.away = True
    answer = await ask(front, anna)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert front.starter.started == []
    front.vendor_tokens.away = False
    assert await accepted(front, anna)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"TOKEN_SIGN_IN": False}, "TOKEN_SIGN_IN"),
        ({"EMBEDDED_ISSUER": False}, "TOKEN_SIGN_IN"),
        ({"SPEECH_TIERS": "azure,local"}, "SPEECH_TIERS"),
        ({"OPENAI_SPEECH_BASE_URL": ELSEWHERE}, "OPENAI_SPEECH_BASE_URL"),
        (
            {"OPENAI_SPEECH_BASE_URL": ELSEWHERE, "OPENAI_BASE_URL": "https://api.example/v1"},
            "OPENAI_SPEECH_BASE_URL",
        ),
        ({"DATABASE_URL": "postgresql://db.example/v"}, "SESSION_KEY"),
    ],
)
def test_a_token_speaks_only_at_the_server_that_knows_it_and_where_all_can_open_it(
    tmp_path: Path, settings: dict[str, Any], why: str
) -> None:
    closed = settings_for(tmp_path, **settings)
    assert why in (closed.own_tokens_closed or "")
    assert not closed.speech_setup.own_tokens
    assert settings_for(tmp_path).speech_setup.own_tokens
    same = settings_for(tmp_path, OPENAI_BASE_URL=ELSEWHERE, OPENAI_SPEECH_BASE_URL=ELSEWHERE)
    assert same.speech_setup.own_tokens
    shared = {"DATABASE_URL": "postgresql://db.example/v", "SESSION_KEY": "k" * 32}
    assert settings_for(tmp_path, **shared).speech_setup.own_tokens
    assert settings_for(tmp_path, SPEECH_TIERS="local,openai").speech_setup.own_tokens


async def test_a_token_that_cannot_speak_is_refused_by_name_instead_of_ours_speaking(
    data_dir: Path,
) -> None:
    async with opened(data_dir, SPEECH_TIERS="local") as front:
        anna = front.user()
        answer = await ask(front, anna)
        assert (answer.status_code, answer.json()["error"]) == (400, "own_token_not_taken")
        assert "SPEECH_TIERS" in answer.json()["message"]
        assert (front.starter.started, front.vendor_tokens.asked) == ([], 0)
        await spoken(front, anna)
        assert (await ask(front, anna)).json()["status"] == "ready"


async def test_a_voice_that_only_other_engines_have_is_refused_with_a_token(
    data_dir: Path,
) -> None:
    async with opened(data_dir, SPEECH_TIERS="openai,local") as front:
        anna = front.user()
        answer = await ask(front, anna, voice="espeak:de")
        assert (answer.status_code, answer.json()["error"]) == (400, "unknown_voice")
        assert await accepted(front, anna, None, voice="espeak:de")
    async with opened(data_dir, SPEECH_OWN_TOKEN_FALLBACK=True) as front:
        assert await accepted(front, front.user(), voice="espeak:de")


async def test_a_text_is_paid_by_its_token_and_costs_what_the_setting_says(data_dir: Path) -> None:
    prices: dict[str, Any] = {"SPEECH_CREDITS_PER_1000": 7, "SPEECH_OWN_TOKEN_CREDITS_PER_1000": 0}
    async with opened(data_dir, **prices) as front:
        anna = front.user()
        await accepted(front, anna)
        await accepted(front, anna, None, text="Another text")
    async with opened(data_dir, **prices | {"SPEECH_OWN_TOKEN_CREDITS_PER_1000": 2}) as dear:
        await accepted(dear, anna, text="A third text")
    assert [each[3]["price"] for each in front.starter.started + dear.starter.started] == [0, 7, 2]


async def test_a_text_that_failed_is_tried_again_with_a_token_of_its_own_or_with_ours(
    front: Front, anna: User
) -> None:
    job_id = await accepted(front, anna)
    await fail(front, job_id, anna)
    assert await accepted(front, anna, OTHER) == job_id
    assert opened_seal(front, job_id, await sealed(front, job_id, anna)) == OTHER
    await fail(front, job_id, anna)
    assert (await ask(front, anna, "sk-bad")).status_code == 401
    assert await accepted(front, anna, None) == job_id
    assert await sealed(front, job_id, anna) is None
    told = [(each[3]["round"], each[3]["own_token"]) for each in front.starter.started]
    assert told == [(1, True), (2, True), (3, False)]


async def test_a_deleted_text_and_one_that_was_never_begun_leave_no_token(
    front: Front, anna: User
) -> None:
    job_id = await accepted(front, anna)
    answer = await front.ask("DELETE", f"/tts/{job_id.removeprefix('speech-')}", anna)
    assert answer.status_code == 200
    assert await sealed(front, job_id, anna) is None
    front.starter.failure = Unavailable("Temporal is away")
    assert (await ask(front, anna, text="Never begun")).status_code == 503
    with closing(sqlite3.connect(front.settings.data_dir / "voicekeep.db")) as database:
        assert database.execute("SELECT count(*) FROM job_secrets").fetchall() == [(0,)]


async def test_who_pays_is_no_part_of_what_an_idempotency_key_stands_for(
    front: Front, anna: User
) -> None:
    first = await accepted(front, anna, key="k")
    assert await accepted(front, anna, OTHER, key="k") == first
    assert await accepted(front, anna, None, key="k") == first
    assert opened_seal(front, first, await sealed(front, first, anna)) == MINE
    other = await ask(front, anna, key="k", speed=2)
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")


async def test_a_job_is_not_begun_with_a_token_nobody_was_asked_about(
    front: Front, anna: User
) -> None:
    job_id = await accepted(front, anna, None)
    own = OwnToken(front.services, SecretStr(MINE))
    async with front.database.write() as tx:
        with pytest.raises(Conflict):
            await own.keep(tx, job_id, anna.id)
        assert await tx.secrets.find(job_id, anna.id) is None
