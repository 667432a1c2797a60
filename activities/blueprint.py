"""Orders the memories that a new memo's blueprint asks for: a job of their own."""

from temporalio import activity

from activities.language import BLUEPRINT
from activities.memo import reason
from activities.ports import Database, Transaction
from contracts import ids
from contracts.jobs import LONGEST_JOB_SECONDS, JobFailure, JobState
from contracts.language import Use
from contracts.language_job import LanguageJob, LanguageOrder, OrderedBlueprint
from contracts.memo import MemoJob, MemoStatus, OrderBlueprint
from contracts.pricing import COSTS

GONE = JobFailure(code="blueprint_gone", message="The blueprint is gone, or asks for nothing")


class BlueprintActivities:
    """Writes the job's row and what it is asked for, once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="order_blueprint")
    async def order_blueprint(self, order: OrderBlueprint) -> OrderedBlueprint:
        """The job to start; none when there is nothing to write, or it is written already.

        A job of an earlier round that failed is queued once more.
        """
        memo = order.job
        async with self._database.write() as tx:
            job_id = ids.memo_blueprint_job(memo.memo_id)
            state = await tx.jobs.state(job_id, memo.user_id)
            if state is None:
                job = await self._ordered(tx, order, job_id)
            elif state in {JobState.FAILED, JobState.CANCELLED}:
                again = await tx.jobs.requeue(
                    job_id, memo.user_id, deadline_seconds=LONGEST_JOB_SECONDS
                )
                job = LanguageJob.model_validate(again.request)
            elif state is JobState.QUEUED:
                job = await self._queued(tx, job_id, memo.user_id)
            else:
                job = None
        return OrderedBlueprint(job=job)

    async def _queued(self, tx: Transaction, job_id: str, user_id: str) -> LanguageJob | None:
        found = await tx.jobs.described(job_id, user_id)
        return None if found is None else LanguageJob.model_validate(found.request)

    async def _ordered(
        self, tx: Transaction, order: OrderBlueprint, job_id: str
    ) -> LanguageJob | None:
        memo = order.job
        language = order.language or await tx.memos.language(memo.memo_id, memo.user_id)
        asked = await self._asked(tx, memo, language)
        if asked is None:
            await tx.memos.set_processing(
                memo.memo_id, memo.user_id, BLUEPRINT, MemoStatus.FAILED, **reason(GONE)
            )
            return None
        job = LanguageJob(
            job_id=job_id,
            use=Use.BLUEPRINT,
            user_id=memo.user_id,
            subject_id=memo.memo_id,
            memo_ids=(memo.memo_id,),
            price=COSTS["BLUEPRINT_PROCESSING"],
            heartbeat_seconds=memo.heartbeat_seconds,
        )
        await tx.jobs.create(
            job_id,
            memo.user_id,
            kind=job.use,
            subject_id=job.subject_id,
            request=job.model_dump(mode="json"),
            deadline_seconds=LONGEST_JOB_SECONDS,
        )
        await tx.language.order(job, asked)
        await tx.memos.set_processing(
            memo.memo_id, memo.user_id, BLUEPRINT, MemoStatus.PENDING, jobId=job_id
        )
        return job

    async def _asked(
        self, tx: Transaction, memo: MemoJob, language: str | None
    ) -> LanguageOrder | None:
        """The blueprint's texts in the memo's language, where it has them."""
        if memo.blueprint_id is None:
            return None
        blueprint = await tx.blueprints.find(memo.blueprint_id, memo.user_id)
        if blueprint is None or not blueprint.prompts:
            return None
        return LanguageOrder(
            prompts=blueprint.asked(language),
            role=blueprint.role(language),
            language=language,
            metadata={"blueprintId": blueprint.id},
        )
