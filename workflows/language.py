"""Something to be written about memos: reserve, write, end."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.language import LanguageActivities
    from contracts import ids
    from contracts.jobs import JobFailure, JobState
    from contracts.language_job import EndLanguage, LanguageJob, LanguageResult, WrittenRef
    from workflows import policies
    from workflows.steps import StepFailed, outcome, short_step
    from workflows.webhooks import Announcements


@workflow.defn(name=ids.LANGUAGE)
class LanguageWorkflow:
    """A question, memos combined, a memory, a blueprint's memories or a headline; charged once.

    What is asked and what is written stay in the database. What was written before a cancellation
    or a time-out was heard is written, and charged; anything else that ends early costs nothing.
    """

    def __init__(self) -> None:
        self._announcements = Announcements()

    @workflow.run
    async def run(self, job: LanguageJob) -> LanguageResult:
        """Carry the job from its row to its end."""
        try:
            reserved = await short_step(LanguageActivities.reserve_language, job)
            if not reserved.present:
                return LanguageResult(state=JobState.CANCELLED)
            return await self._write(job)
        except asyncio.CancelledError:
            ended = await self._end(job, JobState.CANCELLED)
            if ended.written is None:
                raise
            return ended
        except StepFailed as step:
            failure = step.failure
        ended = await self._end(job, JobState.FAILED, failure)
        if ended.written is None:
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True)
        return ended

    async def _write(self, job: LanguageJob) -> LanguageResult:
        memos = len(job.memo_ids)
        self._tell(job, f"Writing: {job.use} about {memos} memo{'s' if memos > 1 else ''}")
        with outcome():
            written = await workflow.execute_activity_method(
                LanguageActivities.write_language,
                job,
                start_to_close_timeout=policies.WRITE_TRY,
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"{job.use} · {memos} to read",
            )
        self._announcements.send(written.announced)
        self._tell(job, f"Completed by `{written.tier}`: {_read(written)}")
        await self._announcements.sent()
        return LanguageResult(state=JobState.COMPLETED, charged=written.charged, written=written)

    async def _end(
        self, job: LanguageJob, state: JobState, failure: JobFailure | None = None
    ) -> LanguageResult:
        order = EndLanguage(job=job, state=state, failure=failure)
        return await short_step(LanguageActivities.end_language, order)

    def _tell(self, job: LanguageJob, now: str) -> None:
        """What an operator reads in the Temporal UI: free of charge and of anybody's words."""
        about = f"{job.use} · memo `{job.subject_id}` · round {job.round}"
        workflow.set_current_details(f"**{now}**\n\n{about}")


def _read(written: WrittenRef) -> str:
    return (
        f"{written.characters_read} of {written.characters_total} characters read, "
        f"{written.charged} credits"
    )
