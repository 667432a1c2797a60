"""Headline and intro of a saved transcript, as a step of its memo's own job."""

import time

from temporalio import activity

from activities.language_ports import LanguageModel
from activities.liveness import alive
from activities.memo import HEADLINE
from activities.ports import Database
from activities.workbook import JobWorkbook
from contracts.costs import UNPRICED, Prices
from contracts.errors import ProviderFailure
from contracts.headline import Headline
from contracts.jobs import Step
from contracts.language import LanguageRequest, Source, Written
from contracts.language_texts import how_written, processing_of
from contracts.memo import HeadlineMemo, HeadlineRef, MemoJob, MemoStatus


class HeadlineActivities:
    """Asks a language model for a headline and writes it on the memo."""

    def __init__(self, database: Database, model: LanguageModel, prices: Prices = UNPRICED) -> None:
        self._database = database
        self._model = model
        self._prices = prices

    @activity.defn(name="headline")
    async def headline(self, order: HeadlineMemo) -> HeadlineRef:
        """Write title and intro; what the user called the memo by hand stays.

        Raises:
            ProviderFailure: no model gave anything usable; the memo is complete without.
        """
        job = order.job
        began = time.monotonic()
        async with self._database.read() as tx:
            transcript = await tx.transcripts.load(job.job_id, job.user_id)
            wanted = await tx.memos.language(job.memo_id, job.user_id)
        request = LanguageRequest(
            sources=(Source(transcript=transcript),), language=order.transcript.language or wanted
        )
        book = JobWorkbook(
            self._database,
            job.job_id,
            job.user_id,
            round=job.round,
            step=Step.HEADLINE,
            fresh=job.round == 1 and activity.info().attempt == 1,
            prices=self._prices,
        )
        try:
            async with alive(self._database, job.job_id, job.user_id):
                written = await self._model.headline(request, book)
        except ProviderFailure:
            async with self._database.write() as tx:
                await book.close(tx)
            raise
        await self._save(job, written, book, round(time.monotonic() - began, 3))
        return HeadlineRef(engine=written.engine, characters=len(written.text.title))

    async def _save(
        self, job: MemoJob, written: Written[Headline], book: JobWorkbook, seconds: float
    ) -> None:
        how = processing_of(how_written(written))
        async with self._database.write() as tx:
            await book.close(tx)
            await tx.memos.save_headline(job.memo_id, job.user_id, written.text)
            await tx.memos.set_processing(
                job.memo_id, job.user_id, HEADLINE, MemoStatus.COMPLETED, **how
            )
            if book.has_notes:
                await tx.language.drop_notes(job.job_id, job.user_id)
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.ANNOUNCE,
                data={"step": Step.HEADLINE, "seconds": seconds},
            )
