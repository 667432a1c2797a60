"""Blueprints over HTTP: made, read, paged, changed, removed; and used by new memos."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.front import Front, User

BODY: dict[str, Any] = {
    "name": {"en": "Meeting", "de": "Besprechung"},
    "description": {"en": "Tasks and decisions"},
    "systemPrompt": {"en": "Be brief"},
    "prompts": [
        {"promptText": {"en": "List the tasks"}, "memoryTitle": {"en": "Tasks"}},
        {"promptText": {"en": "List the decisions"}},
    ],
}
KEY = {"Idempotency-Key": "k-1"}


async def make(front: Front, user: User, **fields: Any) -> dict[str, Any]:
    answer = await front.ask("POST", "blueprints", user, json={**BODY, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["blueprint"]
    return made


async def test_a_blueprint_is_made_and_read_with_its_prompts(front: Front, anna: User) -> None:
    made = await make(front, anna)
    first, second = made["prompts"]
    assert made == {
        "id": made["id"],
        "name": BODY["name"],
        "description": BODY["description"],
        "system_prompt": BODY["systemPrompt"],
        "is_public": False,
        "user_id": anna.id,
        "prompts": [
            {
                "id": first["id"], "prompt_text": {"en": "List the tasks"},
                "memory_title": {"en": "Tasks"}, "sort_order": 0,
            },
            {
                "id": second["id"], "prompt_text": {"en": "List the decisions"},
                "memory_title": {}, "sort_order": 1,
            },
        ],
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }  # fmt: skip
    read = await front.ask("GET", f"blueprints/{made['id']}", anna)
    assert read.json() == {"success": True, "blueprint": made}


async def test_what_was_read_can_be_sent_back(front: Front, anna: User) -> None:
    made = await make(front, anna)
    answer = await front.ask("PATCH", f"blueprints/{made['id']}", anna, json=made)
    assert answer.status_code == 200
    again = answer.json()["blueprint"]
    assert again | {"updated_at": ""} == made | {"updated_at": ""}
    copy = await front.ask("POST", "blueprints", anna, json={"name": made["name"]})
    assert copy.json()["blueprint"]["prompts"] == []


async def test_a_blueprint_sent_again_with_its_key_is_made_once(front: Front, anna: User) -> None:
    answers = [
        await front.ask("POST", "blueprints", anna, json=BODY, headers=KEY) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    other = {**BODY, "isPublic": True}
    refused = await front.ask("POST", "blueprints", anna, json=other, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    listed = await front.ask("GET", "blueprints", anna)
    assert len(listed.json()["blueprints"]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": {}},
        {"name": {"en": " "}},
        {"name": {"en": "x" * 201}},
        {"name": {"e": "x"}},
        {"name": "Meeting"},
        {"name": None},
        {"name": {f"en-x{number:02}": "x" for number in range(31)}},
        {"description": {"en": "x" * 4001}},
        {"systemPrompt": {"en": "x" * 4001}},
        {"systemPrompt": {"en": 5}},
        {"isPublic": "yes"},
        {"prompts": [{"promptText": {}}]},
        {"prompts": [{"memoryTitle": {"en": "Tasks"}}]},
        {"prompts": [{"promptText": {"en": "x" * 4001}}]},
        {"prompts": [{"promptText": {"en": "x"}}] * 21},
        {"prompts": [{"promptText": {"en": "x"}, "id": "x"}]},
        {"prompts": [{"promptText": {"en": "x"}, "id": str(uuid4())}]},
        {"prompts": None},
    ],
)
async def test_what_is_out_of_bounds_is_refused(
    front: Front, anna: User, fields: dict[str, Any]
) -> None:
    answer = await front.ask("POST", "blueprints", anna, json={**BODY, **fields})
    assert answer.status_code == 400
    assert answer.json()["code"] in {"validation_failed", "unknown_prompt"}
    made = await make(front, anna)
    changed = await front.ask("PATCH", f"blueprints/{made['id']}", anna, json=fields)
    assert changed.status_code == 400
    read = await front.ask("GET", f"blueprints/{made['id']}", anna)
    assert read.json()["blueprint"] == made


async def test_a_change_that_changes_nothing_is_refused(front: Front, anna: User) -> None:
    made = await make(front, anna)
    for body in ({}, {"unknown": 1}):
        answer = await front.ask("PATCH", f"blueprints/{made['id']}", anna, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_prompts_are_reordered_rewritten_and_left_out(front: Front, anna: User) -> None:
    made = await make(front, anna)
    first, second = (prompt["id"] for prompt in made["prompts"])
    prompts = [
        {"promptText": {"en": "Risks"}},
        {"id": second, "promptText": {"en": "Decide"}},
    ]
    answer = await front.ask("PATCH", f"blueprints/{made['id']}", anna, json={"prompts": prompts})
    now = answer.json()["blueprint"]
    assert [prompt["prompt_text"]["en"] for prompt in now["prompts"]] == ["Risks", "Decide"]
    assert now["prompts"][1]["id"] == second
    assert first not in answer.text
    assert now["name"] == made["name"]
    twice = {"prompts": [{"id": second, "promptText": {"en": "x"}}] * 2}
    refused = await front.ask("PATCH", f"blueprints/{made['id']}", anna, json=twice)
    assert refused.status_code == 400


async def test_a_private_blueprint_of_another_is_not_there(
    front: Front, anna: User, ben: User
) -> None:
    made = await make(front, anna)
    prompt = made["prompts"][0]["id"]
    own = await make(front, ben)
    stolen = {"prompts": [{"id": prompt, "promptText": {"en": "Mine"}}]}
    assert (
        await front.ask("PATCH", f"blueprints/{own['id']}", ben, json=stolen)
    ).status_code == 400
    listed = await front.ask("GET", "blueprints", ben)
    assert made["id"] not in listed.text
    read = await front.ask("GET", f"blueprints/{made['id']}", anna)
    assert read.json()["blueprint"] == made


async def test_a_public_blueprint_is_read_by_all_and_changed_by_its_owner_alone(
    front: Front, anna: User, ben: User
) -> None:
    made = await make(front, anna, isPublic=True)
    path = f"blueprints/{made['id']}"
    assert (await front.ask("GET", path, ben)).json()["blueprint"] == made
    listed = (await front.ask("GET", "blueprints", ben)).json()
    assert [blueprint["id"] for blueprint in listed["blueprints"]] == [made["id"]]
    changed = await front.ask("PATCH", path, ben, json={"isPublic": False})
    assert (changed.status_code, changed.json()["code"]) == (403, "forbidden")
    assert (await front.ask("DELETE", path, ben)).status_code == 403
    assert (await front.ask("GET", path, anna)).json()["blueprint"] == made


async def test_a_deleted_blueprint_is_gone(front: Front, anna: User) -> None:
    made = await make(front, anna)
    path = f"blueprints/{made['id']}"
    answer = await front.ask("DELETE", path, anna)
    assert answer.json() == {"success": True, "blueprintId": made["id"]}
    for method in ("GET", "DELETE"):
        assert (await front.ask(method, path, anna)).status_code == 404


async def test_pages_of_blueprints_follow_one_another(front: Front, anna: User) -> None:
    made = [(await make(front, anna))["id"] for _ in range(3)]
    first = (await front.ask("GET", "blueprints?limit=2", anna)).json()
    assert (first["limit"], len(first["blueprints"])) == (2, 2)
    rest = await front.ask("GET", f"blueprints?limit=2&cursor={first['nextCursor']}", anna)
    assert rest.json()["nextCursor"] is None
    seen = [each["id"] for each in first["blueprints"] + rest.json()["blueprints"]]
    assert seen == made[::-1]
    for query in ("limit=0", "limit=101", "cursor=abc"):
        assert (await front.ask("GET", f"blueprints?{query}", anna)).status_code == 400


async def test_a_new_memo_may_be_given_a_blueprint_one_may_read(
    front: Front, anna: User, ben: User
) -> None:
    private, public = await make(front, anna), await make(front, anna, isPublic=True)
    memo = await front.new_memo(anna, blueprintId=private["id"])
    assert memo["memo"]["metadata"]["blueprintId"] == private["id"]
    assert front.starter.started[-1][3]["blueprint_id"] == private["id"]
    await front.new_memo(ben, blueprintId=public["id"])
    uploaded = await front.upload(ben, blueprintId=public["id"])
    assert uploaded.status_code == 201
    assert front.starter.started[-1][3]["blueprint_id"] == public["id"]
    for absent in (private["id"], str(uuid4())):
        assert (await front.post_memo(ben, blueprintId=absent)).status_code == 404
        assert (await front.upload(ben, blueprintId=absent)).status_code == 404
    assert len(front.stored) == 1
    assert (await front.ask("GET", "memos", ben)).json()["total"] == 2
