"""A tier that a vendor works off in its own time: submit, wait cheaply, collect, discard."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.batch import BatchActivities
    from contracts.memo import BatchOrder, SubmittedBatch, TranscribeTier
    from contracts.transcript import TranscriptRef
    from workflows import policies
    from workflows.outside import Outsiders
    from workflows.steps import StepFailed, cancel, outcome, unless


async def transcribe_in_batch(order: TranscribeTier, outsiders: Outsiders) -> TranscriptRef:
    """The transcript; whatever happens, nothing of the job stays with the vendor.

    Args:
        outsiders: tells when the vendor has something to tell.

    Raises:
        StepFailed: the tier failed; the next one is to try.
    """
    try:
        submitted = await _submit(order)
        return await _collect(BatchOrder(tier=order, submitted=submitted), outsiders)
    finally:
        await _discard(order)


async def _submit(order: TranscribeTier) -> SubmittedBatch:
    with outcome():
        return await workflow.execute_activity_method(
            BatchActivities.submit,
            order,
            start_to_close_timeout=policies.call_time(order.tier.call_seconds, 0),
            schedule_to_close_timeout=policies.PATIENT,
            heartbeat_timeout=timedelta(seconds=order.job.heartbeat_seconds),
            retry_policy=policies.PATIENT_RETRY,
            summary=f"{order.tier.name} · {order.facts.seconds:.0f} s",
        )


async def _collect(order: BatchOrder, outsiders: Outsiders) -> TranscriptRef:
    """Ask at once, and then as often as the activity's own retries do, which cost no history.

    An event ends the pause before the next retry: what waits is cancelled and asked anew.
    """
    until = workflow.now() + policies.BATCH
    outsiders.listen(order.submitted.job.id)
    for _ in range(policies.MOST_WAKES):
        asking = asyncio.create_task(_ask(order, until - workflow.now()))
        if await unless(asking, lambda: outsiders.woken):
            return asking.result()
        outsiders.woken = False
        await cancel(asking)
    return await _ask(order, until - workflow.now())


async def _ask(order: BatchOrder, longest: timedelta) -> TranscriptRef:
    with outcome():
        return await workflow.execute_activity_method(
            BatchActivities.collect,
            order,
            start_to_close_timeout=policies.COLLECT_TRY,
            schedule_to_close_timeout=longest,
            heartbeat_timeout=timedelta(seconds=order.tier.job.heartbeat_seconds),
            retry_policy=policies.PATIENT_RETRY,
            summary=f"waiting for the vendor's job {order.submitted.job.id}",
        )


async def _discard(order: TranscribeTier) -> None:
    """Leave nothing behind; what cannot be deleted for a day ends by the vendor's own expiry."""
    try:
        with outcome():
            await workflow.execute_activity_method(
                BatchActivities.discard,
                order,
                start_to_close_timeout=policies.COLLECT_TRY,
                schedule_to_close_timeout=policies.DISCARD,
                retry_policy=policies.PATIENT_RETRY,
                summary="job and staged audio",
            )
    except StepFailed as step:
        workflow.logger.warning("batch.left_behind", extra={"code": step.failure.code})
