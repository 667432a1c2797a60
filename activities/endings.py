"""Ends jobs that have no workflow: it was never started, or was ended from outside."""

from activities.language import LanguageActivities
from activities.memo import MemoActivities
from activities.ports import Database
from activities.speech_end import SpeechEndings
from contracts import ids
from contracts.jobs import JobFailure, JobState, StaleJob, Step
from contracts.language import USES
from contracts.language_job import EndLanguage, LanguageJob
from contracts.memo import EndMemo, MemoJob
from contracts.speech_job import EndSpeech, SpeechJob


class Endings:
    """The last word on a job, by its kind: as its workflow would have said it."""

    def __init__(
        self,
        database: Database,
        memo: MemoActivities,
        language: LanguageActivities,
        speech: SpeechEndings | None = None,
    ) -> None:
        self._database = database
        self._memo = memo
        self._language = language
        self._speech = speech or SpeechEndings(database)

    async def end(self, job: StaleJob, state: JobState, failure: JobFailure | None = None) -> None:
        """End it; what it held is free again."""
        if job.kind == ids.MEMO:
            memo = MemoJob.model_validate(job.request)
            await self._memo.discard_work(memo)
            await self._memo.end(EndMemo(job=memo, state=state, failure=failure))
        elif job.kind in USES:
            order = LanguageJob.model_validate(job.request)
            await self._language.end_language(EndLanguage(job=order, state=state, failure=failure))
        elif job.kind == ids.SPEECH:
            spoken = SpeechJob.model_validate(job.request)
            await self._speech.end_speech(EndSpeech(job=spoken, state=state, failure=failure))
        else:
            async with self._database.write() as tx:
                await tx.jobs.move(job.id, job.user_id, state, step=Step.DONE, failure=failure)
