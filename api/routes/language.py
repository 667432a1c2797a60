"""What is asked of language models: questions about a memo, several memos in one, a headline."""

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from starlette.responses import Response

from api.admission import CurrentUser, User, user_router
from api.dependencies import Needs
from api.idempotency import Claimed
from api.identifiers import MemoId
from api.job_start import Entered
from api.language_start import (
    Wanted,
    answer_language,
    check_transcripts,
    enter_language,
)
from api.long_call import LongCall
from api.routes.memos import find_memo, own_memo
from api.shapes.errors import error_responses
from api.shapes.jobs import JobWorking
from api.shapes.language import Combination, Combined, HeadlineWritten, Question, QuestionAnswered
from api.shapes.memos import MemoView
from api.user_settings import UserSettings, user_settings
from contracts.api_keys import MEMOS
from contracts.errors import NotFound
from contracts.jobs import Job
from contracts.language import Use
from contracts.language_job import LanguageOrder, WrittenRef
from contracts.language_texts import spoken_language
from contracts.memo import Memo

if TYPE_CHECKING:
    from store.database import Transaction

router = user_router("Memos", scope=MEMOS)

WRITING_ERRORS: Final = (400, 401, 402, 404, 409, 422, 429, 502, 503)

WORKING: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "It takes longer: the job goes on by itself. The same request with the "
        "same `Idempotency-Key` waits for it again.",
        "model": JobWorking,
        "headers": {
            "Location": {
                "description": "Where the job is told about.",
                "schema": {"type": "string"},
            }
        },
    }
}


async def written_by(tx: "Transaction", job: Job) -> WrittenRef:
    """What a completed job wrote.

    Raises:
        NotFound: it was erased meanwhile.
    """
    kept = await tx.language.order_of(job.id, job.user_id)
    if kept is None or kept.written is None:
        raise NotFound
    return kept.written


@router.post(
    "/memos/combine",
    summary="Combine memos",
    response_description="The memo that was made of them.",
    response_model=Combined,
    responses={**WORKING, **error_responses(*WRITING_ERRORS)},
)
async def combine_memos(
    body: Combination,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Bring 2 to 50 memos together in a new one, in the order they are named; 5 credits.

    Memos of one's own and of one's spaces; the new one is the caller's. One that is absent, or
    somebody else's, is 404; one without a transcript is 400 `no_transcript`. Charged when it is
    written, and never for a failure.
    """

    async def enter(tx: "Transaction") -> Entered:
        memos = [await find_memo(tx, memo_id, user) for memo_id in body.memo_ids]
        check_transcripts(memos)
        order = await _combination(tx, user, memos, body)
        wanted = Wanted(Use.COMBINE, user.id, memos, str(uuid4()), order)
        return await enter_language(tx, needs, wanted)

    async def tell(tx: "Transaction", job: Job) -> Combined:
        made = await find_memo(tx, job.subject_id, user)
        return Combined(memo=MemoView.of(made), headline=made.title or "", intro=made.intro or "")

    fields = body.model_dump(mode="json", exclude_unset=True)
    kept = claim.over(fields)
    return await LongCall(needs, tell).answer(user.id, kept, enter)


@router.post(
    "/memos/{memo_id}/question",
    summary="Ask about a memo",
    response_description="The answer.",
    response_model=QuestionAnswered,
    responses={**WORKING, **error_responses(*WRITING_ERRORS)},
)
async def ask_memo(
    memo_id: MemoId,
    body: Question,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Answer a question from what was said; 5 credits, charged when it is answered.

    The answer is kept as a memory of the memo. A memo shared by a space may be asked too: whoever
    asks pays. 400 `no_transcript` as long as there is nothing to read.
    """

    async def enter(tx: "Transaction") -> Entered:
        memo = await find_memo(tx, memo_id, user)
        order = await asked(tx, user, [memo], instruction=body.question)
        wanted = Wanted(Use.QUESTION, user.id, [memo], memo.id, order)
        return await enter_language(tx, needs, wanted)

    async def tell(tx: "Transaction", job: Job) -> QuestionAnswered:
        [memory_id] = (await written_by(tx, job)).memory_ids
        memory = await tx.memories.find(memory_id, user.id)
        return QuestionAnswered(
            answer=memory.content or "",
            memo_id=memory.memo_id,
            question=body.question,
            memory_id=memory.id,
        )

    kept = claim.over({"question": body.question})
    return await LongCall(needs, tell).answer(user.id, kept, enter)


@router.post(
    "/memos/{memo_id}/retry-headline",
    summary="Write the headline again",
    response_description="The memo's headline and introduction.",
    response_model=HeadlineWritten,
    responses={
        **WORKING,
        **error_responses(400, 401, 403, 404, 409, 422, 429, 502, 503),
    },
)
async def retry_headline(
    memo_id: MemoId,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Let a model write headline and introduction of a memo again; free, and its owner's to do.

    A title that was set by hand is kept, and answered. A failure leaves everything as it was.
    """

    async def enter(tx: "Transaction") -> Entered:
        memo = await own_memo(tx, memo_id, user)
        settings = await user_settings(tx, user.id)
        order = LanguageOrder(language=answer_language([memo], settings))
        wanted = Wanted(Use.HEADLINE, user.id, [memo], memo.id, order)
        return await enter_language(tx, needs, wanted)

    async def tell(tx: "Transaction", job: Job) -> HeadlineWritten:
        memo = await find_memo(tx, job.subject_id, user)
        return HeadlineWritten(headline=memo.title or "", intro=memo.intro or "")

    kept = claim.over()
    call = LongCall(needs, tell, refusal="Headline generation failed")
    return await call.answer(user.id, kept, enter)


async def asked(
    tx: "Transaction", user: User, memos: list[Memo], *, instruction: str
) -> LanguageOrder:
    """An order in the user's own words: their system prompt, and their language as a fallback."""
    settings = await user_settings(tx, user.id)
    return LanguageOrder(
        instruction=instruction,
        role=settings.system_prompt,
        language=answer_language(memos, settings),
    )


async def _combination(
    tx: "Transaction", user: User, memos: list[Memo], body: Combination
) -> LanguageOrder:
    order = await asked(tx, user, memos, instruction=body.custom_prompt or "")
    if body.blueprint_id is None:
        return order
    blueprint = await tx.blueprints.find(body.blueprint_id, user.id)
    if blueprint is None:
        raise NotFound
    settings: UserSettings = await user_settings(tx, user.id)
    languages = (settings.language, spoken_language(memos))
    wishes = [body.custom_prompt or "", *(each.text for each in blueprint.asked(*languages))]
    return order.model_copy(
        update={
            "instruction": "\n\n".join(wish for wish in wishes if wish),
            "role": blueprint.role(*languages) or order.role,
            "metadata": {"blueprintId": blueprint.id},
        }
    )
