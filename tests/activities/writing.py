"""One language job over real rows, for tests of what writes it."""

from collections.abc import Sequence
from typing import Any, Protocol

from temporalio.testing import ActivityEnvironment

from activities.language import LanguageActivities
from activities.transcription import TierBounds
from contracts.credits import Balance
from contracts.jobs import Job, JobFailure, JobState
from contracts.language import Use
from contracts.language_job import EndLanguage, LanguageJob, LanguageOrder, WrittenRef
from contracts.memo import Memo, MemoJob
from contracts.memory import MemoMemory
from contracts.tiers import Attempt
from contracts.transcript import Transcript
from store.database import Database
from store.invariants import violations
from tests.fakes.language import spoken
from tests.fakes.scripted_model import ScriptedModel

ASK = LanguageOrder(instruction="Who owns the boat?")
LINES = ("The boat came home.", "It was late.")


class Bench:
    """One language job over memos of one user, and the model that serves it."""

    def __init__(self, database: Database, model: ScriptedModel, job: LanguageJob) -> None:
        self.database = database
        self.model = model
        self.job = job
        self.activities = LanguageActivities(database, model, TierBounds(2, 3))

    async def write(self) -> WrittenRef:
        return await ActivityEnvironment().run(self.activities.write_language, self.job)

    async def end(self, state: JobState, failure: JobFailure | None = None) -> JobState:
        ended = await self.activities.end_language(
            EndLanguage(job=self.job, state=state, failure=failure)
        )
        return ended.state

    async def attempts(self) -> Sequence[Attempt]:
        async with self.database.read() as tx:
            return await tx.attempts.list(self.job.job_id, self.job.user_id)

    async def balance(self) -> Balance:
        async with self.database.read() as tx:
            return await tx.credits.balance(self.job.user_id)

    async def row(self) -> Job:
        async with self.database.read() as tx:
            job = await tx.jobs.find(self.job.job_id, self.job.user_id)
        assert job is not None
        return job

    async def memo(self) -> Memo:
        async with self.database.read() as tx:
            memo = await tx.memos.find(self.job.subject_id, self.job.user_id)
        assert memo is not None
        return memo

    async def memories(self) -> Sequence[MemoMemory]:
        async with self.database.read() as tx:
            return await tx.memories.list(self.job.subject_id, self.job.user_id)

    async def broken(self) -> list[Any]:
        return [found async for found in violations(self.database)]


async def transcribed(
    database: Database, job: MemoJob, *lines: str, said: Transcript | None = None
) -> MemoJob:
    transcript = said or spoken(*(lines or LINES)).model_copy(
        update={"primary_language": "en-US", "languages": ("en-US",)}
    )
    async with database.write() as tx:
        await tx.transcripts.save(job.job_id, job.user_id, job.memo_id, "local", transcript)
    return job


class NewBench(Protocol):
    async def __call__(
        self,
        use: Use = Use.QUESTION,
        order: LanguageOrder = ASK,
        model: ScriptedModel | None = None,
        *,
        memos: int = 1,
        reserved: bool = True,
        said: Transcript | None = None,
    ) -> Bench: ...
