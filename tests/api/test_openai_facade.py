"""OpenAI's audio API through the front: its shapes, its errors, and the jobs behind it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect

from api.job_wait import unless_gone
from api.openai_errors import PREFIX
from contracts.errors import Unavailable
from contracts.jobs import JobFailure, JobState, Step
from tests.api.front import Front, User, opened
from tests.api.reading import AUDIO, TEXT, spoken

SPEECH: Final = "/v1/audio/speech"
ASKED: Final = {"input": TEXT, "model": "tts-1", "voice": "nova"}


@pytest.fixture
async def dear(data_dir: Path) -> AsyncIterator[Front]:
    """A front where reading aloud costs credits."""
    async with opened(data_dir, SPEECH_CREDITS_PER_1000=100) as front:
        yield front


async def speak(front: Front, user: User | None, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", {})
    return await front.ask("POST", SPEECH, user, json=ASKED | fields, headers=headers)


def told(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, which has nothing beside it."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) >= {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return dict(body["error"])


async def test_what_has_been_spoken_is_sent_at_once_as_bytes(front: Front, anna: User) -> None:
    await spoken(front, anna, model="tts-1", format="opus")
    started = len(front.starter.started)
    answer = await speak(front, anna, response_format="opus", instructions="Cheerfully.")
    assert (answer.status_code, answer.content) == (200, AUDIO)
    assert answer.headers["Content-Type"] == "audio/ogg"
    assert len(front.starter.started) == started


async def test_audio_comes_as_events_too(front: Front, anna: User) -> None:
    await spoken(front, anna, model="tts-1")
    answer = await speak(front, anna, stream_format="sse", voice={"id": "nova"})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    *deltas, done = events
    assert {each["type"] for each in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(each["audio"]) for each in deltas) == AUDIO
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["characters"] == len(TEXT)
    assert done["usage"]["seconds"] == 2.5


async def test_what_takes_too_long_is_still_worked_at_and_joined_when_it_is_asked_for_again(
    front: Front, anna: User
) -> None:
    answers = [await speak(front, anna) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [409] * 3
    assert told(answers[0])["code"] == "still_working"
    assert answers[0].headers["Retry-After"] == "1"
    assert len(front.starter.started) == 1


async def test_it_is_the_same_job_as_in_the_house_style(front: Front, anna: User) -> None:
    await speak(front, anna)
    answer = await front.ask(
        "POST", "speech", anna, json={"text": TEXT, "voice": "nova", "model": "tts-1"}
    )
    assert answer.json()["speech"]["status"] == "generating"
    assert len(front.starter.started) == 1


async def fail(front: Front, user: User, failure: JobFailure) -> None:
    """Let the job that was started last fail."""
    job_id = front.starter.started[-1][1]
    async with front.database.write() as tx:
        job = await tx.jobs.find(job_id, user.id)
        assert job is not None
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.SPEAK)
        await tx.speech.failed(job.subject_id, user.id, failure.code, failure.message)
        await tx.jobs.move(job_id, user.id, JobState.FAILED, step=Step.DONE, failure=failure)
    front.starter.live.discard(job_id)


@pytest.mark.parametrize(
    ("code", "status", "kind", "param"),
    [
        ("provider_failed", 502, "server_error", None),
        ("language_not_spoken", 400, "invalid_request_error", "input"),
        ("insufficient_credits", 402, "insufficient_quota", None),
    ],
)
async def test_a_job_that_fails_while_it_is_waited_for_is_an_error_of_its_kind(
    data_dir: Path, code: str, status: int, kind: str, param: str | None
) -> None:
    async with opened(data_dir, OPENAI_API_WAIT_SECONDS=30) as front:
        anna = front.user()
        asking = asyncio.create_task(speak(front, anna))
        while not front.starter.started:
            await asyncio.sleep(0.01)
        await fail(front, anna, JobFailure(code=code, message="It could not be done"))
        error = told(answer := await asking)
    assert (answer.status_code, error["type"], error["param"]) == (status, kind, param)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k-1"}])
async def test_one_that_failed_is_made_again(
    front: Front, anna: User, headers: dict[str, str]
) -> None:
    await speak(front, anna, headers=headers)
    await fail(front, anna, JobFailure(code="provider_failed", message="No tier could serve"))
    assert told(await speak(front, anna, headers=headers))["code"] == "still_working"
    assert [start[3]["round"] for start in front.starter.started] == [1, 2]


async def test_one_key_is_one_request(front: Front, anna: User) -> None:
    key = {"Idempotency-Key": "k-1"}
    await speak(front, anna, headers=key)
    error = told(answer := await speak(front, anna, headers=key, voice="echo"))
    assert (answer.status_code, error["code"]) == (422, "idempotency_key_reused")
    assert error["param"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"input": ""}, (400, "validation_failed", "input")),
        ({"input": " \u200b "}, (400, "nothing_to_say", "input")),
        ({"input": "x" * 50_001}, (400, "validation_failed", "input")),
        ({"model": "gpt-99"}, (404, "model_not_found", "model")),
        ({"model": None}, (400, "validation_failed", "model")),
        ({"voice": "nobody"}, (400, "unknown_voice", "voice")),
        ({"speed": 4.1}, (400, "validation_failed", "speed")),
        ({"response_format": "ogg"}, (400, "validation_failed", "response_format")),
        ({"stream_format": "ws"}, (400, "validation_failed", "stream_format")),
    ],
)
async def test_what_is_wrong_with_a_request_is_told_by_its_field(
    change: dict[str, Any], expected: tuple[int, str, str], front: Front, anna: User
) -> None:
    error = told(answer := await speak(front, anna, **change))
    assert (answer.status_code, error["code"], error["param"]) == expected
    assert error["type"] == "invalid_request_error"
    assert front.starter.started == []


async def test_strangers_bad_paths_and_bodies_beyond_the_bound_get_the_same_shape(
    front: Front, anna: User
) -> None:
    stranger = await front.ask("POST", SPEECH, json=ASKED)
    assert (stranger.status_code, told(stranger)["code"]) == (401, "invalid_api_key")
    nothing = await front.ask("GET", "/v1/nothing", anna)
    assert (nothing.status_code, told(nothing)["type"]) == (404, "invalid_request_error")
    method = await front.ask("PUT", SPEECH, anna)
    assert (method.status_code, told(method)["code"]) == (405, "method_not_allowed")
    large = await speak(front, anna, input="x" * 1_100_000)
    assert (large.status_code, told(large)["code"]) == (413, "too_large")
    broken = await front.ask(
        "POST", SPEECH, anna, content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (broken.status_code, told(broken)["code"]) == (400, "invalid_json")
    query = await front.ask("GET", f"/v1/models?{'x' * 9000}", anna)
    assert (query.status_code, told(query)["code"]) == (414, "address_too_long")


async def test_a_rate_that_is_used_up_and_a_dependency_that_is_away_are_told_as_there(
    data_dir: Path,
) -> None:
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=2) as front:
        anna = front.user()
        front.starter.failure = Unavailable("Temporal does not answer")
        away = await speak(front, anna)
        assert (away.status_code, told(away)["type"]) == (503, "server_error")
        await front.ask("GET", "/v1/models", anna)
        limited = await front.ask("GET", "/v1/models", anna)
    error = told(limited)
    assert (limited.status_code, error["code"]) == (429, "rate_limit_exceeded")
    assert "Retry-After" in limited.headers


async def test_whoever_cannot_pay_is_told_so(dear: Front) -> None:
    error = told(answer := await speak(dear, dear.user(), input="word " * 300))
    assert (answer.status_code, error["code"]) == (402, "insufficient_quota")
    assert error["requiredCredits"] == 200


async def test_a_crash_is_told_in_the_same_shape(front: Front, anna: User) -> None:
    router = APIRouter(prefix=PREFIX)

    @router.get("/planted")
    async def planted() -> None:
        raise RuntimeError("planted")

    front.app.include_router(router)
    error = told(answer := await front.ask("GET", "/v1/planted", anna))
    assert (answer.status_code, error["type"]) == (500, "server_error")


async def test_models_are_those_that_requests_may_name(front: Front, anna: User) -> None:
    listed = (await front.ask("GET", "/v1/models", anna)).json()
    assert listed["object"] == "list"
    names = [each["id"] for each in listed["data"]]
    assert len(names) == len(set(names))
    assert {"tts-1", "gpt-4o-mini-tts", "whisper-1", "gpt-4o-transcribe-diarize"} <= set(names)
    one = await front.ask("GET", "/v1/models/tts-1", anna)
    assert one.json() == next(each for each in listed["data"] if each["id"] == "tts-1")
    missing = await front.ask("GET", "/v1/models/gpt-99", anna)
    assert (missing.status_code, told(missing)["code"]) == (404, "model_not_found")


async def test_a_client_that_hangs_up_is_not_waited_with() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(ClientDisconnect):
        await unless_gone(request, asyncio.sleep(60))
