"""What language models write: held, written, recorded and charged once."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.flat_price import FlatPrice
from activities.language_ports import LanguageModel
from activities.liveness import alive
from activities.memo import HEADLINE, reason
from activities.ports import Database, Transaction
from activities.speech_ports import LanguageGuess
from activities.transcription import TierBounds
from activities.translation import Foreign, as_it_was, in_other_words, said_in
from activities.wallet_ports import Wallet
from activities.workbook import JobWorkbook
from contracts.costs import UNPRICED, Prices
from contracts.credits import LOW_BELOW
from contracts.errors import Conflict, NotFound, ProviderBusy, ProviderFailure
from contracts.headline import Headline
from contracts.jobs import JobState, Step
from contracts.language import Combination, LanguageRequest, Translation, Use, Written
from contracts.language_job import (
    EndLanguage,
    LanguageJob,
    LanguageOrder,
    LanguageReserved,
    LanguageResult,
    WrittenRef,
)
from contracts.language_texts import (
    combined_metadata,
    combined_source,
    memories_of,
    processing_of,
    ref_of,
    result_of,
    source_of,
    spoken_language,
)
from contracts.memo import Memo, MemoStatus
from contracts.webhooks import Delivery

BLUEPRINT = "blueprint"
PROCESSES = {Use.HEADLINE: HEADLINE, Use.BLUEPRINT: BLUEPRINT}
"""Uses whose state its readers look for in ``metadata.processing`` of the memo."""


@dataclass(frozen=True)
class _Asked:
    """What is to be written, and what it is to be written about."""

    job: LanguageJob
    order: LanguageOrder
    memos: Sequence[Memo]
    foreign: Foreign | None = None

    @property
    def request(self) -> LanguageRequest:
        order = self.order
        if self.foreign is not None:
            return self.foreign.request
        return LanguageRequest(
            sources=tuple(source_of(memo) for memo in self.memos),
            language=order.language or spoken_language(self.memos),
            instruction=order.instruction,
            prompts=order.prompts,
            role=order.role,
        )

    @property
    def as_it_was(self) -> bool:
        """Whether all of it is in English already: nobody is asked, and nothing is charged."""
        return self.foreign is not None and not self.foreign.places

    def texts(self, text: Any) -> Mapping[int, str] | None:
        """What is recorded of a translation; of anything else nothing: it has rows of its own."""
        if self.foreign is None or not isinstance(text, Translation):
            return None
        return dict(zip(self.foreign.places, text.texts, strict=True))


class LanguageActivities:
    """Reserve, write, end; each safe to do twice.

    Args:
        bounds: how often a request is tried while every model is busy, or its worker dies.
        credits_low_below: a charge that takes the balance below it is told.
        guess: finds out the language of what is to be translated.
    """

    def __init__(
        self,
        database: Database,
        model: LanguageModel,
        bounds: TierBounds,
        credits_low_below: int = LOW_BELOW,
        prices: Prices = UNPRICED,
        *,
        wallet: Wallet | None = None,
        guess: LanguageGuess | None = None,
    ) -> None:
        self._guess = guess
        self._database = database
        self._model = model
        self._bounds = bounds
        self._prices = prices
        self._price = FlatPrice(wallet, credits_low_below)

    @activity.defn(name="reserve_language")
    async def reserve_language(self, job: LanguageJob) -> LanguageReserved:
        """Take the job up: state ``running``, its price held.

        Raises:
            InsufficientCredits: fewer are free; the job is left as it was.
        """
        await self._price.cover(job)
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is None or state.final:
                return LanguageReserved(present=False)
            await tx.jobs.move(job.job_id, job.user_id, JobState.RUNNING, step=Step.WRITE)
            held = await self._price.hold(tx, job)
            await self._tell_memo(tx, job, MemoStatus.PROCESSING)
        return LanguageReserved(present=True, held=held)

    @activity.defn(name="write_language")
    async def write_language(self, job: LanguageJob) -> WrittenRef:
        """Have it written, save it and charge for it, all or nothing; the job is completed then.

        What is recorded already is returned without a call. An answer that says the recordings
        hold none was written too, and is charged; a failure never is.

        Raises:
            ProviderBusy: every model is busy; again after the pause it asks for.
            ProviderFailure: no model can serve.
            NotFound: a memo it reads, or what was asked for, is gone.
            Conflict: the job has ended meanwhile, and keeps its end.
        """
        async with self._database.read() as tx:
            kept = await tx.language.order_of(job.job_id, job.user_id)
            if kept is None:
                raise NotFound
            if kept.written is not None:
                return kept.written
            memos = await _memos(tx, job)
            said = await said_in(tx, job) if job.use is Use.TRANSLATE else None
        asked = _Asked(job, kept.order, memos)
        book = self._workbook(job)
        began = time.monotonic()
        try:
            async with alive(self._database, job.job_id, job.user_id):
                if said is not None:
                    asked = replace(asked, foreign=await in_other_words(said, self._guess))
                written = await self._written(asked, book)
        except ProviderFailure as failure:
            raise await self._in_vain(job, failure, book) from failure
        return await self._save(asked, written, book, round(time.monotonic() - began, 3))

    def _workbook(self, job: LanguageJob) -> JobWorkbook:
        return JobWorkbook(
            self._database,
            job.job_id,
            job.user_id,
            round=job.round,
            step=Step.WRITE,
            fresh=job.round == 1 and activity.info().attempt == 1,
            tries=self._bounds.tries,
            prices=self._prices,
        )

    async def _written(self, asked: _Asked, book: JobWorkbook) -> Written[Any]:
        if asked.as_it_was:
            return as_it_was()
        return await self._ask(asked.job.use, asked.request, book)

    async def _ask(self, use: Use, request: LanguageRequest, book: JobWorkbook) -> Written[Any]:
        match use:
            case Use.HEADLINE:
                return await self._model.headline(request, book)
            case Use.QUESTION:
                return await self._model.question(request, book)
            case Use.COMBINE:
                return await self._model.combine(request, book)
            case Use.MEMORY:
                return await self._model.memory(request, book)
            case Use.BLUEPRINT:
                return await self._model.blueprint(request, book)
            case Use.TRANSLATE:
                return await self._model.translate(request, book)

    async def _in_vain(
        self, job: LanguageJob, failure: ProviderFailure, book: JobWorkbook
    ) -> ProviderFailure:
        """The failure to raise: busy too often is final."""
        tries = 0
        async with self._database.write() as tx:
            await book.close(tx)
            if isinstance(failure, ProviderBusy):
                tries = await tx.language.count_vain(job.job_id, job.user_id, job.round)
        return self._bounds.after(failure, tries)

    async def _save(
        self, asked: _Asked, written: Written[Any], book: JobWorkbook, seconds: float
    ) -> WrittenRef:
        job = asked.job
        ref = ref_of(job, written)
        if asked.as_it_was:
            ref = ref.model_copy(update={"charged": 0})
        announced: tuple[Delivery, ...] = ()
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            lives = state is not None and not state.final
            if state is not None:
                await book.close(tx, superseded=not lives)
            if lives:
                await self._save_text(tx, asked, written.text, ref)
                await tx.language.written(
                    job.job_id, job.user_id, ref, written.usage, texts=asked.texts(written.text)
                )
                announced = await self._complete(tx, job, ref, seconds)
        if not lives:
            raise Conflict("The job ended before it was written", code="job_ended")
        await self._price.tell(job)
        return ref.model_copy(update={"announced": announced})

    async def _save_text(self, tx: Transaction, asked: _Asked, text: Any, ref: WrittenRef) -> None:
        job = asked.job
        if isinstance(text, Headline):
            await tx.memos.save_headline(job.subject_id, job.user_id, text)
        elif isinstance(text, Combination):
            now = datetime.now(UTC).isoformat()
            await tx.memos.create(
                job.subject_id,
                job.user_id,
                title=text.headline,
                title_by_user=False,
                intro=text.intro,
                source=combined_source(asked.memos, text),
                metadata=combined_metadata(asked.order, ref, now),
                job_id=job.job_id,
            )
        elif not isinstance(text, Translation):
            rows = memories_of(job, asked.order, text, ref)
            await tx.memories.add(job.subject_id, job.user_id, rows)
        await self._tell_memo(tx, job, MemoStatus.COMPLETED, **processing_of(ref))

    async def _complete(
        self, tx: Transaction, job: LanguageJob, ref: WrittenRef, seconds: float
    ) -> tuple[Delivery, ...]:
        """End the job; returns the messages that tell of its charge."""
        operation, charged = job.use.value, ref.charged
        announced = await self._price.settle(tx, job, operation=operation, amount=charged)
        data = {"step": Step.WRITE, "seconds": seconds, "charged": charged}
        await tx.jobs.advance(job.job_id, job.user_id, Step.ANNOUNCE, tier=ref.tier, data=data)
        await tx.jobs.move(
            job.job_id, job.user_id, JobState.COMPLETED, step=Step.DONE, result=result_of(ref)
        )
        return announced

    @activity.defn(name="end_language")
    async def end_language(self, order: EndLanguage) -> LanguageResult:
        """Release what is held, forget the notes and write the final state, unless it has one.

        Returns:
            How the job ended: what was written before the order came stays written.
        """
        job = order.job
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is JobState.COMPLETED:
                kept = await tx.language.order_of(job.job_id, job.user_id)
                written = None if kept is None else kept.written
                charged = job.price if written is None else written.charged
                return LanguageResult(state=state, charged=charged, written=written)
            if state is None or state.final:
                return LanguageResult(state=state or order.state, failure=order.failure)
            await self._price.release(tx, job)
            await tx.language.drop_notes(job.job_id, job.user_id)
            await self._tell_memo(tx, job, _STATUS[order.state], **reason(order.failure))
            await tx.jobs.move(
                job.job_id, job.user_id, order.state, step=Step.DONE, failure=order.failure
            )
        await self._price.tell(job)
        return LanguageResult(state=order.state, failure=order.failure)

    async def _tell_memo(
        self, tx: Transaction, job: LanguageJob, status: MemoStatus, **fields: Any
    ) -> None:
        process = PROCESSES.get(job.use)
        if process is not None:
            await tx.memos.set_processing(
                job.subject_id, job.user_id, process, status, jobId=job.job_id, **fields
            )


_STATUS = {JobState.FAILED: MemoStatus.FAILED, JobState.CANCELLED: MemoStatus.CANCELLED}


async def _memos(tx: Transaction, job: LanguageJob) -> Sequence[Memo]:
    found = [await tx.memos.find(memo_id, job.user_id) for memo_id in job.memo_ids]
    memos = [memo for memo in found if memo is not None]
    if len(memos) < len(found):
        raise NotFound("A memo that was to be read is gone")
    return memos
