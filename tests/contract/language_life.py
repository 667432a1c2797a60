"""A stored heap of what models wrote, and everything that is done with that and with blueprints."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Table

from contracts.blueprint import PromptDraft
from contracts.jobs import Step
from contracts.language import ModelCall, Purpose, Usage, Use
from contracts.language_job import LanguageJob, LanguageOrder, WrittenRef
from contracts.memory import NewMemory
from contracts.tiers import AttemptOutcome
from store import language_tables


def language_rows(
    job: str, memo: str, own: dict[str, str], times: dict[str, datetime]
) -> Iterator[tuple[Table, dict[str, Any]]]:
    """As if each job were one of a language model too."""
    at = {"created_at": times["created_at"]}
    yield language_tables.language_requests, {
        "job_id": job, **own, "use": "question", "instruction": "", "prompts": [], "role": "",
        "title": "", "metadata": {}, "tries": 0, "tries_round": 1, **at,
    }  # fmt: skip
    yield language_tables.language_memos, {"job_id": job, "memo_id": memo, **own}
    yield language_tables.language_notes, {"job_id": job, "key": "k", **own, "notes": "", **at}
    yield language_tables.blueprints, {
        "id": memo, "name": {}, "is_public": int(memo[-2:], 16) % 50 == 0, **own, **times
    }  # fmt: skip
    yield language_tables.prompts, {"id": memo, "prompt_text": {}, **own, **times}
    yield (
        language_tables.prompt_blueprints,
        {"prompt_id": memo, "blueprint_id": memo, "sort_order": 0},
    )


async def live_through_blueprints(tx: Any, user: str, reader: str) -> None:
    """Every statement of a blueprint; ``reader`` has many."""
    draft, blueprint_id = PromptDraft(prompt_text={"en": "Tasks"}), str(uuid4())
    made = await tx.blueprints.create(
        blueprint_id, user, name={"en": "b"}, description={}, system_prompt={}, is_public=False,
        drafts=[draft, draft],
    )  # fmt: skip
    kept = draft.model_copy(update={"id": made.prompts[0].id})
    await tx.blueprints.change(blueprint_id, user, {"is_public": True}, [kept])
    await tx.blueprints.prompt(kept.id, user)
    for each in (user, reader):
        # A page so long is a good part of so few rows, and planned as such.
        page = await tx.blueprints.page(each, limit=5)
        await tx.blueprints.page(each, limit=5, after=page.next)
    await tx.blueprints.delete(blueprint_id, user)


async def live_through_writing(tx: Any, job_id: str, memo_id: str, user: str) -> None:
    """Every statement of a question about a memo."""
    job = LanguageJob(
        job_id=job_id, use=Use.QUESTION, user_id=user, subject_id=memo_id, memo_ids=(memo_id,)
    )
    call = ModelCall(number=1, tier="t", provider="p", engine="e", purpose=Purpose.NOTES)
    await tx.language.order(job, LanguageOrder(instruction="?"))
    await tx.language.order_of(job_id, user)
    await tx.attempts.close_lost_beside(job_id, user)
    await tx.attempts.begin_beside(job_id, user, call, round=1, step=Step.NOTES)
    over = call.model_copy(update={"outcome": AttemptOutcome.SUCCEEDED})
    await tx.attempts.record(job_id, user, over, round=1, step=Step.WRITE)
    await tx.language.notes(job_id, user, "k")
    await tx.language.keep_notes(job_id, user, "k", "n")
    await tx.language.count_vain(job_id, user, 1)
    await tx.memories.add(memo_id, user, [NewMemory(id=str(uuid4()), title="t", content="c")])
    [memory] = await tx.memories.list(memo_id, user)
    await tx.memories.find(memory.id, user)
    await tx.memories.patch(memory.id, user, title="u")
    await tx.memories.delete(memory.id, user)
    ref = WrittenRef(tier="t", provider="p", engine="e", characters_read=1, characters_total=1)
    await tx.language.written(job_id, user, ref, Usage(), texts={0: "t"})
    assert await tx.language.texts(job_id, user) == {0: "t"}
