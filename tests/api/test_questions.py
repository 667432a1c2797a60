"""Questions over HTTP, and with them every call that waits for its job."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.errors import Unavailable
from contracts.jobs import JobFailure, JobState
from tests.api.front import API, Front, User
from tests.api.sockets import served
from tests.api.writing import AWAY, TEXT, Writer, balance, order_of, spoken, writing

KEY = {"Idempotency-Key": "k-1"}
ASKED = {"question": "What is to be bought?"}


@pytest.fixture
async def stage(data_dir: Path) -> AsyncIterator[tuple[Front, Writer]]:
    async with writing(data_dir) as stage:
        yield stage


@pytest.fixture
async def hasty(data_dir: Path) -> AsyncIterator[tuple[Front, Writer]]:
    """Nothing is waited for."""
    async with writing(data_dir, LONG_CALL_WAIT_SECONDS=0) as stage:
        yield stage


async def ask(front: Front, user: User, memo_id: str, **kwargs: Any) -> httpx.Response:
    body = kwargs.pop("json", ASKED)
    return await front.ask("POST", f"memos/{memo_id}/question", user, json=body, **kwargs)


async def test_a_question_is_answered_kept_as_a_memory_and_charged_once(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    before = await balance(front, anna)

    answer = await ask(front, anna, memo_id, json={"question": f"  {ASKED['question']} "})

    assert answer.status_code == 200
    body = answer.json()
    assert body == {
        "success": True,
        "answer": TEXT,
        "memoId": memo_id,
        "question": ASKED["question"],
        "memoryId": body["memoryId"],
    }
    assert await balance(front, anna) == before - 5
    listed = (await front.ask("GET", f"memos/{memo_id}/memories", anna)).json()["memories"]
    assert [memory["id"] for memory in listed] == [body["memoryId"]]
    kind, job_id, user_id, request = writer.started[-1]
    assert (kind, user_id, request["memo_ids"]) == ("question", anna.id, [memo_id])
    assert job_id.startswith("question-")
    job = (await front.ask("GET", f"jobs/{job_id}", anna)).json()
    assert (job["state"], job["kind"], job["subjectId"]) == ("completed", "question", memo_id)
    assert job["credits"] == {"held": 0, "charged": 5}
    assert "milk" not in str(job)


@pytest.mark.parametrize(
    "body",
    [{}, {"question": ""}, {"question": " \n"}, {"question": "x" * 4001}, {"question": None}, []],
)
async def test_a_question_has_between_one_and_4000_characters(
    stage: tuple[Front, Writer], body: Any
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    started = len(writer.started)
    answer = await ask(front, anna, memo_id, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert len(writer.started) == started


async def test_a_memo_without_a_transcript_is_not_asked(stage: tuple[Front, Writer]) -> None:
    front, _ = stage
    anna = front.user()
    memo = await front.new_memo(anna)
    answer = await ask(front, anna, memo["memoId"])
    assert (answer.status_code, answer.json()["code"]) == (400, "no_transcript")


async def test_whoever_cannot_pay_is_told_what_is_missing(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 146)
    answer = await ask(front, anna, memo_id, headers=KEY)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (402, "insufficient_credits")
    assert (body["requiredCredits"], body["availableCredits"]) == (5, 4)
    assert writer.started[-1][0] == "memo"
    async with front.database.write() as tx:
        await tx.credits.release(anna.id, "memo-x", "memo-x:release")
    assert (await ask(front, anna, memo_id, headers=KEY)).status_code == 200


async def test_on_a_memo_shared_by_a_space_whoever_asks_pays(stage: tuple[Front, Writer]) -> None:
    front, _ = stage
    anna, ben = front.user(), front.user()
    memo = await front.new_memo(anna)
    await front.share(memo, ben)
    await front.move(memo, JobState.RUNNING)
    await front.say(memo)
    was = await balance(front, anna)
    answer = await ask(front, ben, memo["memoId"])
    assert answer.status_code == 200
    assert (await balance(front, anna), await balance(front, ben)) == (was, 145)
    listed = await front.ask("GET", f"memos/{memo['memoId']}/memories", anna)
    assert listed.json()["memories"][0]["id"] == answer.json()["memoryId"]


async def test_the_users_settings_are_what_the_model_is_told(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    async with front.database.write() as tx:
        told = {"systemPrompt": " Be brief ", "language": "de"}
        await tx.profiles.change(anna.id, settings={"memoro": told})
    await ask(front, anna, memo_id)
    order = await order_of(front, writer.started[-1][1], anna)
    assert (order.instruction, order.role) == (ASKED["question"], "Be brief")
    assert order.language is None, "the recording's own language is known"


async def test_the_users_language_stands_in_where_the_recording_tells_none(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    async with front.database.write() as tx:
        await tx.memos.begin_again(memo_id, anna.id, source={"primary_language": None})
        await tx.profiles.change(anna.id, settings={"memoro": {"language": "de", "x": 1}})
    await ask(front, anna, memo_id)
    assert (await order_of(front, writer.started[-1][1], anna)).language == "de"


@pytest.mark.parametrize("settings", [{"systemPrompt": 5, "language": []}, "x", None])
async def test_settings_that_are_no_text_count_as_not_set(
    stage: tuple[Front, Writer], settings: Any
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, settings={"memoro": settings})
    assert (await ask(front, anna, memo_id)).status_code == 200
    assert (await order_of(front, writer.started[-1][1], anna)).role == ""


async def test_what_takes_longer_is_answered_with_where_to_look(
    hasty: tuple[Front, Writer],
) -> None:
    front, writer = hasty
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.go_on.clear()
    answer = await ask(front, anna, memo_id)
    job_id = writer.started[-1][1]
    assert answer.status_code == 202
    assert answer.json() == {"success": True, "jobId": job_id, "status": "queued"}
    assert answer.headers["Location"] == f"{API}/jobs/{job_id}"
    assert (await front.ask("GET", answer.headers["Location"], anna)).status_code == 200


async def test_asking_again_after_a_202_gets_the_end_of_the_same_job(
    hasty: tuple[Front, Writer],
) -> None:
    front, writer = hasty
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.go_on.clear()
    for _ in range(2):
        assert (await ask(front, anna, memo_id, headers=KEY)).status_code == 202
    writer.go_on.set()
    await writer.idle()
    ends = [await ask(front, anna, memo_id, headers=KEY) for _ in range(2)]
    assert [end.status_code for end in ends] == [200, 200]
    assert ends[0].json() == ends[1].json()
    assert [kind for kind, *_ in writer.started].count("question") == 1
    assert await balance(front, anna) == 145


async def test_many_who_ask_at_once_with_one_key_get_one_answer_of_one_job(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    answers = await asyncio.gather(*(ask(front, anna, memo_id, headers=KEY) for _ in range(5)))
    told = [each.json()["memoryId"] for each in answers if each.status_code == 200]
    busy = [each.json()["code"] for each in answers if each.status_code == 409]
    assert len(set(told)) == 1
    assert busy == ["key_in_use"] * (5 - len(told))
    assert [kind for kind, *_ in writer.started].count("question") == 1
    assert await balance(front, anna) == 145


async def test_the_same_key_with_another_question_or_memo_is_refused(
    stage: tuple[Front, Writer],
) -> None:
    front, _ = stage
    anna = front.user()
    memo_id, other = await spoken(front, anna), await spoken(front, anna)
    await ask(front, anna, memo_id, headers=KEY)
    for path, body in ((memo_id, {"question": "What else?"}), (other, ASKED)):
        answer = await ask(front, anna, path, json=body, headers=KEY)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_model_that_cannot_serve_is_a_502_with_the_jobs_code_and_costs_nothing(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.failure_of_jobs = AWAY
    for _ in range(2):
        answer = await ask(front, anna, memo_id, headers=KEY)
        assert answer.status_code == 502
        assert (answer.json()["code"], answer.json()["error"]) == (AWAY.code, AWAY.message)
    assert await balance(front, anna) == 150
    assert [kind for kind, *_ in writer.started].count("question") == 1


async def test_credits_that_ran_out_meanwhile_are_a_402_and_free_the_key(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.failure_of_jobs = JobFailure(code="insufficient_credits", message="Insufficient")
    answer = await ask(front, anna, memo_id, headers=KEY)
    assert answer.status_code == 402
    told = answer.json()
    assert (told["requiredCredits"], told["availableCredits"]) == (5, 150)
    writer.failure_of_jobs = None
    assert (await ask(front, anna, memo_id, headers=KEY)).status_code == 200


async def test_a_job_that_is_cancelled_is_a_409_and_frees_the_key(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.failure_of_jobs = JobState.CANCELLED
    answer = await ask(front, anna, memo_id, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "job_cancelled")
    writer.failure_of_jobs = None
    assert (await ask(front, anna, memo_id, headers=KEY)).status_code == 200


async def test_nothing_stays_when_temporal_is_away(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.failure = Unavailable("Temporal does not answer", retry_after=1)
    answer = await ask(front, anna, memo_id, headers=KEY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    async with front.database.read() as tx:
        assert await tx.language.at_work_on(memo_id, anna.id) == []
    writer.failure = None
    assert (await ask(front, anna, memo_id, headers=KEY)).status_code == 200


async def test_an_answer_that_was_deleted_is_not_given_out_again(
    stage: tuple[Front, Writer],
) -> None:
    front, _ = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    answer = await ask(front, anna, memo_id, headers=KEY)
    await front.ask("DELETE", f"memories/{answer.json()['memoryId']}", anna)
    again = await ask(front, anna, memo_id, headers=KEY)
    assert again.status_code == 404
    assert await balance(front, anna) == 145


async def test_a_queued_question_is_cancelled_and_its_memo_is_left_alone(
    hasty: tuple[Front, Writer],
) -> None:
    front, writer = hasty
    anna = front.user()
    memo_id = await spoken(front, anna)
    writer.works = False
    job_id = (await ask(front, anna, memo_id)).json()["jobId"]
    writer.live.clear()
    answer = await front.ask("POST", f"jobs/{job_id}/cancel", anna)
    assert answer.json()["state"] == "cancelled"
    memo = (await front.ask("GET", f"memos/{memo_id}", anna)).json()["memo"]
    assert memo["status"] == "pending", "no workflow has written it here"


async def test_a_client_that_hangs_up_loses_nothing(data_dir: Path) -> None:
    writer = Writer()
    waiting = {"LONG_CALL_WAIT_SECONDS": 20}
    async with served(data_dir, starter=writer, **waiting) as (front, address):
        writer.database = front.database
        anna = front.user()
        memo_id = await spoken(front, anna)
        writer.go_on.clear()
        async with httpx.AsyncClient(base_url=address) as client:
            path, headers = f"{API}/memos/{memo_id}/question", {**anna.headers, **KEY}
            with pytest.raises(httpx.ReadTimeout):
                await client.post(path, json=ASKED, headers=headers, timeout=0.5)
            writer.go_on.set()
            await writer.idle()
            again = await client.post(path, json=ASKED, headers=headers)
        assert (again.status_code, again.json()["answer"]) == (200, TEXT)
        assert [kind for kind, *_ in writer.started].count("question") == 1
        assert await balance(front, anna) == 145
