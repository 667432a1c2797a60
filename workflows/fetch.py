"""The step before all others of a memo whose recording is at an address."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.fetch import FetchActivities
    from contracts.memo import MemoJob
    from workflows import policies
    from workflows.steps import outcome


async def fetched(job: MemoJob) -> MemoJob:
    """Bring the recording into storage; the job as it stands on the file.

    Raises:
        StepFailed: there is none to be had.
    """
    with outcome():
        audio = await workflow.execute_activity_method(
            FetchActivities.fetch,
            job,
            start_to_close_timeout=policies.FETCH_TRY,
            schedule_to_close_timeout=policies.PATIENT,
            heartbeat_timeout=timedelta(seconds=job.heartbeat_seconds),
            retry_policy=policies.PATIENT_RETRY,
            summary="from its address",
        )
    return job.model_copy(update={"audio_path": audio.key})
