"""Memories: what was written about memos, by prompts and by questions."""

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from api.admission import CurrentUser, User, user_router
from api.dependencies import Needs
from api.idempotency import Claimed
from api.identifiers import MemoId, MemoryId
from api.job_start import Entered
from api.language_start import Wanted, enter_language
from api.long_call import LongCall
from api.routes.language import WORKING, WRITING_ERRORS, asked, written_by
from api.routes.memos import find_memo
from api.shapes.errors import READ, error_responses
from api.shapes.memories import (
    MemoryChange,
    MemoryDeleted,
    MemoryList,
    MemoryView,
    MemoryWritten,
    NewMemory,
    OneMemory,
)
from api.user_settings import user_settings
from contracts.api_keys import MEMOS
from contracts.blueprint import as_asked, in_language
from contracts.errors import Forbidden, NotFound
from contracts.ids import is_uuid
from contracts.jobs import Job
from contracts.language import Use
from contracts.language_job import LanguageOrder
from contracts.language_texts import spoken_language
from contracts.memo import Memo
from contracts.memory import MemoMemory

if TYPE_CHECKING:
    from store.database import Transaction

router = user_router("Memories", scope=MEMOS)

_CHANGE: Final = (401, 403, 404, 429, 503)


@router.post(
    "/memos/{memo_id}/memories",
    status_code=201,
    summary="Write a memory",
    response_description="The memory.",
    response_model=MemoryWritten,
    responses={**WORKING, **error_responses(*WRITING_ERRORS)},
)
async def write_memory(
    memo_id: MemoId,
    body: NewMemory,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Write what a prompt asks for, from what was said; 5 credits, charged when it is written.

    `promptId` is a prompt of a blueprint one may read, `prompt` one of the moment. On a memo shared
    by a space whoever asks pays, and every member reads the memory.
    """

    async def enter(tx: "Transaction") -> Entered:
        memo = await find_memo(tx, memo_id, user)
        order = await _order(tx, user, memo, body)
        wanted = Wanted(Use.MEMORY, user.id, [memo], memo.id, order)
        return await enter_language(tx, needs, wanted)

    async def tell(tx: "Transaction", job: Job) -> MemoryWritten:
        [memory_id] = (await written_by(tx, job)).memory_ids
        memory = await tx.memories.find(memory_id, user.id)
        return MemoryWritten(memory=MemoryView.of(memory), job_id=job.id)

    fields = body.model_dump(mode="json", exclude_unset=True)
    kept = claim.over(fields)
    return await LongCall(needs, tell, status=201).answer(user.id, kept, enter)


@router.get(
    "/memos/{memo_id}/memories",
    summary="Memories of a memo",
    response_description="The memories.",
    responses=error_responses(*READ),
)
async def list_memories(memo_id: MemoId, user: CurrentUser, needs: Needs) -> MemoryList:
    """Everything that was written about a memo one may read, in its order; the first 1000."""
    async with needs.database.read() as tx:
        memo = await find_memo(tx, memo_id, user)
        found = await tx.memories.list(memo.id, user.id)
    return MemoryList(memories=[MemoryView.of(memory) for memory in found])


@router.get(
    "/memories/{memory_id}",
    summary="Read a memory",
    response_description="The memory.",
    responses=error_responses(*READ),
)
async def get_memory(memory_id: MemoryId, user: CurrentUser, needs: Needs) -> OneMemory:
    """One memory of a memo one may read."""
    async with needs.database.read() as tx:
        memory = await _find_memory(tx, memory_id, user)
    return OneMemory(memory=MemoryView.of(memory))


@router.patch(
    "/memories/{memory_id}",
    summary="Change a memory",
    response_description="The memory as it is now.",
    responses=error_responses(400, *_CHANGE),
)
async def change_memory(
    memory_id: MemoryId, body: MemoryChange, user: CurrentUser, needs: Needs
) -> OneMemory:
    """Change title or content; only the owner of its memo may."""
    changes = body.model_dump(exclude_unset=True)
    async with needs.database.write() as tx:
        memory = await _own_memory(tx, memory_id, user)
        if changes:
            memory = await tx.memories.patch(memory.id, user.id, **changes)
    return OneMemory(memory=MemoryView.of(memory))


@router.delete(
    "/memories/{memory_id}",
    summary="Delete a memory",
    response_description="The memory is gone.",
    responses=error_responses(*_CHANGE),
)
async def delete_memory(memory_id: MemoryId, user: CurrentUser, needs: Needs) -> MemoryDeleted:
    """Remove a memory for good; only the owner of its memo may."""
    async with needs.database.write() as tx:
        memory = await _own_memory(tx, memory_id, user)
        await tx.memories.delete(memory.id, user.id)
    return MemoryDeleted(memory_id=memory.id)


async def _order(tx: "Transaction", user: User, memo: Memo, body: NewMemory) -> LanguageOrder:
    order = await asked(tx, user, [memo], instruction=body.prompt or "")
    if body.prompt_id is None:
        return order
    found = await tx.blueprints.prompt(body.prompt_id, user.id)
    if found is None:
        raise NotFound
    settings = await user_settings(tx, user.id)
    languages = (settings.language, spoken_language([memo]))
    prompt = as_asked(found.prompt, *languages)
    return order.model_copy(
        update={
            "instruction": prompt.text,
            "title": prompt.title,
            "role": in_language(found.system_prompt, *languages) or order.role,
            "metadata": {"promptId": found.prompt.id},
        }
    )


async def _find_memory(tx: "Transaction", memory_id: str, user: User) -> MemoMemory:
    if not is_uuid(memory_id):
        raise NotFound
    return await tx.memories.find(memory_id, user.id)


async def _own_memory(tx: "Transaction", memory_id: str, user: User) -> MemoMemory:
    memory = await _find_memory(tx, memory_id, user)
    memo = await find_memo(tx, memory.memo_id, user)
    if memo.user_id != user.id:
        raise Forbidden("Only the owner of its memo may change a memory")
    return memory
