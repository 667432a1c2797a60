"""Reports of outside transcribers: kept before they are answered, told once, charged once."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.errors import Unavailable
from contracts.jobs import JobState
from contracts.outside import OutsideReport, OutsideTranscript
from tests.api.front import Front, User, opened

KEY = "service-key-of-a-test"
HEADERS = {"X-Service-Key": KEY}
REPORT = "internal/transcription-completed"
SAID: dict[str, Any] = {
    "transcript": "Bread and milk",
    "utterances": [
        {"offset": 1500, "duration": 900, "text": "and milk", "speaker": "Guest"},
        {"offset": 0.4, "duration": 800, "text": "Bread", "speaker": "Host"},
    ],
    "speakers": {"Host": "Anna"},
    "speakerMap": {"Guest": "Ben"},
    "languages": ["en-US", "de-DE", "en-US"],
    "primary_language": "en-US",
    "duration": 2.4,
}


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    async with opened(data_dir, SERVICE_KEY=KEY) as front:
        yield front


async def running(front: Front, user: User) -> dict[str, Any]:
    memo = await front.new_memo(user)
    await front.move(memo, JobState.RUNNING)
    return memo


async def report(front: Front, memo: dict[str, Any], **fields: Any) -> httpx.Response:
    body = {"memoId": memo["memoId"], "userId": memo["memo"]["user_id"], "success": True}
    if fields.get("success", True):
        body["transcriptionResult"] = SAID
    return await front.ask("POST", REPORT, json=body | fields, headers=HEADERS)


async def kept(front: Front, memo: dict[str, Any]) -> OutsideTranscript | None:
    async with front.database.read() as tx:
        return await tx.outside.transcript(memo["jobId"], memo["memo"]["user_id"])


async def state(front: Front, memo: dict[str, Any]) -> JobState | None:
    async with front.database.read() as tx:
        return await tx.jobs.state(memo["jobId"], memo["memo"]["user_id"])


async def test_a_report_is_kept_and_the_job_is_told_where_and_not_what(
    front: Front, anna: User
) -> None:
    memo = await running(front, anna)
    answer = await report(front, memo, route="fallback-batch")
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "memoId": memo["memoId"], "jobId": memo["jobId"], "ignored": False},
    )
    said = OutsideReport(round=1, success=True)
    assert front.starter.signals == [(memo["jobId"], "external_transcript", said)]
    assert "Bread" not in said.model_dump_json()
    found = await kept(front, memo)
    assert found is not None
    assert found.provider == "fallback-batch"
    transcript = found.transcript
    assert (transcript.text, transcript.seconds) == ("Bread and milk", 2.4)
    assert [(u.text, u.offset, u.speaker) for u in transcript.utterances] == [
        ("Bread", 0, 1),
        ("and milk", 1500, 2),
    ]
    assert transcript.speakers == {"1": "Anna", "2": "Ben"}
    assert (transcript.languages, transcript.primary_language) == (("en-US", "de-DE"), "en-US")


async def test_the_same_report_again_changes_nothing(front: Front, anna: User) -> None:
    memo = await running(front, anna)
    first, again = [await report(front, memo) for _ in range(2)]
    assert first.json() == again.json()
    assert len(front.starter.signals) == 1


async def test_another_transcript_after_the_first_is_ignored(front: Front, anna: User) -> None:
    memo = await running(front, anna)
    await report(front, memo)
    answer = await report(front, memo, transcriptionResult=SAID | {"transcript": "Other words"})
    assert answer.json()["ignored"]
    found = await kept(front, memo)
    assert found is not None
    assert found.transcript.text == "Bread and milk"


async def test_a_reported_failure_is_told_once_a_round_without_its_words(
    front: Front, anna: User
) -> None:
    memo = await running(front, anna)
    failure = {"error": "No audio at https://vendor.test/a?sig=secret", "fallbackStage": "convert"}
    for _ in range(2):
        answer = await report(front, memo, success=False, **failure)
        assert answer.json()["ignored"] is False
    told = OutsideReport(round=1, success=False, code="external_failed")
    assert front.starter.signals == [(memo["jobId"], "external_transcript", told)]
    async with front.database.read() as tx:
        found = await tx.outside.failure(memo["jobId"], anna.id, 1)
        assert await tx.outside.due(limit=10) == []
    assert found == ("external", "external_failed", "convert: No audio at …")
    assert not (await report(front, memo)).json()["ignored"], "a success may follow"


async def test_a_transcript_without_words_is_a_failure_that_says_so(
    front: Front, anna: User
) -> None:
    memo = await running(front, anna)
    await report(front, memo, transcriptionResult={"transcript": " . "})
    ((_, _, told),) = front.starter.signals
    assert told == OutsideReport(round=1, success=False, code="no_speech")


@pytest.mark.parametrize(
    "final", [JobState.COMPLETED, JobState.COMPLETED_NO_TRANSCRIPT, JobState.CANCELLED]
)
async def test_a_late_report_on_a_memo_that_has_ended_is_ignored(
    front: Front, anna: User, final: JobState
) -> None:
    memo = await running(front, anna)
    await front.move(memo, final)
    for fields in ({}, {"success": False}):
        answer = await report(front, memo, **fields)
        assert (answer.status_code, answer.json()["ignored"]) == (200, True)
    assert front.starter.signals == []
    assert await kept(front, memo) is None


async def test_a_late_success_on_a_failed_memo_starts_its_next_round(
    front: Front, anna: User
) -> None:
    memo = await running(front, anna)
    await front.move(memo, JobState.FAILED)
    assert (await report(front, memo, success=False)).json()["ignored"]
    answer = await report(front, memo)
    assert (answer.status_code, answer.json()["ignored"]) == (200, False)
    assert await state(front, memo) is JobState.QUEUED
    kind, job_id, _, request = front.starter.started[-1]
    assert (kind, job_id, request["round"]) == ("memo", memo["jobId"], 2)
    assert await kept(front, memo) is not None
    again = await report(front, memo)
    assert (again.json()["ignored"], len(front.starter.started)) == (False, 2)


async def test_a_report_while_temporal_is_away_is_kept_and_due(front: Front, anna: User) -> None:
    memo = await running(front, anna)
    front.starter.failure = Unavailable("Temporal does not answer")
    answer = await report(front, memo)
    assert (answer.status_code, answer.json()["ignored"]) == (200, False)
    assert await kept(front, memo) is not None


async def test_a_late_success_while_temporal_is_away_waits_in_the_queue(
    front: Front, anna: User
) -> None:
    memo = await running(front, anna)
    await front.move(memo, JobState.FAILED)
    front.starter.failure = Unavailable("Temporal does not answer")
    assert (await report(front, memo)).status_code == 200
    assert await state(front, memo) is JobState.QUEUED


async def test_a_report_on_a_job_that_was_never_started_starts_it(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    front.starter.live.clear()
    await report(front, memo)
    assert [name for _, name, _ in front.starter.signals] == ["external_transcript"]
    assert len(front.starter.started) == 2


async def test_an_unknown_memo_and_anothers_user_are_alike(
    front: Front, anna: User, ben: User
) -> None:
    memo = await running(front, anna)
    answers = [
        await report(front, memo, userId=ben.id),
        await report(front, memo, memoId=str(uuid4())),
    ]
    bodies = [answer.json() | {"requestId": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0] == bodies[1]
    await front.ask("DELETE", f"memos/{memo['memoId']}", anna)
    assert (await report(front, memo)).status_code == 404


async def test_a_member_of_a_space_is_no_owner(front: Front, anna: User, ben: User) -> None:
    memo = await running(front, anna)
    await front.share(memo, ben)
    assert (await report(front, memo, userId=ben.id)).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"memoId": "x"}, 400),
        ({"userId": None}, 400),
        ({"success": "true"}, 400),
        ({"transcriptionResult": None}, 400),
        ({"transcriptionResult": {}}, 400),
        ({"transcriptionResult": SAID | {"duration": -1}}, 400),
        ({"transcriptionResult": SAID | {"duration": 1e300}}, 400),
        ({"transcriptionResult": SAID | {"transcript": "a\0b"}}, 400),
        ({"transcriptionResult": SAID | {"utterances": [{"offset": -1, "duration": 1}]}}, 400),
        ({"transcriptionResult": SAID | {"utterances": [[]]}}, 400),
        ({"transcriptionResult": SAID | {"languages": ["x" * 99]}}, 400),
        ({"route": ""}, 400),
        ({"route": "x" * 61}, 400),
    ],
)
async def test_what_is_out_of_bounds_is_refused(
    front: Front, anna: User, change: dict[str, Any], status: int
) -> None:
    memo = await running(front, anna)
    assert (await report(front, memo, **change)).status_code == status
    assert await kept(front, memo) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_garbage_is_refused(front: Front, content: bytes) -> None:
    headers = HEADERS | {"Content-Type": "application/json"}
    answer = await front.ask("POST", REPORT, content=content, headers=headers)
    assert answer.status_code == 400


async def test_ten_megabytes_are_too_large_and_five_are_taken(front: Front, anna: User) -> None:
    memo = await running(front, anna)
    words = {"offset": 0, "duration": 1, "text": "word " * 18_000}
    five = SAID | {"utterances": [words] * 55}
    assert len(json.dumps(five)) > 4_900_000
    assert (await report(front, memo, transcriptionResult=five)).status_code == 200
    ten = SAID | {"utterances": [words] * 110}
    assert (await report(front, memo, transcriptionResult=ten)).status_code == 413


async def test_a_users_token_reports_nothing(front: Front, anna: User) -> None:
    memo = await running(front, anna)
    body = {"memoId": memo["memoId"], "userId": anna.id, "success": False}
    assert (await front.ask("POST", REPORT, anna, json=body)).status_code == 401


async def told_of(front: Front, memo: dict[str, Any], user: User) -> dict[str, Any]:
    read = (await front.ask("GET", f"memos/{memo['memoId']}", user)).json()["memo"]
    processing: dict[str, Any] = read["metadata"]["processing"]["transcription"]
    return processing


async def test_a_vendors_job_is_named_by_the_owner_or_by_a_service(
    front: Front, anna: User, ben: User
) -> None:
    memo = await front.new_memo(anna)
    own = {"memoId": memo["memoId"], "jobId": "v1"}
    answer = await front.ask("POST", "batch-metadata", anna, json=own)
    assert (answer.status_code, answer.json()) == (200, {"success": True, **own})
    told = await told_of(front, memo, anna)
    assert (told["jobId"], told["batchTranscription"], told["status"]) == ("v1", True, "pending")
    assert told["batchJobCreated"]
    named = own | {"jobId": "v2", "batchTranscription": False}
    answer = await front.ask("POST", "internal/batch-metadata", json=named, headers=HEADERS)
    assert answer.json() == {"success": True, "memoId": memo["memoId"], "jobId": "v2"}
    told = await told_of(front, memo, anna)
    assert (told["jobId"], told["batchTranscription"]) == ("v2", False)
    stolen = await front.ask("POST", "batch-metadata", ben, json=own)
    absent = own | {"memoId": str(uuid4())}
    by_service = await front.ask("POST", "internal/batch-metadata", json=absent, headers=HEADERS)
    assert (stolen.status_code, by_service.status_code) == (404, 404)
    assert (await told_of(front, memo, anna))["jobId"] == "v2"
    by_user = await front.ask("POST", "internal/batch-metadata", anna, json=own)
    assert by_user.status_code == 401


@pytest.mark.parametrize("job", ["", "a b", "x" * 201, None, 7])
async def test_a_name_that_is_none_is_refused(front: Front, anna: User, job: Any) -> None:
    memo = await front.new_memo(anna)
    body = {"memoId": memo["memoId"], "jobId": job}
    assert (await front.ask("POST", "batch-metadata", anna, json=body)).status_code == 400
