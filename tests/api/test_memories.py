"""Memories over HTTP: written by prompts, read, changed, removed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from contracts.errors import Unavailable
from contracts.jobs import JobState
from tests.api.front import Front, User
from tests.api.writing import AWAY, TEXT, Writer, balance, order_of, spoken, writing

KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
async def stage(data_dir: Path) -> AsyncIterator[tuple[Front, Writer]]:
    async with writing(data_dir) as stage:
        yield stage


async def write(front: Front, user: User, memo_id: str, **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    body = fields or {"prompt": "List the tasks"}
    return await front.ask("POST", f"memos/{memo_id}/memories", user, json=body, headers=headers)


async def prompt_of(front: Front, user: User, **fields: Any) -> str:
    """Id of the one prompt of a new blueprint."""
    body = {
        "name": {"en": "Meeting"},
        "systemPrompt": {"en": "Be brief"},
        "prompts": [{"promptText": {"en": "List"}, "memoryTitle": {"en": "Tasks"}}],
        **fields,
    }
    made = await front.ask("POST", "blueprints", user, json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["blueprint"]["prompts"][0]["id"])


async def test_a_memory_is_written_by_a_prompt_of_the_moment_for_five_credits(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    answer = await write(front, anna, memo_id, prompt=" List the tasks ", headers=KEY)
    assert answer.status_code == 201
    body = answer.json()
    memory = body["memory"]
    assert (body["success"], body["jobId"]) == (True, writer.started[-1][1])
    assert (memory["memo_id"], memory["content"], memory["sort_order"]) == (memo_id, TEXT, 0)
    assert (await order_of(front, body["jobId"], anna)).instruction == "List the tasks"
    again = await write(front, anna, memo_id, prompt=" List the tasks ", headers=KEY)
    assert (again.status_code, again.json()) == (201, body)
    assert await balance(front, anna) == 145
    second = (await write(front, anna, memo_id)).json()["memory"]
    listed = await front.ask("GET", f"memos/{memo_id}/memories", anna)
    assert listed.json() == {"success": True, "memories": [memory, second]}
    one = await front.ask("GET", f"memories/{memory['id']}", anna)
    assert one.json() == {"success": True, "memory": memory}


async def test_a_stored_prompt_is_run_in_the_language_that_fits(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    prompt_id = await prompt_of(
        front,
        anna,
        systemPrompt={"en": "Be brief", "de": "Sei knapp"},
        prompts=[{"promptText": {"en": "List", "de": "Liste"}, "memoryTitle": {"de": "Aufgaben"}}],
    )
    answer = await write(front, anna, memo_id, promptId=prompt_id)
    assert answer.json()["memory"]["title"] == "Aufgaben"
    order = await order_of(front, writer.started[-1][1], anna)
    assert (order.instruction, order.role) == ("List", "Be brief")
    assert order.metadata == {"promptId": prompt_id}
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, settings={"memoro": {"language": "de"}})
    await write(front, anna, memo_id, promptId=prompt_id)
    order = await order_of(front, writer.started[-1][1], anna)
    assert (order.instruction, order.role) == ("Liste", "Sei knapp")


async def test_without_a_system_prompt_of_its_blueprint_a_prompt_has_the_users(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    prompt_id = await prompt_of(front, anna, systemPrompt={})
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, settings={"memoro": {"systemPrompt": "Rhyme"}})
    await write(front, anna, memo_id, promptId=prompt_id)
    assert (await order_of(front, writer.started[-1][1], anna)).role == "Rhyme"


async def test_a_prompt_of_anothers_private_blueprint_is_not_there_a_public_one_is(
    stage: tuple[Front, Writer],
) -> None:
    front, _ = stage
    anna, ben = front.user(), front.user()
    memo_id = await spoken(front, ben)
    private, public = await prompt_of(front, anna), await prompt_of(front, anna, isPublic=True)
    assert (await write(front, ben, memo_id, promptId=public)).status_code == 201
    for absent in (private, str(uuid4())):
        answer = await write(front, ben, memo_id, promptId=absent)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"x": 1},
        {"prompt": " "},
        {"prompt": "x" * 4001},
        {"promptId": "x"},
        {"promptId": str(uuid4()), "prompt": "List"},
        {"prompt": None},
    ],
)
async def test_exactly_one_prompt_is_asked_for(
    stage: tuple[Front, Writer], body: dict[str, Any]
) -> None:
    front, _ = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    answer = await write(front, anna, memo_id, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_a_memory_needs_a_transcript_credits_a_model_and_temporal(
    stage: tuple[Front, Writer],
) -> None:
    front, writer = stage
    anna = front.user()
    silent = (await front.new_memo(anna))["memoId"]
    assert (await write(front, anna, silent)).json()["code"] == "no_transcript"
    memo_id = await spoken(front, anna)
    writer.failure_of_jobs = AWAY
    assert (await write(front, anna, memo_id)).status_code == 502
    writer.failure = Unavailable("Temporal does not answer")
    assert (await write(front, anna, memo_id)).status_code == 503
    writer.failure = None
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, "memo-x", "memo-x:hold", 146)
    assert (await write(front, anna, memo_id)).status_code == 402
    listed = await front.ask("GET", f"memos/{memo_id}/memories", anna)
    assert listed.json()["memories"] == []


async def test_its_owner_changes_and_removes_a_memory(stage: tuple[Front, Writer]) -> None:
    front, _ = stage
    anna = front.user()
    memo_id = await spoken(front, anna)
    memory = (await write(front, anna, memo_id)).json()["memory"]
    path = f"memories/{memory['id']}"
    changed = await front.ask("PATCH", path, anna, json={"content": "Bread", "unknown": 1})
    now = changed.json()["memory"]
    assert (now["content"], now["title"]) == ("Bread", memory["title"])
    assert now["updated_at"] >= memory["updated_at"]
    same = await front.ask("PATCH", path, anna, json={})
    assert same.json()["memory"] == now
    assert (await front.ask("PATCH", path, anna, json={"title": " "})).status_code == 400
    gone = await front.ask("DELETE", path, anna)
    assert gone.json() == {"success": True, "memoryId": memory["id"]}
    for method in ("GET", "DELETE"):
        assert (await front.ask(method, path, anna)).status_code == 404


async def test_members_of_a_space_read_memories_and_only_the_owner_changes_them(
    stage: tuple[Front, Writer],
) -> None:
    front, _ = stage
    anna, ben = front.user(), front.user()
    memo = await front.new_memo(anna)
    space_id = await front.share(memo, ben)
    await front.move(memo, JobState.RUNNING)
    await front.say(memo)
    memory = (await write(front, ben, memo["memoId"])).json()["memory"]
    path = f"memories/{memory['id']}"
    assert (await front.ask("GET", path, ben)).status_code == 200
    assert (await front.ask("PATCH", path, ben, json={"title": "x"})).status_code == 403
    assert (await front.ask("DELETE", path, ben)).status_code == 403
    async with front.database.write() as tx:
        await tx.spaces.unlink(memo["memoId"], space_id, anna.id)
    assert (await front.ask("GET", path, ben)).status_code == 404
    assert (await front.ask("DELETE", path, anna)).status_code == 200


@pytest.mark.parametrize("memory_id", ["x", "%00", "..", "7d4f3a52-0c1b-4c44-9d58-0b4f8a1f7d11"])
async def test_an_id_of_no_memory_is_not_found(stage: tuple[Front, Writer], memory_id: str) -> None:
    front, _ = stage
    assert (await front.ask("GET", f"memories/{memory_id}", front.user())).status_code == 404
