"""A text of a user in a database, and the steps of its job, by an engine that speaks at once."""

from typing import Any
from uuid import uuid4

from temporalio.testing import ActivityEnvironment

from activities.speech import SpeechActivities, SpeechRules
from activities.speech_end import SpeechEndings
from activities.transcription import TierBounds
from activities.wallet_ports import Wallet
from contracts import ids
from contracts.jobs import JobState
from contracts.speech import SpeechFormat, SpeechOrder
from contracts.speech_job import (
    EndSpeech,
    JoinSpeech,
    SpeakPart,
    SpeechEnded,
    SpeechJob,
    SpeechPlan,
)
from contracts.tiers import AttemptOutcome
from store.database import Database
from tests.fakes.ports import MemoryFiles, ScriptedTools
from tests.fakes.scripted_speech import TEXT, Speaker, engines_of


class Reading:
    """One text of a user, and the steps of its job."""

    def __init__(self, database: Database, wallet: Wallet | None = None) -> None:
        self.database = database
        self.files = MemoryFiles()
        self.speaker = Speaker()
        self.work(wallet)
        self.user = str(uuid4())
        self.job = self._job()

    def work(self, wallet: Wallet | None = None) -> None:
        """Let a worker take over that knows nothing but what is stored."""
        self.steps = SpeechActivities(
            database=self.database,
            files=self.files,
            tools=ScriptedTools(),
            engines=engines_of(self.speaker),
            bounds=TierBounds(tries=2, backoff_seconds=2),
            rules=SpeechRules(),
            wallet=wallet,
        )
        self.endings = SpeechEndings(self.database, wallet)

    def _job(self, price: int = 3) -> SpeechJob:
        file_id = str(uuid4())
        return SpeechJob(
            job_id=ids.speech_job(file_id),
            user_id=self.user,
            file_id=file_id,
            form=SpeechFormat.WAV,
            price=price,
        )

    async def order(self, price: int = 3, **fields: Any) -> None:
        """Write the rows of the text, as the front does."""
        job = self.job = self._job(price)
        order = SpeechOrder(**{"text": TEXT, "voice": "nova", "format": "wav"} | fields)
        async with self.database.write() as tx:
            await tx.speech.add(job.file_id, self.user, job.job_id, order, keep_seconds=99)
            await tx.jobs.create(
                job.job_id,
                self.user,
                kind=ids.SPEECH,
                subject_id=job.file_id,
                request=job.model_dump(mode="json"),
                deadline_seconds=99,
            )

    async def plan(self) -> SpeechPlan:
        return await ActivityEnvironment().run(self.steps.plan_speech, self.job)

    async def speak(self, plan: SpeechPlan, index: int) -> bool:
        """Whether the part was bought."""
        order = SpeakPart(job=self.job, voice=plan.tiers[0].voice, index=index)
        return (await ActivityEnvironment().run(self.steps.speak_part, order)).bought

    async def join(self, plan: SpeechPlan) -> float:
        order = JoinSpeech(job=self.job, voice=plan.tiers[0].voice)
        return (await ActivityEnvironment().run(self.steps.join_speech, order)).seconds

    async def end(self, state: JobState = JobState.FAILED) -> SpeechEnded:
        """The last word on a text that has no file."""
        return await self.endings.end_speech(EndSpeech(job=self.job, state=state))

    async def money(self) -> tuple[int, int]:
        async with self.database.read() as tx:
            balance = await tx.credits.balance(self.user)
        return balance.credits, balance.held

    async def outcomes(self) -> list[AttemptOutcome | None]:
        async with self.database.read() as tx:
            found = await tx.attempts.list(self.job.job_id, self.user)
        return [attempt.outcome for attempt in found]
