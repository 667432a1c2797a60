"""Several memos in one, and headlines written again, over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from contracts.errors import Unavailable
from tests.api.front import Front, User
from tests.api.writing import AWAY, TEXT, Writer, balance, order_of, spoken, writing

KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
async def stage(data_dir: Path) -> AsyncIterator[tuple[Front, Writer]]:
    async with writing(data_dir) as stage:
        yield stage


async def combine(front: Front, user: User, *memo_ids: str, **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    body = {"memoIds": list(memo_ids), **fields}
    return await front.ask("POST", "memos/combine", user, json=body, headers=headers)


async def test_memos_are_combined_in_the_order_they_are_named_for_five_credits(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    first, second = await spoken(front, anna), await spoken(front, anna)
    answer = await combine(front, anna, second, first, customPrompt=" As a poem ")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["headline"], body["intro"]) == (True, "Shopping and cooking", "")
    assert body["memo"]["source"]["source_memo_ids"] == [second, first]
    kind, job_id, _, request = writer.started[-1]
    assert (kind, request["subject_id"]) == ("combine", body["memo"]["id"])
    assert request["memo_ids"] == [second, first]
    assert (await order_of(front, job_id, anna)).instruction == "As a poem"
    assert await balance(front, anna) == 145
    read = await front.ask("GET", f"memos/{body['memo']['id']}", anna)
    assert read.json()["memo"] == body["memo"]


async def test_a_combination_sent_again_is_the_same_memo(stage: tuple[Front, Writer]) -> None:
    front, _ = stage
    anna = front.user()
    ids = [await spoken(front, anna) for _ in range(2)]
    first = await combine(front, anna, *ids, headers=KEY)
    again = await combine(front, anna, *ids, headers=KEY)
    assert first.json() == again.json()
    other = await combine(front, anna, *ids[::-1], headers=KEY)
    assert other.status_code == 422
    assert await balance(front, anna) == 145


async def test_a_combination_names_two_to_fifty_memos_each_once(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    started = len(writer.started)
    for ids in (
        [],
        [memo_id],
        [memo_id, memo_id],
        [memo_id, memo_id.upper()],
        [memo_id, "x"],
        [str(uuid4()) for _ in range(51)],
    ):
        answer = await combine(front, anna, *ids)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), ids
    for body in ({}, {"memoIds": None}, {"memoIds": "x"}):
        assert (await front.ask("POST", "memos/combine", anna, json=body)).status_code == 400
    blank = await combine(front, anna, memo_id, str(uuid4()), customPrompt=" ")
    assert blank.status_code == 400
    assert len(writer.started) == started


async def test_one_memo_that_is_absent_or_anothers_is_not_found(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna, ben = front.user(), front.user()
    own, theirs = await spoken(front, anna), await spoken(front, ben)
    started = len(writer.started)
    answers = [await combine(front, anna, own, other) for other in (theirs, str(uuid4()))]
    assert [answer.status_code for answer in answers] == [404, 404]
    told = [answer.json() | {"requestId": ""} for answer in answers]
    assert told[0] == told[1]
    assert len(writer.started) == started


async def test_a_memo_without_a_transcript_is_not_combined(stage: tuple[Front, Writer]) -> None:
    front, _ = stage
    anna = front.user()
    own, silent = await spoken(front, anna), (await front.new_memo(anna))["memoId"]
    answer = await combine(front, anna, own, silent)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_transcript")


async def test_a_blueprint_says_how_memos_are_combined(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna, ben = front.user(), front.user()
    ids = [await spoken(front, anna) for _ in range(2)]
    body = {
        "name": {"en": "Meeting"},
        "systemPrompt": {"en": "Be brief", "de": "Sei knapp"},
        "prompts": [{"promptText": {"en": "Tasks", "de": "Aufgaben"}}],
    }
    made = await front.ask("POST", "blueprints", anna, json=body)
    blueprint_id = made.json()["blueprint"]["id"]
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, settings={"memoro": {"language": "de-CH"}})
    await combine(front, anna, *ids, blueprintId=blueprint_id, customPrompt="As a list")
    order = await order_of(front, writer.started[-1][1], anna)
    assert (order.role, order.instruction) == ("Sei knapp", "As a list\n\nAufgaben")
    assert order.metadata == {"blueprintId": blueprint_id}
    ours = [await spoken(front, ben) for _ in range(2)]
    for absent in (blueprint_id, str(uuid4())):
        assert (await combine(front, ben, *ours, blueprintId=absent)).status_code == 404


async def test_a_combination_needs_five_free_credits_and_a_model(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    ids = [await spoken(front, anna) for _ in range(2)]
    writer.failure_of_jobs = AWAY
    failed = await combine(front, anna, *ids)
    assert (failed.status_code, failed.json()["code"]) == (502, "provider_failed")
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 146)
    poor = await combine(front, anna, *ids)
    assert (poor.status_code, poor.json()["requiredCredits"]) == (402, 5)
    assert (await front.ask("GET", "memos", anna)).json()["total"] == 2


async def test_no_row_of_a_combination_stays_when_temporal_is_away(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    ids = [await spoken(front, anna) for _ in range(2)]
    writer.failure = Unavailable("Temporal does not answer")
    assert (await combine(front, anna, *ids, headers=KEY)).status_code == 503
    async with front.database.read() as tx:
        assert await tx.language.at_work_on(ids[0], anna.id) == []
    writer.failure = None
    assert (await combine(front, anna, *ids, headers=KEY)).status_code == 200


async def retry(front: Front, user: User, memo_id: str, **kwargs: Any) -> Any:
    return await front.ask("POST", f"memos/{memo_id}/retry-headline", user, **kwargs)


async def test_a_headline_is_written_again_for_nothing(stage: tuple[Front, Writer]) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 150)
    answer = await retry(front, anna, memo_id, headers=KEY)
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "headline": "Shopping", "intro": TEXT}
    assert (await retry(front, anna, memo_id, headers=KEY)).json() == answer.json()
    kind, _, _, request = writer.started[-1]
    assert (kind, request["price"], request["memo_ids"]) == ("headline", 0, [memo_id])


async def test_a_headline_that_fails_says_so_and_leaves_the_memo(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna, title="Mine")
    writer.failure_of_jobs = AWAY
    answer = await retry(front, anna, memo_id)
    assert answer.status_code == 502
    assert answer.json()["error"] == "Headline generation failed"
    assert answer.json()["code"] == "provider_failed"
    memo = (await front.ask("GET", f"memos/{memo_id}", anna)).json()["memo"]
    assert (memo["title"], memo["intro"]) == ("Mine", None)


async def test_only_the_owner_has_a_headline_written_and_only_of_a_transcript(
    stage: tuple[Front, Writer],
) -> None:
    front, _ = stage
    anna, ben = front.user(), front.user()
    memo = await front.new_memo(anna)
    silent = await retry(front, anna, memo["memoId"])
    assert (silent.status_code, silent.json()["code"]) == (400, "no_transcript")
    assert (await retry(front, ben, memo["memoId"])).status_code == 404
    await front.share(memo, ben)
    assert (await retry(front, ben, memo["memoId"])).status_code == 403
    assert (await retry(front, anna, "x")).status_code == 404
