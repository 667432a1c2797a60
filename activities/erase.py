"""Removing everything of one memo, whatever of it is there."""

from temporalio import activity

from activities.memo import MemoActivities
from activities.ports import Database, Files, JobStarter
from contracts import ids
from contracts.errors import NotThereYet
from contracts.jobs import JobState, Step
from contracts.memo import EndMemo, EraseJob, EraseReceipt, MemoJob

STOP_PAUSE_SECONDS = 1.0


class EraseActivities:
    """Each may be done again from the start: what is gone already counts nothing."""

    def __init__(
        self, database: Database, files: Files, starter: JobStarter, memo: MemoActivities
    ) -> None:
        self._database = database
        self._files = files
        self._starter = starter
        self._memo = memo

    @activity.defn(name="stop_memo")
    async def stop_memo(self, job: EraseJob) -> None:
        """Cancel the memo's own job and wait until it has ended.

        Raises:
            NotThereYet: it is still ending; asked again in a second.
        """
        memo_job = ids.memo_job(job.memo_id)
        async with self._database.read() as tx:
            state = await tx.jobs.state(memo_job, job.user_id)
        if state is None or state.final:
            return
        if not await self._starter.cancel(memo_job):
            await self._end_without_workflow(memo_job, job.user_id)
            return
        raise NotThereYet(
            "The memo's job is still ending", code="job_ending", retry_after=STOP_PAUSE_SECONDS
        )

    async def _end_without_workflow(self, memo_job: str, user_id: str) -> None:
        async with self._database.read() as tx:
            found = await tx.jobs.described(memo_job, user_id)
        if found is not None:
            memo = MemoJob.model_validate(found.request)
            await self._memo.discard_work(memo)
            await self._memo.end(EndMemo(job=memo, state=JobState.CANCELLED))

    @activity.defn(name="erase_memo")
    async def erase_memo(self, job: EraseJob) -> EraseReceipt:
        """Delete the memo's files (but those another memo uses), then its rows; count both."""
        async with self._database.write() as tx:
            if await tx.jobs.state(job.job_id, job.user_id) is JobState.QUEUED:
                await tx.jobs.move(job.job_id, job.user_id, JobState.RUNNING, step=Step.ERASE)
            keys = await tx.media.of_memo(job.memo_id, job.user_id)
        files = 0
        for key in keys:
            files += await self._files.delete(key)
            activity.heartbeat(files)
        async with self._database.write() as tx:
            rows = await tx.memos.erase(job.memo_id, job.user_id)
            for key in keys:
                await tx.media.remove(key, job.user_id)
            receipt = rows.model_copy(update={"files": files})
            await tx.jobs.move(
                job.job_id,
                job.user_id,
                JobState.COMPLETED,
                step=Step.DONE,
                result=receipt.model_dump(),
            )
        return receipt
