"""OpenAI's translations through the front: the memo of transcriptions, and one job over it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from contracts.audio import AudioFacts
from contracts.jobs import JobState, Step
from contracts.transcript import Transcript, TranscriptPart, Utterance, Word, join_parts
from tests.api.front import Front, User, wav
from tests.api.writing import AWAY, Writer, writing

PATH: Final = "/v1/audio/translations"
TRANSCRIPTIONS: Final = "/v1/audio/transcriptions"
MODELS: Final = {"OPENAI_API_KEY": "test", "TRANSLATION_CREDITS": 7}
ENGLISH: Final = "Hello there. Good evening!"


def said(locale: str | None = "de-DE") -> Transcript:
    return join_parts(
        [
            TranscriptPart(
                start=0,
                end=6,
                utterances=(
                    Utterance(text="Hallo.", offset=500, duration=1000, locale=locale),
                    Utterance(text="Guten Abend!", offset=2000, duration=1500, locale=locale),
                ),
                words=(Word(text="Hallo", offset=500, duration=400),),
            )
        ],
        6.0,
    )


@pytest.fixture
async def stage(data_dir: Path) -> AsyncIterator[tuple[Front, Writer]]:
    """Nothing is waited for: a call that finds a job at work is 409."""
    async with writing(data_dir, OPENAI_API_WAIT_SECONDS=0, **MODELS) as stage:
        yield stage


async def ask(front: Front, user: User, path: str = PATH, **fields: Any) -> httpx.Response:
    """``content`` and ``headers`` are of the request, the rest of its form."""
    headers, content = fields.pop("headers", {}), fields.pop("content", wav())
    data = {"model": "whisper-1"} | fields
    files = {"file": ("a.wav", content)}
    return await front.ask("POST", path, user, files=files, data=data, headers=headers)


async def heard(front: Front, user: User, transcript: Transcript) -> str:
    """Let the job of the memo take a transcript down; returns the memo's id."""
    memos = [each for each in front.starter.started if each[0] == "memo"]
    _, job_id, _, request = memos[-1]
    async with front.database.write() as tx:
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.TRANSCRIBE)
        await tx.transcripts.save(job_id, user.id, request["memo_id"], "local", transcript)
        await tx.jobs.advance(job_id, user.id, Step.SETTLE)
    return str(request["memo_id"])


def kinds(writer: Writer) -> list[str]:
    return [kind for kind, *_ in writer.started]


async def credits_of(front: Front, user: User) -> tuple[int, int]:
    found = (await front.ask("GET", "credits/balance", user)).json()
    return found["credits"], found["held"]


async def test_every_form_is_of_one_translation_that_is_made_and_charged_once(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    assert (await ask(front, anna)).json()["error"]["code"] == "still_working"
    memo_id = await heard(front, anna, said())
    writer.go_on.clear()
    assert (await ask(front, anna)).json()["error"]["code"] == "still_working"
    writer.go_on.set()
    await writer.idle()

    async def got(form: str) -> httpx.Response:
        answer = await ask(front, anna, response_format=form)
        assert answer.status_code == 200, answer.text
        return answer

    assert (await got("json")).json() == {"text": ENGLISH}
    assert (await got("text")).text == f"{ENGLISH}\n"
    srt = (await got("srt")).text
    assert srt.startswith("1\n00:00:00,500 --> ")
    assert "Good evening!" in srt
    assert (await got("vtt")).headers["Content-Type"].startswith("text/vtt")
    verbose = (await got("verbose_json")).json()
    assert (verbose["task"], verbose["language"], verbose["duration"]) == (
        "translate", "english", 6.0,
    )  # fmt: skip
    assert [(each["start"], each["end"], each["text"]) for each in verbose["segments"]] == [
        (0.5, 1.5, "Hello there."), (2, 3.5, "Good evening!"),
    ]  # fmt: skip
    assert kinds(writer) == ["memo", "translate"]
    assert writer.started[-1][1] == f"translate-{memo_id}"
    assert writer.started[-1][3]["price"] == 7
    assert await credits_of(front, anna) == (143, 0)


async def test_a_recording_that_was_transcribed_is_not_transcribed_again(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    await ask(front, anna, TRANSCRIPTIONS)
    await heard(front, anna, said())
    await ask(front, anna)
    await writer.idle()
    assert (await ask(front, anna)).json() == {"text": ENGLISH}
    assert (await ask(front, anna, TRANSCRIPTIONS)).json()["text"] == "Hallo. Guten Abend!"
    assert kinds(writer) == ["memo", "translate"]
    assert len(front.stored) == 1


async def test_what_is_english_already_is_no_job_and_free(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    await ask(front, anna)
    await heard(front, anna, said("en-GB"))
    answer = await ask(front, anna)
    assert answer.json() == {"text": "Hallo. Guten Abend!"}
    assert kinds(writer) == ["memo"]


async def test_where_nothing_is_said_the_text_is_empty(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    await ask(front, anna)
    _, job_id, _, request = writer.started[-1]
    facts = AudioFacts(
        container="wav", codec="pcm_s16le", seconds=3.0, sample_rate=16_000, channels=1, size=9
    )
    async with front.database.write() as tx:
        await tx.media.save_facts(request["audio_path"], anna.id, request["memo_id"], facts)
        await tx.jobs.move(job_id, anna.id, JobState.RUNNING, step=Step.TRANSCRIBE)
        await tx.jobs.move(job_id, anna.id, JobState.COMPLETED_NO_TRANSCRIPT, step=Step.DONE)
    assert (await ask(front, anna)).json() == {"text": ""}
    assert kinds(writer) == ["memo"]


async def test_many_who_ask_at_once_have_one_job(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    await ask(front, anna)
    await heard(front, anna, said())
    writer.go_on.clear()
    answers = await asyncio.gather(*(ask(front, anna) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {409}
    writer.go_on.set()
    await writer.idle()
    assert (await ask(front, anna)).status_code == 200
    assert len({job_id for kind, job_id, *_ in writer.started if kind == "translate"}) == 1
    assert await credits_of(front, anna) == (143, 0)


async def test_a_translation_that_failed_is_told_and_tried_again_when_it_is_asked_for(
    data_dir: Path,
) -> None:
    async with writing(data_dir, OPENAI_API_WAIT_SECONDS=20, **MODELS) as (front, writer):
        anna = front.user()
        asking = asyncio.create_task(ask(front, anna))
        while not writer.started:
            await asyncio.sleep(0.01)
        writer.failure_of_jobs = AWAY
        await heard(front, anna, said())
        failed = await asking
        assert (failed.status_code, failed.json()["error"]["type"]) == (502, "server_error")
        assert failed.json()["error"]["code"] == AWAY.code
        writer.failure_of_jobs = JobState.CANCELLED
        cancelled = await ask(front, anna)
        assert cancelled.json()["error"]["code"] == "job_cancelled"
        writer.failure_of_jobs = None
        assert (await ask(front, anna)).json() == {"text": ENGLISH}
        rounds = [request["round"] for kind, _, _, request in writer.started if kind != "memo"]
        assert rounds == [1, 2, 3]
        assert await credits_of(front, anna) == (143, 0)


async def test_whoever_cannot_pay_is_told_so_and_keeps_the_transcript(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    await ask(front, anna)
    await heard(front, anna, said())
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 146)
    answer = await ask(front, anna)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (
        402, "insufficient_quota", "insufficient_quota",
    )  # fmt: skip
    assert (error["requiredCredits"], error["availableCredits"]) == (7, 4)
    assert (await ask(front, anna, TRANSCRIPTIONS)).status_code == 200
    assert kinds(writer) == ["memo"]


async def test_a_memo_that_was_deleted_is_begun_anew(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    await ask(front, anna)
    memo_id = await heard(front, anna, said())
    await ask(front, anna)
    await writer.idle()
    assert (await front.ask("DELETE", f"memos/{memo_id}", anna)).status_code == 202
    assert (await ask(front, anna)).status_code == 409
    assert writer.started[-1][0] == "memo"
    assert writer.started[-1][3]["memo_id"] != memo_id


async def test_two_users_with_one_file_have_a_translation_each(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    for user in (front.user(), front.user()):
        await ask(front, user)
        await heard(front, user, said())
        await ask(front, user)
        await writer.idle()
        assert (await ask(front, user)).json() == {"text": ENGLISH}
        assert await credits_of(front, user) == (143, 0)
    assert kinds(writer).count("translate") == 2


async def test_without_a_model_that_could_translate_nothing_is_kept(
    front: Front, anna: User
) -> None:
    answer = await ask(front, anna)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "not_configured", "model")
    assert (front.starter.started, front.stored) == ([], [])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"content": b"no audio at all"}, (400, "unsupported_media_type", "file")),
        ({"model": "gpt-99"}, (404, "model_not_found", "model")),
        ({"response_format": "diarized_json"}, (400, "validation_failed", "response_format")),
        ({"temperature": "2"}, (400, "validation_failed", "temperature")),
    ],
    ids=["noise", "model", "form", "temperature"],
)
async def test_what_is_wrong_is_told_by_its_field_and_nothing_is_kept(
    change: dict[str, Any], expected: tuple[int, str, str], stage: tuple[Front, Writer]
) -> None:
    front, writer = stage
    answer = await ask(front, front.user(), **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == expected
    assert (writer.started, front.stored) == ([], [])
