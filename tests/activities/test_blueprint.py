"""Memories of a new memo's blueprint: ordered once, in the memo's language."""

from uuid import uuid4

import pytest

from activities.blueprint import BlueprintActivities
from contracts.blueprint import PromptDraft
from contracts.errors import (
    ProviderOut,
)
from contracts.jobs import JobFailure, JobState
from contracts.memo import OrderBlueprint
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.activities.writing import Bench, transcribed
from tests.fakes.scripted_model import ScriptedModel


async def blueprint_of(database: Database, user_id: str, *texts: dict[str, str]) -> str:
    blueprint_id = str(uuid4())
    async with database.write() as tx:
        await tx.blueprints.create(
            blueprint_id,
            user_id,
            name={"en": "b"},
            description={},
            system_prompt={"de": "Sei knapp", "en": "Be brief"},
            is_public=False,
            drafts=[PromptDraft(prompt_text=text, memory_title={"en": "T"}) for text in texts],
        )
    return blueprint_id


async def test_a_memos_blueprint_is_ordered_once_in_the_memos_language(
    database: Database, new_memo: NewMemo
) -> None:
    memo = await transcribed(database, await new_memo())
    blueprint_id = await blueprint_of(
        database, memo.user_id, {"en": "Tasks", "de": "Aufgaben"}, {"fr": "Devoirs"}
    )
    order = OrderBlueprint(
        job=memo.model_copy(update={"blueprint_id": blueprint_id}), language="de-CH"
    )
    blueprints = BlueprintActivities(database)
    first = (await blueprints.order_blueprint(order)).job
    assert first == (await blueprints.order_blueprint(order)).job
    assert first is not None
    assert (first.job_id, first.price) == (f"blueprint-{memo.memo_id}", 5)
    async with database.read() as tx:
        kept = await tx.language.order_of(first.job_id, memo.user_id)
    assert kept is not None
    assert [prompt.text for prompt in kept.order.prompts] == ["Aufgaben", "Devoirs"]
    assert (kept.order.role, kept.order.language) == ("Sei knapp", "de-CH")
    assert kept.order.metadata == {"blueprintId": blueprint_id}


@pytest.mark.parametrize("whose", ["nobody's", "somebody else's"])
async def test_a_blueprint_that_is_not_there_is_told_on_the_memo(
    database: Database, new_memo: NewMemo, whose: str
) -> None:
    memo = await transcribed(database, await new_memo())
    blueprint_id = str(uuid4())
    if "else" in whose:
        blueprint_id = await blueprint_of(database, str(uuid4()), {"en": "Tasks"})
    order = OrderBlueprint(job=memo.model_copy(update={"blueprint_id": blueprint_id}))
    assert (await BlueprintActivities(database).order_blueprint(order)).job is None
    async with database.read() as tx:
        row = await tx.memos.find(memo.memo_id, memo.user_id)
    assert row is not None
    told = row.metadata["processing"]["blueprint"]
    assert (told["status"], told["error_code"]) == ("failed", "blueprint_gone")


async def test_a_blueprint_that_was_written_is_not_ordered_again_and_a_failed_one_is(
    database: Database, new_memo: NewMemo
) -> None:
    memo = await transcribed(database, await new_memo())
    blueprint_id = await blueprint_of(database, memo.user_id, {"en": "Tasks"})
    order = OrderBlueprint(job=memo.model_copy(update={"blueprint_id": blueprint_id}))
    blueprints = BlueprintActivities(database)
    job = (await blueprints.order_blueprint(order)).job
    assert job is not None
    bench = Bench(database, ScriptedModel(ProviderOut("401")), job)
    await bench.activities.reserve_language(job)
    with pytest.raises(ProviderOut):
        await bench.write()
    await bench.end(JobState.FAILED, JobFailure(code="provider_out", message="401"))
    told = (await bench.memo()).metadata["processing"]["blueprint"]
    assert (told["status"], told["error_code"]) == ("failed", "provider_out")
    again = (await blueprints.order_blueprint(order)).job
    assert again is not None
    assert again.round == 2
    bench.job = again
    await bench.activities.reserve_language(again)
    await bench.write()
    assert (await blueprints.order_blueprint(order)).job is None
    told = (await bench.memo()).metadata["processing"]["blueprint"]
    assert (told["status"], told["error_code"]) == ("completed", None)
    assert (await bench.balance()).total_spent == 5
