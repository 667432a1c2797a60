"""Erasing a memo: stop its job, delete its files and rows, leave a receipt."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erase import EraseActivities
    from contracts import ids
    from contracts.memo import EraseJob, EraseReceipt
    from workflows import policies


@workflow.defn(name=ids.ERASE)
class EraseWorkflow:
    """The memo is gone for every reader before this begins; this removes what is left of it."""

    @workflow.run
    async def run(self, job: EraseJob) -> EraseReceipt:
        """Carry the erasure to its receipt, however long a dependency is away."""
        await workflow.execute_activity_method(
            EraseActivities.stop_memo,
            job,
            start_to_close_timeout=policies.PATIENT_TRY,
            schedule_to_close_timeout=policies.PATIENT,
            retry_policy=policies.PATIENT_RETRY,
        )
        return await workflow.execute_activity_method(
            EraseActivities.erase_memo,
            job,
            start_to_close_timeout=policies.ERASE_TRY,
            heartbeat_timeout=policies.ERASE_HEARTBEAT,
            retry_policy=policies.PATIENT_RETRY,
        )
