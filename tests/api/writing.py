"""Language jobs as the front sees them: a stand-in for their workflow, and memos to write about."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from contracts.ids import step_key, written_id
from contracts.jobs import JobFailure, JobState, Step
from contracts.language import Usage, Use
from contracts.language_job import LanguageJob, LanguageOrder, WrittenRef
from contracts.language_texts import result_of
from contracts.memory import NewMemory
from store.database import Database
from tests.api.front import Front, User, opened
from tests.fakes.ports import RecordingStarter

TEXT = "Bread, milk and a birthday card."
TRANSLATED = {0: "Hello there.", 1: "Good evening!"}
"""What every translation says."""

AWAY = JobFailure(code="provider_failed", message="No language model could serve")


class Writer(RecordingStarter):
    """Does what the language workflow would: holds, writes, settles; or fails; or waits.

    Attributes:
        database: of the front, once that is open.
        failure_of_jobs: every job ends with it, or as cancelled.
        go_on: a job writes nothing before it is set.
        works: false: nobody takes jobs up.
    """

    works = True

    def __init__(self) -> None:
        super().__init__()
        self.database: Database
        self.failure_of_jobs: JobFailure | JobState | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        started = await super().start(kind, job_id, user_id, request)
        if started and self.works and kind in set(Use):
            task = asyncio.create_task(self._work(LanguageJob.model_validate(request)))
            self.tasks.add(task)
        return started

    async def idle(self) -> None:
        """Return when every job that was started has ended."""
        await asyncio.gather(*self.tasks)

    async def _work(self, job: LanguageJob) -> None:
        await self.go_on.wait()
        async with self.database.write() as tx:
            await tx.jobs.move(job.job_id, job.user_id, JobState.RUNNING, step=Step.WRITE)
            key = step_key(job.job_id, "hold")
            await tx.credits.hold(job.user_id, job.job_id, key, job.price)
        async with self.database.write() as tx:
            if isinstance(self.failure_of_jobs, JobFailure):
                await tx.credits.release(job.user_id, job.job_id, step_key(job.job_id, "release"))
                await tx.jobs.move(
                    job.job_id,
                    job.user_id,
                    JobState.FAILED,
                    step=Step.DONE,
                    failure=self.failure_of_jobs,
                )
            elif self.failure_of_jobs is JobState.CANCELLED:
                await tx.credits.release(job.user_id, job.job_id, step_key(job.job_id, "release"))
                await tx.jobs.move(job.job_id, job.user_id, JobState.CANCELLED, step=Step.DONE)
            else:
                await self._write(tx, job)
        self.live.discard(job.job_id)

    async def _write(self, tx: Any, job: LanguageJob) -> None:
        memory_ids: tuple[str, ...] = ()
        texts = TRANSLATED if job.use is Use.TRANSLATE else None
        kept = await tx.language.order_of(job.job_id, job.user_id)
        if job.use is Use.COMBINE:
            await self._combine(tx, job, kept.order)
        elif job.use is Use.HEADLINE:
            await tx.memos.patch(job.subject_id, job.user_id, title="Shopping", intro=TEXT)
        elif texts is None:
            memory = NewMemory(
                id=written_id(job.job_id),
                title=kept.order.title or "Answer",
                content=TEXT,
                metadata={"jobId": job.job_id, **kept.order.metadata},
            )
            await tx.memories.add(job.subject_id, job.user_id, [memory])
            memory_ids = (memory.id,)
        ref = WrittenRef(
            memory_ids=memory_ids,
            memo_id=job.subject_id,
            tier="local",
            provider="local",
            engine="extract",
            characters_read=10,
            characters_total=10,
        )
        await tx.language.written(job.job_id, job.user_id, ref, Usage(), texts=texts)
        await tx.credits.settle(
            job.user_id, job.job_id, step_key(job.job_id, "settle"), job.price, operation=job.use
        )
        await tx.jobs.move(
            job.job_id,
            job.user_id,
            JobState.COMPLETED,
            step=Step.DONE,
            result=result_of(ref),
        )

    async def _combine(self, tx: Any, job: LanguageJob, order: LanguageOrder) -> None:
        await tx.memos.create(
            job.subject_id,
            job.user_id,
            title="Shopping and cooking",
            title_by_user=False,
            source={"type": "combined", "source_memo_ids": list(job.memo_ids), "transcript": TEXT},
            metadata={"processing": {"transcription": {"status": "completed"}}, **order.metadata},
            job_id=job.job_id,
        )


@asynccontextmanager
async def writing(data_dir: Path, **overrides: Any) -> AsyncIterator[tuple[Front, Writer]]:
    """The app, with a writer behind it."""
    writer = Writer()
    settings = {"LONG_CALL_WAIT_SECONDS": 20} | overrides
    async with opened(data_dir, starter=writer, **settings) as front:
        writer.database = front.database
        yield front, writer
        writer.go_on.set()
        await writer.idle()


async def spoken(front: Front, user: User, **fields: Any) -> str:
    """Id of a memo with a transcript."""
    memo = await front.new_memo(user, **fields)
    await front.move(memo, JobState.RUNNING)
    await front.say(memo)
    await front.move(memo, JobState.COMPLETED)
    return str(memo["memoId"])


async def balance(front: Front, user: User) -> int:
    """Credits the user has, none of them held."""
    found = (await front.ask("GET", "credits/balance", user)).json()
    assert found["held"] == 0
    return int(found["credits"])


async def order_of(front: Front, job_id: str, user: User) -> LanguageOrder:
    """What a job was asked for."""
    async with front.database.read() as tx:
        kept = await tx.language.order_of(job_id, user.id)
    assert kept is not None
    return kept.order
