"""Memos over HTTP: begun, read, listed, changed, deleted."""

from uuid import uuid4

import pytest

from contracts.errors import Unavailable
from contracts.jobs import JobState
from tests.api.front import Front, User

RUN = JobState.RUNNING
ENDS = (JobState.COMPLETED, JobState.COMPLETED_NO_TRANSCRIPT)


async def test_a_memo_is_accepted_with_its_row_its_job_and_a_started_workflow(
    front: Front, anna: User
) -> None:
    answer = await front.post_memo(anna, title=" Shopping ", recordingLanguages=["de-DE"])

    assert answer.status_code == 201
    body = answer.json()
    memo_id = body["memoId"]
    assert body["success"] is True
    assert body["jobId"] == f"memo-{memo_id}"
    assert body["audioPath"] == f"{anna.id}/a/audio.m4a"
    assert body["memo"]["title"] == "Shopping"
    assert body["memo"]["status"] == "pending"
    assert body["memo"]["jobId"] == body["jobId"]
    assert body["memo"]["metadata"]["recordingLanguages"] == ["de-DE"]
    [(kind, job_id, user_id, request)] = front.starter.started
    assert (kind, job_id, user_id) == ("memo", body["jobId"], anna.id)
    assert request["claimed_seconds"] == 61
    read = await front.ask("GET", f"memos/{memo_id}", anna)
    assert read.json() == {"success": True, "memo": body["memo"]}


async def test_both_spellings_begin_a_memo(front: Front, anna: User) -> None:
    body = {"filePath": f"{anna.id}/a/b.m4a", "duration": 1}
    answer = await front.ask("POST", "memos/process", anna, json=body)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("language", "title"),
    [("de-CH,en;q=0.5", "Neue Aufnahme"), ("en", "New recording"), ("", "New recording")],
)
async def test_a_memo_without_a_title_is_called_in_the_language_of_the_client(
    front: Front, anna: User, language: str, title: str
) -> None:
    answer = await front.post_memo(anna, headers={"Accept-Language": language})
    assert answer.json()["memo"]["title"] == title


async def test_the_language_set_by_the_user_names_the_memo(front: Front, anna: User) -> None:
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, settings={"memoro": {"language": "de"}})
    answer = await front.post_memo(anna, headers={"Accept-Language": "en"})
    assert answer.json()["memo"]["title"] == "Neue Aufnahme"


async def test_a_memo_id_of_somebody_else_is_not_found(front: Front, anna: User, ben: User) -> None:
    memo = await front.new_memo(anna)
    answer = await front.post_memo(ben, memoId=memo["memoId"])
    assert (answer.status_code, answer.json()["error"]) == (404, "Not found")


async def test_a_waiting_memo_is_joined_by_the_same_request(front: Front, anna: User) -> None:
    memo_id = str(uuid4())
    first = await front.new_memo(anna, memoId=memo_id)
    again = await front.new_memo(anna, memoId=memo_id)
    assert again == first
    assert len(front.starter.started) == 1


async def test_a_joined_memo_is_started_when_its_first_process_died_before(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna, memoId=str(uuid4()))
    front.starter.live.clear()
    await front.new_memo(anna, memoId=memo["memoId"])
    assert [job_id for _, job_id, _, _ in front.starter.started] == [memo["jobId"]] * 2


async def test_a_waiting_memo_is_not_joined_with_another_file(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    answer = await front.post_memo(anna, memoId=memo["memoId"], filePath=f"{anna.id}/a/other.m4a")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_running")


async def test_a_running_memo_cannot_be_begun_again(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN)
    answer = await front.post_memo(anna, memoId=memo["memoId"])
    assert (answer.status_code, answer.json()["code"]) == (409, "already_running")


@pytest.mark.parametrize("end", ENDS)
async def test_a_finished_memo_cannot_be_begun_again(
    front: Front, anna: User, end: JobState
) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, end)
    answer = await front.post_memo(anna, memoId=memo["memoId"])
    assert (answer.status_code, answer.json()["code"]) == (409, "already_finished")


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.CANCELLED])
async def test_a_memo_that_did_not_succeed_runs_again_as_a_new_round(
    front: Front, anna: User, end: JobState
) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, end)
    other = f"{anna.id}/a/better.m4a"

    again = await front.new_memo(anna, memoId=memo["memoId"], filePath=other, duration=30)

    assert again["jobId"] == memo["jobId"]
    assert again["memo"]["source"]["audio_path"] == other
    assert again["memo"]["status"] == "pending"
    *_, (_, _, _, request) = front.starter.started
    assert (request["round"], request["audio_path"], request["claimed_seconds"]) == (2, other, 30)
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", anna)).json()
    assert (job["state"], job["error"]) == ("queued", None)


async def test_a_transcript_that_is_there_is_never_given_out_for_another_recording(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN)
    await front.say(memo)
    await front.move(memo, JobState.FAILED)
    answer = await front.post_memo(anna, memoId=memo["memoId"], filePath=f"{anna.id}/a/other.m4a")
    assert answer.status_code == 409


async def test_too_few_credits_say_how_many_are_needed(front: Front, anna: User) -> None:
    answer = await front.post_memo(anna, duration=7200)
    assert answer.status_code == 402
    body = answer.json()
    assert body["code"] == "insufficient_credits"
    assert (body["requiredCredits"], body["availableCredits"]) == (240, 150)
    listed = await front.ask("GET", "memos", anna)
    assert listed.json()["memos"] == []


async def test_credits_that_are_held_are_not_free(front: Front, anna: User) -> None:
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 149)
    answer = await front.post_memo(anna, duration=30)
    assert answer.json()["availableCredits"] == 1


async def test_a_memo_is_shared_with_a_space_of_ones_own_only(
    front: Front, anna: User, ben: User
) -> None:
    shared = await front.new_memo(anna)
    space_id = await front.share(shared, ben)
    stranger = front.user()

    refused = await front.post_memo(stranger, spaceId=space_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    absent = await front.post_memo(anna, spaceId=str(uuid4()))
    assert absent.status_code == 403
    assert absent.json()["error"] == refused.json()["error"]

    memo = await front.new_memo(ben, spaceId=space_id)
    read = await front.ask("GET", f"memos/{memo['memoId']}", anna)
    assert read.json()["memo"]["user_id"] == ben.id


async def test_ownership_is_checked_before_state_and_state_before_credits(
    front: Front, anna: User, ben: User
) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN)
    poor = {"duration": 1_000_000, "memoId": memo["memoId"]}
    assert (await front.post_memo(ben, **poor)).status_code == 404
    assert (await front.post_memo(anna, spaceId=str(uuid4()), **poor)).status_code == 403
    assert (await front.post_memo(anna, **poor)).status_code == 409


async def test_no_row_stays_when_temporal_is_away(front: Front, anna: User) -> None:
    front.starter.failure = Unavailable("Temporal does not answer", retry_after=1)
    answer = await front.post_memo(anna)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert (await front.ask("GET", "memos", anna)).json()["total"] == 0
    front.starter.failure = None
    assert (await front.post_memo(anna)).status_code == 201


async def test_pages_follow_one_another_by_offset_and_by_cursor(front: Front, anna: User) -> None:
    made = [(await front.new_memo(anna, duration=1))["memoId"] for _ in range(5)]
    newest_first = made[::-1]

    by_offset = (await front.ask("GET", "memos?limit=2&offset=2", anna)).json()
    assert [memo["id"] for memo in by_offset["memos"]] == newest_first[2:4]
    assert (by_offset["limit"], by_offset["offset"], by_offset["total"]) == (2, 2, 5)

    seen, query = [], "memos?limit=2"
    while True:
        page = (await front.ask("GET", query, anna)).json()
        seen += [memo["id"] for memo in page["memos"]]
        if page["nextCursor"] is None:
            break
        query = f"memos?limit=2&cursor={page['nextCursor']}"
    assert seen == newest_first


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "offset=-1", "cursor=%00", "cursor=abc", "limit=1e3"],
)
async def test_a_page_out_of_range_is_refused(front: Front, anna: User, query: str) -> None:
    answer = await front.ask("GET", f"memos?{query}", anna)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_its_owner_changes_a_memo_and_what_is_left_out_stays(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna, title="First")
    path = f"memos/{memo['memoId']}"
    changed = await front.ask("PATCH", path, anna, json={"isPinned": True, "intro": "Two."})
    assert changed.json()["memo"]["is_pinned"] is True
    renamed = await front.ask("PATCH", path, anna, json={"title": "Second", "unknown": 1})
    row = renamed.json()["memo"]
    assert (row["title"], row["intro"], row["is_pinned"]) == ("Second", "Two.", True)
    same = await front.ask("PATCH", path, anna, json={})
    assert same.json()["memo"] == row


async def test_a_reader_of_a_shared_memo_may_neither_change_nor_delete_it(
    front: Front, anna: User, ben: User
) -> None:
    memo = await front.new_memo(anna)
    await front.share(memo, ben)
    path = f"memos/{memo['memoId']}"
    assert (await front.ask("GET", path, ben)).status_code == 200
    assert (await front.ask("PATCH", path, ben, json={"title": "Mine"})).status_code == 403
    assert (await front.ask("DELETE", path, ben)).status_code == 403


async def test_a_deleted_memo_is_gone_at_once_and_its_erasure_is_a_job(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    path = f"memos/{memo['memoId']}"
    answer = await front.ask("DELETE", path, anna)
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "success": True, "memoId": memo["memoId"], "jobId": f"erase-{memo['memoId']}",
    }  # fmt: skip
    assert front.starter.started[-1][:2] == ("erase", body["jobId"])
    assert (await front.ask("GET", path, anna)).status_code == 404
    assert (await front.ask("DELETE", path, anna)).status_code == 404
    assert (await front.ask("GET", "memos", anna)).json()["total"] == 0
    assert (await front.ask("GET", f"jobs/{body['jobId']}", anna)).json()["kind"] == "erase"


async def test_a_deletion_is_accepted_while_temporal_is_away_and_waits_in_the_queue(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    front.starter.failure = Unavailable("Temporal does not answer")
    answer = await front.ask("DELETE", f"memos/{memo['memoId']}", anna)
    assert answer.status_code == 202
    job = (await front.ask("GET", f"jobs/{answer.json()['jobId']}", anna)).json()
    assert job["state"] == "queued"
