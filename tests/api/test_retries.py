"""Transcribing once more over HTTP: a failed memo again, any recording anew; memos by their job."""

from typing import Any
from uuid import uuid4

import pytest

from contracts.audio import MediaKind
from contracts.errors import Unavailable
from contracts.jobs import JobState
from tests.api.front import Front, User, wav

RUN, FAILED = JobState.RUNNING, JobState.FAILED
KEY = {"Idempotency-Key": "k-1"}


async def retry(front: Front, user: User, memo: Any, **kwargs: Any) -> Any:
    return await front.ask("POST", f"memos/{memo['memoId']}/retry-transcription", user, **kwargs)


async def reprocess(front: Front, user: User, memo: Any, **kwargs: Any) -> Any:
    return await front.ask("POST", f"memos/{memo['memoId']}/reprocess", user, **kwargs)


async def uploaded(front: Front, user: User, **fields: Any) -> dict[str, Any]:
    answer = await front.upload(user, wav(), **fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_failed_transcription_is_tried_again_three_times_and_no_more(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    for attempt in (1, 2, 3):
        await front.move(memo, RUN, FAILED)
        answer = await retry(front, anna, memo)
        assert answer.status_code == 200
        assert answer.json() == {
            "success": True, "memoId": memo["memoId"], "retryAttempt": attempt,
        }  # fmt: skip
        kind, job_id, _, request = front.starter.started[-1]
        assert (kind, job_id, request["round"]) == ("memo", memo["jobId"], attempt + 1)
        assert request["audio_path"] == memo["audioPath"]
    read = (await front.ask("GET", f"memos/{memo['memoId']}", anna)).json()["memo"]
    assert read["status"] == "pending"
    assert read["source"]["audio_path"] == memo["audioPath"]
    await front.move(memo, RUN, FAILED)
    answer = await retry(front, anna, memo)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_retries_left")


async def test_only_what_has_failed_is_tried_again(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    waiting = await retry(front, anna, memo)
    await front.move(memo, RUN)
    running = await retry(front, anna, memo)
    for answer in (waiting, running):
        assert (answer.status_code, answer.json()["code"]) == (409, "already_running")
    await front.move(memo, JobState.COMPLETED)
    for end in (memo, await cancelled(front, anna)):
        answer = await retry(front, anna, end)
        assert (answer.status_code, answer.json()["code"]) == (400, "not_failed")


async def cancelled(front: Front, user: User) -> dict[str, Any]:
    memo = await front.new_memo(user)
    await front.move(memo, RUN, JobState.CANCELLED)
    return memo


async def test_a_memo_without_a_recording_is_neither_tried_again_nor_reprocessed(
    front: Front, anna: User
) -> None:
    memo = await uploaded(front, anna)
    await front.move(memo, RUN, FAILED)
    async with front.database.write() as tx:
        gone = {"audio_path": None, "audio_deleted": True}
        await tx.memos.begin_again(memo["memoId"], anna.id, source=gone)
    for ask in (retry, reprocess):
        answer = await ask(front, anna, memo)
        assert (answer.status_code, answer.json()["code"]) == (400, "no_audio")


async def test_only_its_owner_tries_a_memo_again(front: Front, anna: User, ben: User) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, FAILED)
    assert (await retry(front, ben, memo)).status_code == 404
    await front.share(memo, ben)
    assert (await retry(front, ben, memo)).status_code == 403
    assert (await retry(front, ben, {"memoId": "x"})).status_code == 404


async def test_a_retry_needs_what_the_first_try_would_have_cost(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna, duration=120)
    await front.move(memo, RUN, FAILED)
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 147)
    answer = await retry(front, anna, memo)
    assert (answer.status_code, answer.json()["requiredCredits"]) == (402, 4)


async def test_a_retry_whose_answer_was_lost_is_joined_and_started(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, FAILED)
    front.starter.failure = Unavailable("Temporal does not answer")
    assert (await retry(front, anna, memo)).status_code == 503
    front.starter.failure = None
    answer = await retry(front, anna, memo)
    assert (answer.status_code, answer.json()["retryAttempt"]) == (200, 1)
    assert front.starter.started[-1][3]["round"] == 2


async def test_the_same_key_tries_once(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, FAILED)
    first = await retry(front, anna, memo, headers=KEY)
    await front.move(memo, RUN, FAILED)
    again = await retry(front, anna, memo, headers=KEY)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(front.starter.started) == 2


async def test_a_recording_is_transcribed_anew_in_a_new_memo_over_the_same_file(
    front: Front, anna: User
) -> None:
    memo = await uploaded(front, anna, recordingLanguages="de-DE", enableDiarization="false")
    await front.move(memo, RUN)
    await front.say(memo)
    await front.move(memo, JobState.COMPLETED)
    answer = await reprocess(front, anna, memo, json={"recordingLanguages": ["en-US"]})
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {
        "success", "message", "originalMemoId", "newMemoId", "memo", "jobId",
    }  # fmt: skip
    assert body["originalMemoId"] == memo["memoId"]
    assert body["newMemoId"] == body["memo"]["id"] != memo["memoId"]
    assert body["jobId"] == f"memo-{body['newMemoId']}"
    assert body["memo"]["source"] == {
        "audio_path": memo["audioPath"], "duration": 6.0, "media_type": "audio/wav",
    }  # fmt: skip
    request = front.starter.started[-1][3]
    assert (request["languages"], request["diarization"]) == (["en-US"], False)
    assert request["audio_path"] == memo["audioPath"]
    assert len(front.stored) == 1
    original = (await front.ask("GET", f"memos/{memo['memoId']}", anna)).json()["memo"]
    assert original["status"] == memo["memo"]["status"]
    assert original["source"]["transcript"]


async def test_reprocessing_without_a_body_keeps_what_was_asked_for(
    front: Front, anna: User
) -> None:
    made = await front.ask("POST", "blueprints", anna, json={"name": {"en": "Meeting"}})
    blueprint_id = made.json()["blueprint"]["id"]
    memo = await uploaded(front, anna, blueprintId=blueprint_id, recordingLanguages="de-DE")
    await reprocess(front, anna, memo)
    request = front.starter.started[-1][3]
    assert (request["blueprint_id"], request["languages"]) == (blueprint_id, ["de-DE"])
    await reprocess(front, anna, memo, json={"blueprintId": None})
    assert front.starter.started[-1][3]["blueprint_id"] is None
    absent = await reprocess(front, anna, memo, json={"blueprintId": str(uuid4())})
    assert absent.status_code == 404
    await front.ask("DELETE", f"blueprints/{blueprint_id}", anna)
    assert (await reprocess(front, anna, memo)).status_code == 201
    assert front.starter.started[-1][3]["blueprint_id"] is None


async def test_the_file_of_two_memos_goes_with_the_last_of_them(front: Front, anna: User) -> None:
    memo = await uploaded(front, anna)
    new = (await reprocess(front, anna, memo)).json()
    async with front.database.write() as tx:
        for memo_id, files in ((memo["memoId"], []), (new["newMemoId"], [memo["audioPath"]])):
            assert list(await tx.media.of_memo(memo_id, anna.id)) == files
            await tx.memos.mark_deleted(memo_id, anna.id)
            await tx.memos.erase(memo_id, anna.id)


async def test_a_member_reprocesses_a_shared_recording_as_a_copy_of_their_own(
    front: Front, anna: User, ben: User
) -> None:
    memo = await uploaded(front, anna)
    assert (await reprocess(front, ben, memo)).status_code == 404
    await front.share(memo, ben)
    body = (await reprocess(front, ben, memo, headers=KEY)).json()
    copy = body["memo"]["source"]["audio_path"]
    assert copy.startswith(f"{ben.id}/{body['newMemoId']}/audio_")
    assert body["memo"]["user_id"] == ben.id
    assert len(front.stored) == 2
    files = front.services.files
    assert [c async for c in files.read(copy)] == [c async for c in files.read(memo["audioPath"])]
    assert (await front.ask("GET", f"memos/{body['newMemoId']}", anna)).status_code == 404
    async with front.database.read() as tx:
        assert await tx.media.of_memo(memo["memoId"], anna.id) == [memo["audioPath"]]
        assert await tx.media.of_memo(body["newMemoId"], ben.id) == [copy]
        assert await tx.media.abandoned(older_than_seconds=-60, limit=9) == []
    again = await reprocess(front, ben, memo, headers=KEY)
    assert (again.status_code, again.json()) == (201, body)
    assert len(front.stored) == 2, "a copy nobody stands on is gone"


async def test_a_copy_that_became_no_memo_is_gone(front: Front, anna: User, ben: User) -> None:
    memo = await uploaded(front, anna)
    await front.share(memo, ben)
    async with front.database.write() as tx:
        await tx.credits.hold(ben.id, "memo-x", "memo-x:hold", 150)
    assert (await reprocess(front, ben, memo)).status_code == 402
    front.starter.failure = Unavailable("Temporal does not answer")
    async with front.database.write() as tx:
        await tx.credits.release(ben.id, "memo-x", "memo-x:release")
    assert (await reprocess(front, ben, memo)).status_code == 503
    assert front.stored == [f"user-uploads/{memo['audioPath']}"]
    async with front.database.read() as tx:
        assert await tx.media.abandoned(older_than_seconds=-60, limit=9) == []
    assert (await front.ask("GET", "memos", ben)).json()["total"] == 1


async def test_reprocessing_needs_credits_and_a_file_that_is_there(
    front: Front, anna: User
) -> None:
    missing = await front.new_memo(anna)
    answer = await reprocess(front, anna, missing)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_audio")
    memo = await uploaded(front, anna, duration=3600)
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 100)
    poor = await reprocess(front, anna, memo)
    assert (poor.status_code, poor.json()["requiredCredits"]) == (402, 120)


@pytest.mark.parametrize(
    "body",
    [
        {"recordingLanguages": None},
        {"recordingLanguages": "de"},
        {"recordingStartedAt": "yesterday"},
        {"enableDiarization": None},
        {"blueprintId": "x"},
        [],
    ],
)
async def test_how_a_recording_is_reprocessed_is_checked(
    front: Front, anna: User, body: Any
) -> None:
    memo = await uploaded(front, anna)
    answer = await reprocess(front, anna, memo, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_the_same_key_reprocesses_once(front: Front, anna: User) -> None:
    memo = await uploaded(front, anna)
    first = await reprocess(front, anna, memo, headers=KEY)
    assert (await reprocess(front, anna, memo, headers=KEY)).json() == first.json()
    other = await reprocess(front, anna, memo, headers=KEY, json={"enableDiarization": False})
    assert other.status_code == 422
    assert (await front.ask("GET", "memos", anna)).json()["total"] == 2


async def test_its_owner_finds_a_memo_by_our_job_and_by_the_vendors(
    front: Front, anna: User, ben: User
) -> None:
    memo = await front.new_memo(anna)
    async with front.database.write() as tx:
        await tx.memos.name_vendor_job(memo["memoId"], anna.id, "vendor-7", batch=True)
    for job_id in (memo["jobId"], "vendor-7"):
        path = f"memos/find-by-job/{job_id}"
        found = await front.ask("GET", path, anna)
        assert found.json() == {"success": True, "memoId": memo["memoId"], "userId": anna.id}
        assert (await front.ask("GET", path, ben)).status_code == 404
    for absent in ("vendor-8", "%00", "transcript"):
        assert (await front.ask("GET", f"memos/find-by-job/{absent}", anna)).status_code == 404
    await front.ask("DELETE", f"memos/{memo['memoId']}", anna)
    assert (await front.ask("GET", "memos/find-by-job/vendor-7", anna)).status_code == 404


async def test_the_audio_of_the_original_is_kept_as_an_upload(front: Front, anna: User) -> None:
    memo = await uploaded(front, anna)
    new = (await reprocess(front, anna, memo)).json()
    async with front.database.read() as tx:
        assert await tx.media.of_job(new["jobId"], anna.id, MediaKind.WORK) == []
        assert await tx.media.abandoned(older_than_seconds=-60, limit=9) == []
