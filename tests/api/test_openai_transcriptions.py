"""OpenAI's transcriptions through the front: every form of answer, and the memos behind it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from contracts.audio import AudioFacts
from contracts.jobs import JobFailure, JobState, Step
from contracts.transcript import TranscriptPart, Utterance, Word, join_parts
from tests.api.front import Front, User, opened, wav

PATH: Final = "/v1/audio/transcriptions"
SAID: Final = join_parts(
    [
        TranscriptPart(
            start=0,
            end=6,
            utterances=(
                Utterance(text="Hello there.", offset=500, duration=1000, speaker=1, locale="en"),
                Utterance(text="Good evening!", offset=2000, duration=1500, speaker=2, locale="en"),
            ),
            words=(Word(text="Hello", offset=500, duration=400),),
        )
    ],
    6.0,
)


async def ask(front: Front, user: User, **fields: Any) -> httpx.Response:
    """A transcription; ``content`` and ``headers`` are of the request, the rest of its form."""
    headers, content = fields.pop("headers", {}), fields.pop("content", wav())
    files = {"file": ("a.wav", content)}
    data = {"model": "whisper-1"} | fields
    return await front.ask("POST", PATH, user, files=files, data=data, headers=headers)


def begun(front: Front) -> Sequence[tuple[str, str]]:
    """Ids of the memos and of their jobs that were started."""
    return [(request["memo_id"], job_id) for _, job_id, _, request in front.starter.started]


async def heard(front: Front, user: User, step: Step = Step.SETTLE) -> None:
    """Let the last job take the transcript down, and go on."""
    memo_id, job_id = begun(front)[-1]
    async with front.database.write() as tx:
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.TRANSCRIBE)
        await tx.transcripts.save(job_id, user.id, memo_id, "local", SAID)
        await tx.jobs.advance(job_id, user.id, step)


async def ended(front: Front, user: User, state: JobState, code: str = "") -> None:
    """Let the last job end without a transcript."""
    _, job_id = begun(front)[-1]
    failure = JobFailure(code=code, message="It could not be done") if code else None
    async with front.database.write() as tx:
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.TRANSCRIBE)
        await tx.jobs.move(job_id, user.id, state, step=Step.DONE, failure=failure)
    front.starter.live.discard(job_id)


@pytest.fixture
async def transcribed(front: Front, anna: User) -> User:
    """A user whose recording has been transcribed, once; its headline is still being written."""
    assert (await ask(front, anna)).status_code == 409
    await heard(front, anna)
    return anna


async def test_every_form_is_of_the_same_memo_and_transcribed_once(
    front: Front, transcribed: User
) -> None:
    async def got(form: str, **fields: Any) -> httpx.Response:
        answer = await ask(front, transcribed, response_format=form, **fields)
        assert answer.status_code == 200, answer.text
        return answer

    usage = {"type": "duration", "seconds": 6.0}
    assert (await got("json")).json() == {"text": SAID.text, "usage": usage}
    text = await got("text")
    assert (text.text, text.headers["Content-Type"]) == (
        "Hello there. Good evening!\n", "text/plain; charset=utf-8",
    )  # fmt: skip
    assert (await got("srt")).text.startswith("1\n00:00:00,500 --> ")
    assert (await got("vtt")).text.startswith("WEBVTT\n")
    verbose = (await got("verbose_json")).json()
    assert (verbose["language"], verbose["duration"], verbose["task"]) == (
        "english", 6.0, "transcribe",
    )  # fmt: skip
    assert [(each["start"], each["end"]) for each in verbose["segments"]] == [(0.5, 1.5), (2, 3.5)]
    assert "words" not in verbose
    words = (await got("verbose_json", **{"timestamp_granularities[]": ["word"]})).json()
    assert words["words"] == [{"word": "Hello", "start": 0.5, "end": 0.9}]
    assert "segments" not in words
    assert len(begun(front)) == 1
    assert len(front.stored) == 1


async def test_events_add_up_to_the_text(front: Front, transcribed: User) -> None:
    answer = await ask(front, transcribed, stream="true")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    *deltas, done = events
    assert {each["type"] for each in deltas} == {"transcript.text.delta"}
    assert "".join(each["delta"] for each in deltas) == SAID.text
    assert (done["type"], done["text"]) == ("transcript.text.done", SAID.text)


async def test_speakers_are_told_apart_by_a_memo_that_was_asked_to(
    front: Front, anna: User
) -> None:
    await ask(front, anna, response_format="diarized_json")
    assert front.starter.started[-1][3]["diarization"] is True
    await heard(front, anna, Step.HEADLINE)
    told = (await ask(front, anna, response_format="diarized_json")).json()
    assert [(each["speaker"], each["text"]) for each in told["segments"]] == [
        ("A", "Hello there."), ("B", "Good evening!"),
    ]  # fmt: skip
    plain = await ask(front, anna)
    assert (plain.status_code, len(begun(front))) == (409, 2)
    assert front.starter.started[-1][3]["diarization"] is False


async def test_the_memo_is_an_ordinary_one_in_the_languages_asked_for(
    front: Front, anna: User
) -> None:
    await ask(front, anna, language="de", **{"languages[]": ["en", "de"]})
    assert front.starter.started[-1][3]["languages"] == ["en", "de"]
    listed = (await front.ask("GET", "memos", anna)).json()["memos"]
    assert [memo["id"] for memo in listed] == [begun(front)[-1][0]]


async def test_where_nothing_is_said_the_text_is_empty(front: Front, anna: User) -> None:
    await ask(front, anna)
    memo_id, _ = begun(front)[-1]
    path = front.starter.started[-1][3]["audio_path"]
    facts = AudioFacts(
        container="wav", codec="pcm_s16le", seconds=3.0, sample_rate=16_000, channels=1, size=9
    )
    async with front.database.write() as tx:
        await tx.media.save_facts(path, anna.id, memo_id, facts)
    await ended(front, anna, JobState.COMPLETED_NO_TRANSCRIPT)
    answer = await ask(front, anna)
    assert answer.json() == {"text": "", "usage": {"type": "duration", "seconds": 3.0}}


async def test_what_failed_is_tried_again_over_the_same_memo(front: Front, anna: User) -> None:
    await ask(front, anna)
    await ended(front, anna, JobState.FAILED, "provider_failed")
    assert (await ask(front, anna)).json()["error"]["code"] == "still_working"
    (first, second) = begun(front)
    assert first == second
    assert front.starter.started[-1][3]["round"] == 2


async def test_a_memo_that_was_deleted_is_begun_anew(front: Front, anna: User) -> None:
    await ask(front, anna)
    memo_id, _ = begun(front)[-1]
    assert (await front.ask("DELETE", f"memos/{memo_id}", anna)).status_code == 202
    await ask(front, anna)
    assert front.starter.started[-1][0] == "memo"
    assert front.starter.started[-1][3]["memo_id"] != memo_id


async def test_a_key_is_of_one_recording(front: Front, anna: User) -> None:
    key = {"Idempotency-Key": "k-1"}
    await ask(front, anna, headers=key)
    await heard(front, anna)
    again = await ask(front, anna, headers=key, response_format="text")
    other = await ask(front, anna, content=wav(0.3), headers=key)
    assert again.text == f"{SAID.text}\n"
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(front.stored) == 1


async def test_two_users_with_one_file_have_a_memo_each(
    front: Front, transcribed: User, ben: User
) -> None:
    assert (await ask(front, ben)).status_code == 409
    assert len(begun(front)) == 2


@pytest.mark.parametrize(
    ("code", "status", "kind", "param"),
    [
        ("audio_corrupt", 400, "invalid_request_error", "file"),
        ("provider_failed", 502, "server_error", None),
        ("insufficient_credits", 402, "insufficient_quota", None),
    ],
)
async def test_a_job_that_fails_while_it_is_waited_for_is_an_error_of_its_kind(
    data_dir: Path, code: str, status: int, kind: str, param: str | None
) -> None:
    async with opened(data_dir, OPENAI_API_WAIT_SECONDS=30) as front:
        anna = front.user()
        asking = asyncio.create_task(ask(front, anna))
        while not front.starter.started:
            await asyncio.sleep(0.01)
        await ended(front, anna, JobState.FAILED, code)
        answer = await asking
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (status, kind, param)
    assert error["message"] == "It could not be done"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"content": b"no audio at all"}, (400, "unsupported_media_type", "file")),
        ({"model": "gpt-99"}, (404, "model_not_found", "model")),
        ({"model": ""}, (400, "validation_failed", "model")),
        ({"response_format": "xml"}, (400, "validation_failed", "response_format")),
        ({"language": "not a language"}, (400, "validation_failed", "language")),
        ({"timestamp_granularities[]": "letter"}, (400, "validation_failed", "timestamp_gran")),
        ({"stream": "perhaps"}, (400, "validation_failed", "stream")),
    ],
)
async def test_what_is_wrong_is_told_by_its_field_and_nothing_is_kept(
    change: dict[str, Any], expected: tuple[int, str, str], front: Front, anna: User
) -> None:
    answer = await ask(front, anna, **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == expected[:2]
    assert error["param"].startswith(expected[2])
    assert (front.starter.started, front.stored) == ([], [])
