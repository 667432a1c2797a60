"""Removing everything of one memo, whatever of it is there."""

from temporalio import activity

from activities.endings import Endings
from activities.ports import Database, Files, JobStarter
from contracts import ids
from contracts.errors import NotThereYet
from contracts.jobs import JobState, StaleJob, Step
from contracts.memo import EraseJob, EraseReceipt

STOP_PAUSE_SECONDS = 1.0


class EraseActivities:
    """Each may be done again from the start: what is gone already counts nothing."""

    def __init__(
        self, database: Database, files: Files, starter: JobStarter, endings: Endings
    ) -> None:
        self._database = database
        self._files = files
        self._starter = starter
        self._endings = endings

    @activity.defn(name="stop_memo")
    async def stop_memo(self, job: EraseJob) -> None:
        """Cancel the memo's own job and those that write about it; wait until they have ended.

        Raises:
            NotThereYet: one is still ending; asked again in a second.
        """
        memo_job = ids.memo_job(job.memo_id)
        async with self._database.read() as tx:
            state = await tx.jobs.state(memo_job, job.user_id)
            at_work = list(await tx.language.at_work_on(job.memo_id, job.user_id))
            if state is not None and not state.final:
                own = await tx.jobs.described(memo_job, job.user_id)
                at_work += [] if own is None else [own]
        ending = [each.id for each in at_work if not await self._stopped(each)]
        if ending:
            raise NotThereYet(
                "A job of the memo is still ending",
                code="job_ending",
                retry_after=STOP_PAUSE_SECONDS,
            )

    async def _stopped(self, job: StaleJob) -> bool:
        """Whether it has ended: at once when it has no workflow."""
        if await self._starter.cancel(job.id):
            return False
        await self._endings.end(job, JobState.CANCELLED)
        return True

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
            requests = await tx.language.erase(job.memo_id, job.user_id)
            await tx.webhooks.forget(ids.memo_job(job.memo_id), job.user_id)
            rows = await tx.memos.erase(job.memo_id, job.user_id)
            for key in keys:
                await tx.media.remove(key, job.user_id)
            receipt = rows.model_copy(update={"files": files, "requests": requests})
            await tx.jobs.move(
                job.job_id,
                job.user_id,
                JobState.COMPLETED,
                step=Step.DONE,
                result=receipt.model_dump(),
            )
        return receipt
