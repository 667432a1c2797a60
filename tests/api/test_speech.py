"""Texts that are read aloud, through the front: ordered once, listened to, deleted whole."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Unavailable
from contracts.jobs import JobFailure, JobState, Step
from contracts.speech_text import MAX_CHARACTERS
from tests.api.front import Front, User, opened
from tests.api.reading import AUDIO, TEXT, ordered, spoken


@pytest.fixture
async def dear(data_dir: Path) -> AsyncIterator[Front]:
    """A front where reading aloud costs credits."""
    async with opened(data_dir, SPEECH_CREDITS_PER_1000=100) as front:
        yield front


async def test_a_text_is_ordered_and_its_job_started(front: Front, anna: User) -> None:
    told = await ordered(front, anna, speed=1.5, format="opus")
    assert told["status"] == "generating"
    assert (told["voice"], told["format"], told["speed"]) == ("nova", "opus", 1.5)
    assert (told["characters"], told["url"]) == (len(TEXT), None)
    (kind, job_id, owner, request) = front.starter.started[-1]
    assert (kind, job_id, owner) == ("speech", told["jobId"], anna.id)
    assert TEXT not in str(request)


async def test_equal_requests_have_one_job_and_others_one_of_their_own(
    front: Front, anna: User, ben: User
) -> None:
    first = await ordered(front, anna)
    same = await ordered(front, anna, text=f"  {TEXT.replace(' ', '  ')}\n")
    assert same["id"] == first["id"]
    others = [
        await ordered(front, anna, voice="echo"),
        await ordered(front, anna, speed=2.0),
        await ordered(front, anna, format="wav"),
        await ordered(front, ben),
    ]
    assert len({first["id"], *(other["id"] for other in others)}) == 5
    assert others[-1]["contentHash"] == first["contentHash"]
    assert len(front.starter.started) == 5


async def test_a_thousand_equal_requests_at_once_start_one_job(front: Front, anna: User) -> None:
    body = {"text": TEXT, "voice": "nova"}

    async def patiently() -> str:
        """Asks again for as long as it is told that the database has no turn for it."""
        while (answer := await front.ask("POST", "speech", anna, json=body)).status_code == 503:
            assert "Retry-After" in answer.headers
        assert answer.status_code == 201
        return str(answer.json()["speech"]["id"])

    ids = await asyncio.gather(*(patiently() for _ in range(1000)))
    assert len(set(ids)) == 1
    assert len({start[1] for start in front.starter.started}) == 1


async def test_a_file_that_is_there_is_the_answer_and_starts_nothing(
    front: Front, anna: User
) -> None:
    told = await spoken(front, anna)
    started = len(front.starter.started)
    answer = await front.ask("POST", "speech", anna, json={"text": TEXT, "voice": "nova"})
    assert answer.status_code == 200
    speech = answer.json()["speech"]
    assert (speech["id"], speech["status"], speech["seconds"]) == (told["id"], "ready", 2.5)
    assert len(front.starter.started) == started


async def test_one_that_failed_is_made_again(front: Front, anna: User) -> None:
    told = await ordered(front, anna)
    failure = JobFailure(code="provider_failed", message="No tier could serve")
    async with front.database.write() as tx:
        await tx.jobs.move(told["jobId"], anna.id, JobState.RUNNING, step=Step.SPEAK)
        await tx.speech.failed(told["id"], anna.id, failure.code, failure.message)
        await tx.jobs.move(told["jobId"], anna.id, JobState.FAILED, step=Step.DONE, failure=failure)
    front.starter.live.discard(told["jobId"])
    seen = (await front.ask("GET", f"speech/{told['id']}", anna)).json()["speech"]
    assert (seen["status"], seen["error"]["code"]) == ("failed", "provider_failed")
    again = await ordered(front, anna)
    assert (again["id"], again["status"], again["error"]) == (told["id"], "generating", None)
    assert front.starter.started[-1][3]["round"] == 2


async def test_a_job_that_temporal_never_took_is_started_by_the_next_request(
    front: Front, anna: User
) -> None:
    front.starter.failure = Unavailable("Temporal does not answer")
    body = {"text": TEXT, "voice": "nova"}
    assert (await front.ask("POST", "speech", anna, json=body)).status_code == 503
    front.starter.failure = None
    assert (await ordered(front, anna))["status"] == "generating"
    assert len(front.starter.started) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"text": ""}, "validation_failed"),
        ({"text": "x" * (MAX_CHARACTERS + 1)}, "validation_failed"),
        ({"text": "\u0000a"}, "invalid_text"),
        ({"text": " \u200b \t "}, "nothing_to_say"),
        ({"voice": "nobody"}, "unknown_voice"),
        ({"model": "gpt-99"}, "unknown_model"),
        ({"speed": 4.1}, "validation_failed"),
        ({"speed": "fast"}, "validation_failed"),
        ({"format": "ogg"}, "validation_failed"),
        ({"language": "not a language"}, "validation_failed"),
    ],
)
async def test_what_cannot_be_spoken_is_refused_by_name(
    change: dict[str, object], code: str, front: Front, anna: User
) -> None:
    body = {"text": TEXT, "voice": "nova"} | change
    answer = await front.ask("POST", "speech", anna, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert front.starter.started == []


async def test_a_lone_surrogate_is_refused(front: Front, anna: User) -> None:
    headers = {"Content-Type": "application/json"}
    content = b'{"text": "a \\ud800 b", "voice": "nova"}'
    answer = await front.ask("POST", "speech", anna, content=content, headers=headers)
    assert answer.status_code == 400


async def test_fifty_thousand_characters_of_marks_are_taken_or_refused_never_a_crash(
    front: Front, anna: User
) -> None:
    body = {"text": "a" + "\u0301" * (MAX_CHARACTERS - 1), "voice": "nova"}
    answer = await front.ask("POST", "speech", anna, json=body)
    assert answer.status_code == 201
    assert answer.json()["speech"]["characters"] < 20


async def test_whoever_cannot_pay_is_told_what_it_costs(dear: Front) -> None:
    anna = dear.user()
    body = {"text": "word " * 300, "voice": "nova"}
    answer = await dear.ask("POST", "speech", anna, json=body)
    assert answer.status_code == 402
    told = answer.json()
    assert (told["requiredCredits"], told["availableCredits"]) == (200, 150)


async def test_audio_is_served_whole_in_pieces_and_not_again(front: Front, anna: User) -> None:
    told = await spoken(front, anna)
    path = f"speech/{told['id']}/audio"
    whole = await front.ask("GET", path, anna)
    assert (whole.status_code, whole.content) == (200, AUDIO)
    assert whole.headers["Content-Type"] == "audio/mpeg"
    assert whole.headers["Accept-Ranges"] == "bytes"
    tag = whole.headers["ETag"]
    head = await front.ask("HEAD", path, anna)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(AUDIO))
    again = await front.ask("GET", path, anna, headers={"If-None-Match": f'W/{tag}, "x"'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)


@pytest.mark.parametrize(
    ("asked", "status", "piece"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=10-", 206, (10, len(AUDIO))),
        ("bytes=-7", 206, (len(AUDIO) - 7, len(AUDIO))),
        ("bytes=2040-9999", 206, (2040, len(AUDIO))),
        ("bytes=0-", 206, (0, len(AUDIO))),
        ("bytes=9-3", 200, (0, len(AUDIO))),
        ("bytes=0-1,5-6", 200, (0, len(AUDIO))),
        ("lines=1-2", 200, (0, len(AUDIO))),
        ("bytes=-", 200, (0, len(AUDIO))),
    ],
)
async def test_a_range_is_served_as_it_is_asked(
    asked: str, status: int, piece: tuple[int, int], front: Front, anna: User
) -> None:
    start, end = piece
    told = await spoken(front, anna)
    answer = await front.ask("GET", f"speech/{told['id']}/audio", anna, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, AUDIO[start:end])
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(AUDIO)}"


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=9999-10000", "bytes=-0"])
async def test_a_range_behind_the_end_is_416(asked: str, front: Front, anna: User) -> None:
    told = await spoken(front, anna)
    answer = await front.ask("GET", f"speech/{told['id']}/audio", anna, headers={"Range": asked})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(AUDIO)}")


async def test_an_outdated_if_range_gets_the_whole_file(front: Front, anna: User) -> None:
    told = await spoken(front, anna)
    headers = {"Range": "bytes=0-1", "If-Range": '"another"'}
    answer = await front.ask("GET", f"speech/{told['id']}/audio", anna, headers=headers)
    assert (answer.status_code, answer.content) == (200, AUDIO)


async def test_what_is_not_there_yet_is_not_found(front: Front, anna: User) -> None:
    told = await ordered(front, anna)
    for path in ("audio", "timings"):
        answer = await front.ask("GET", f"speech/{told['id']}/{path}", anna)
        assert answer.status_code == 404


async def test_timings_come_as_json_and_for_a_player(front: Front, anna: User) -> None:
    told = await spoken(front, anna)
    path = f"speech/{told['id']}/timings"
    answer = (await front.ask("GET", path, anna)).json()
    assert answer["timings"] == [{"kind": "word", "text": "The", "start": 0.0, "end": 0.25}]
    player = await front.ask("GET", f"{path}?format=vtt", anna)
    assert player.headers["Content-Type"].startswith("text/vtt")
    assert player.text.startswith("WEBVTT")
    assert "The" in player.text


async def test_a_deleted_text_leaves_nothing_behind(front: Front, anna: User) -> None:
    told = await spoken(front, anna)
    assert len(front.stored) == 2
    answer = await front.ask("DELETE", f"speech/{told['id']}", anna)
    assert answer.json() == {"success": True, "deleted": True}
    assert front.stored == []
    for path in ("", "/audio", "/timings"):
        assert (await front.ask("GET", f"speech/{told['id']}{path}", anna)).status_code == 404
    assert (await front.ask("DELETE", f"speech/{told['id']}", anna)).status_code == 404
    fresh = await ordered(front, anna)
    assert fresh["id"] != told["id"]


async def test_a_text_deleted_while_it_is_spoken_has_its_job_cancelled(
    front: Front, anna: User
) -> None:
    told = await ordered(front, anna)
    await front.ask("DELETE", f"speech/{told['id']}", anna)
    assert told["jobId"] in front.starter.cancelled


async def test_the_list_is_ones_own_and_comes_in_pages(front: Front, anna: User, ben: User) -> None:
    made = [(await ordered(front, anna, text=f"Text {n}"))["id"] for n in range(5)]
    await ordered(front, ben)
    first = (await front.ask("GET", "speech?limit=3", anna)).json()
    rest = await front.ask("GET", f"speech?limit=3&cursor={first['nextCursor']}", anna)
    seen = [each["id"] for each in (*first["speech"], *rest.json()["speech"])]
    assert seen == made[::-1]
    assert rest.json()["nextCursor"] is None


async def test_listening_lets_a_file_live_on(front: Front, anna: User) -> None:
    told = await spoken(front, anna)
    async with front.database.write() as tx:
        await tx.session.run(_aged(told["id"]))
    before = (await front.ask("GET", f"speech/{told['id']}", anna)).json()["speech"]["expiresAt"]
    await front.ask("GET", f"speech/{told['id']}/audio", anna, headers={"Range": "bytes=0-1"})
    after = (await front.ask("GET", f"speech/{told['id']}", anna)).json()["speech"]["expiresAt"]
    assert after > before


def _aged(file_id: str) -> Any:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - of this one statement

    from sqlalchemy import update  # noqa: PLC0415 - likewise

    from store.speech_tables import speech_files  # noqa: PLC0415 - likewise

    past = datetime.now(UTC) - timedelta(hours=2)
    return (
        update(speech_files)
        .where(speech_files.c.id == file_id)
        .values(used_at=past, expires_at=past + timedelta(days=7))
    )
