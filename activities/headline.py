"""Headline and intro of a saved transcript."""

import time

from temporalio import activity

from activities.liveness import alive
from activities.memo import HEADLINE
from activities.ports import Database, Headliner
from contracts.jobs import Step
from contracts.memo import HeadlineMemo, HeadlineRef, MemoStatus


class HeadlineActivities:
    """Asks a language engine for a headline and writes it on the memo."""

    def __init__(self, database: Database, headliner: Headliner) -> None:
        self._database = database
        self._headliner = headliner

    @activity.defn(name="headline")
    async def headline(self, order: HeadlineMemo) -> HeadlineRef:
        """Write title and intro; what the user called the memo by hand stays.

        Raises:
            ProviderFailure: the engine gave nothing usable; the memo is complete without.
        """
        job = order.job
        began = time.monotonic()
        async with self._database.read() as tx:
            transcript = await tx.transcripts.load(job.job_id, job.user_id)
            wanted = await tx.memos.language(job.memo_id, job.user_id)
        language = order.transcript.language or wanted
        async with alive(self._database, job.job_id, job.user_id):
            headline = await self._headliner.headline(transcript, language)
        async with self._database.write() as tx:
            await tx.memos.save_headline(job.memo_id, job.user_id, headline)
            await tx.memos.set_processing(
                job.memo_id, job.user_id, HEADLINE, MemoStatus.COMPLETED, engine=headline.engine
            )
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.ANNOUNCE,
                data={"step": Step.HEADLINE, "seconds": round(time.monotonic() - began, 3)},
            )
        return HeadlineRef(engine=headline.engine, characters=len(headline.title))
