"""Blueprints and prompts over both databases: whose they are, their order, their bounds."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from contracts.blueprint import MAX_BLUEPRINTS, Blueprint, PromptDraft
from contracts.errors import Conflict, InvalidInput, NotFound
from store.database import Database
from store.language_tables import blueprints, prompt_blueprints, prompts

DRAFTS = (
    PromptDraft(prompt_text={"en": "List the tasks"}, memory_title={"en": "Tasks"}),
    PromptDraft(prompt_text={"en": "Who came", "de": "Wer kam"}),
)


async def make(database: Database, user: str, **fields: Any) -> Blueprint:
    given: dict[str, Any] = {
        "name": {"en": "Meeting"},
        "description": {},
        "system_prompt": {"en": "Be brief"},
        "is_public": False,
        "drafts": DRAFTS,
    }
    async with database.write() as tx:
        return await tx.blueprints.create(str(uuid4()), user, **(given | fields))


async def stored_prompts(database: Database) -> set[str]:
    async with database.read() as tx:
        return {row.id for row in await tx.session.rows(select(prompts.c.id))}


async def test_a_blueprint_is_read_as_it_was_written_prompts_in_their_order(
    database: Database, user: str
) -> None:
    made = await make(database, user)
    async with database.read() as tx:
        found = await tx.blueprints.find(made.id, user)
    assert found == made
    assert found is not None
    assert [prompt.prompt_text for prompt in found.prompts] == [d.prompt_text for d in DRAFTS]
    assert [prompt.sort_order for prompt in found.prompts] == [0, 1]
    assert (found.name, found.description, found.user_id) == ({"en": "Meeting"}, {}, user)


async def test_a_private_blueprint_is_there_for_its_owner_alone(
    database: Database, user: str
) -> None:
    private, other = await make(database, user), str(uuid4())
    prompt_id = private.prompts[0].id
    async with database.write() as tx:
        assert await tx.blueprints.find(private.id, other) is None
        assert await tx.blueprints.prompt(prompt_id, other) is None
        assert not await tx.blueprints.delete(private.id, other)
        with pytest.raises(NotFound):
            await tx.blueprints.change(private.id, other, {"name": {"en": "Mine"}}, [])
        assert (await tx.blueprints.page(other, limit=9)).blueprints == ()
        assert await tx.blueprints.find(private.id, user) == private


async def test_a_public_blueprint_is_everybodys_to_read_and_its_owners_to_change(
    database: Database, user: str
) -> None:
    public, other = await make(database, user, is_public=True), str(uuid4())
    async with database.write() as tx:
        assert await tx.blueprints.find(public.id, other) == public
        found = await tx.blueprints.prompt(public.prompts[0].id, other)
        assert found is not None
        assert (found.prompt, found.system_prompt) == (public.prompts[0], {"en": "Be brief"})
        assert not await tx.blueprints.delete(public.id, other)
        with pytest.raises(NotFound):
            await tx.blueprints.change(public.id, other, {"is_public": False})


async def test_prompts_given_take_the_place_of_all_there_were(
    database: Database, user: str
) -> None:
    made = await make(database, user)
    first, second = made.prompts
    drafts = [
        PromptDraft(id=second.id, prompt_text={"en": "Who was there"}),
        PromptDraft(prompt_text={"en": "Risks"}),
    ]
    async with database.write() as tx:
        changed = await tx.blueprints.change(made.id, user, {"name": {"en": "New"}}, drafts)
    assert changed.name == {"en": "New"}
    assert changed.system_prompt == made.system_prompt
    assert [prompt.prompt_text["en"] for prompt in changed.prompts] == ["Who was there", "Risks"]
    assert changed.prompts[0].id == second.id
    assert first.id not in await stored_prompts(database)


async def test_prompts_that_are_not_given_stay(database: Database, user: str) -> None:
    made = await make(database, user)
    async with database.write() as tx:
        changed = await tx.blueprints.change(made.id, user, {"is_public": True})
    assert (changed.is_public, changed.prompts) == (True, made.prompts)


async def test_a_prompt_of_another_blueprint_cannot_be_taken_over(
    database: Database, user: str
) -> None:
    made, other = await make(database, user), await make(database, str(uuid4()))
    drafts = [PromptDraft(id=other.prompts[0].id, prompt_text={"en": "Mine now"})]
    with pytest.raises(InvalidInput, match="none of this blueprint"):
        async with database.write() as tx:
            await tx.blueprints.change(made.id, user, {}, drafts)
    async with database.read() as tx:
        assert await tx.blueprints.find(made.id, user) == made
        assert await tx.blueprints.find(other.id, str(other.user_id)) == other


async def test_a_deleted_blueprint_takes_its_prompts_along_but_those_another_uses(
    database: Database, user: str
) -> None:
    gone, stays = await make(database, user), await make(database, user, drafts=())
    shared, lone = gone.prompts
    async with database.write() as tx:
        row = {"prompt_id": shared.id, "blueprint_id": stays.id, "sort_order": 0}
        await tx.session.run(insert(prompt_blueprints), row)
    async with database.write() as tx:
        assert await tx.blueprints.delete(gone.id, user)
    assert await stored_prompts(database) == {shared.id}
    async with database.read() as tx:
        assert await tx.blueprints.find(gone.id, user) is None
        found = await tx.blueprints.find(stays.id, user)
    assert found is not None
    assert [prompt.id for prompt in found.prompts] == [shared.id]
    assert lone.id != shared.id


async def test_a_prompt_that_came_with_the_service_is_used_as_it_is(
    database: Database, user: str
) -> None:
    made = await make(database, user, drafts=())
    prompt_id = str(uuid4())
    at = datetime.now(UTC)
    async with database.write() as tx:
        row = {"id": prompt_id, "prompt_text": {"en": "Ours"}, "created_at": at, "updated_at": at}
        await tx.session.run(insert(prompts), row)
        link = {"prompt_id": prompt_id, "blueprint_id": made.id, "sort_order": 0}
        await tx.session.run(insert(prompt_blueprints), link)
        drafts = [PromptDraft(id=prompt_id, prompt_text={"en": "Mine"})]
        changed = await tx.blueprints.change(made.id, user, {}, drafts)
        assert changed.prompts[0].prompt_text == {"en": "Ours"}
        await tx.blueprints.delete(made.id, user)
    assert await stored_prompts(database) == {prompt_id}


async def test_pages_hold_ones_own_and_public_ones_newest_first_each_once(
    database: Database, user: str
) -> None:
    start = datetime.now(UTC)
    made: list[str] = []
    for number in range(7):
        let_it_be(database, start + timedelta(minutes=number))
        owner = user if number % 2 else str(uuid4())
        found = await make(database, owner, is_public=number not in {1, 4})
        if number != 4:
            made.append(found.id)
    seen: list[str] = []
    after = None
    async with database.read() as tx:
        while True:
            page = await tx.blueprints.page(user, limit=2, after=after)
            seen += [blueprint.id for blueprint in page.blueprints]
            assert all(len(blueprint.prompts) == 2 for blueprint in page.blueprints)
            after = page.next
            if after is None:
                break
    assert seen == made[::-1]


def let_it_be(database: Database, time: datetime) -> None:
    """Set the database's clock."""
    database._clock = lambda: time


async def test_one_user_has_so_many_blueprints_and_no_more(database: Database, user: str) -> None:
    at = datetime.now(UTC)
    row = {"user_id": user, "name": {}, "is_public": False, "created_at": at, "updated_at": at}
    async with database.write() as tx:
        for _ in range(MAX_BLUEPRINTS - 1):
            await tx.session.run(insert(blueprints), {**row, "id": str(uuid4())})
    await make(database, user)
    with pytest.raises(Conflict) as refused:
        await make(database, user)
    assert refused.value.code == "too_many_blueprints"
    await make(database, str(uuid4()))


async def test_texts_that_are_not_there_are_empty(database: Database, user: str) -> None:
    """Rows that others wrote leave out what they do not have."""
    blueprint_id, at = str(uuid4()), datetime.now(UTC)
    row = {
        "id": blueprint_id, "name": {"en": "Ours"}, "is_public": True, "created_at": at,
        "updated_at": at,
    }  # fmt: skip
    async with database.write() as tx:
        await tx.session.run(insert(blueprints), row)
        found = await tx.blueprints.find(blueprint_id, user)
    assert found is not None
    assert (found.user_id, found.description, found.system_prompt) == (None, {}, {})
