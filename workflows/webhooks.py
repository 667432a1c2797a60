"""Webhooks: the first attempt inside the job, the others in a workflow of their own."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.webhooks import WebhookActivities
    from contracts import ids
    from contracts.webhooks import RETRY_SIGNAL, Deliveries, Delivery, DeliveryJob, RetryNow
    from workflows import policies


@workflow.defn(name=ids.WEBHOOK_DELIVERY)
class WebhookDeliveryWorkflow:
    """Tries a message again by the schedule, until it is delivered or a dead letter.

    The signal ``retry_now`` ends a pause.
    """

    def __init__(self) -> None:
        self._now = False

    @workflow.run
    async def run(self, job: DeliveryJob) -> int:
        """Returns how often it was tried in all."""
        while True:
            await self._pause(job)
            left = await attempt((job,))
            if not left.jobs:
                return job.tried + 1
            job = left.jobs[0]
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(job)

    @workflow.signal(name=RETRY_SIGNAL)
    def retry_now(self, order: RetryNow) -> None:  # noqa: ARG002 - one value in, always
        """Somebody mended the endpoint and does not want to wait."""
        self._now = True

    async def _pause(self, job: DeliveryJob) -> None:
        workflow.set_current_details(
            f"**Attempt {job.tried + 1} in {job.pause:.0f} s**\n\nmessage `{job.delivery.id}`"
        )
        if job.pause > 0:
            with suppress(TimeoutError):  # its time has come
                await workflow.wait_condition(
                    lambda: self._now, timeout=timedelta(seconds=job.pause)
                )
            self._now = False


async def attempt(jobs: Sequence[DeliveryJob]) -> Deliveries:
    """Try each message once; what is left over is to be tried again."""
    return await workflow.execute_activity_method(
        WebhookActivities.deliver_webhooks,
        Deliveries(jobs=tuple(jobs)),
        start_to_close_timeout=policies.WEBHOOK_TRY,
        schedule_to_close_timeout=policies.PATIENT,
        retry_policy=policies.PATIENT_RETRY,
        summary=f"{len(jobs)} webhook{'s' if len(jobs) > 1 else ''}",
    )


class Announcements:
    """The messages of one job: sent beside its steps, waited for at its end."""

    def __init__(self) -> None:
        self._sending: list[asyncio.Task[None]] = []

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Begin to send what a step announced; nothing is done when nobody wants it."""
        if deliveries:
            jobs = [DeliveryJob(delivery=delivery) for delivery in deliveries]
            self._sending.append(asyncio.create_task(_send(jobs)))

    async def sent(self) -> None:
        """Wait until each has been tried once; the rest is in workflows of their own by then."""
        while not all(task.done() for task in self._sending):
            # A job that has had its last word cannot be cancelled any more.
            with suppress(asyncio.CancelledError):
                await workflow.wait(self._sending)


async def _send(jobs: Sequence[DeliveryJob]) -> None:
    try:
        left = await attempt(jobs)
    except ActivityError:
        # The database has been away for a day: the rows wait for `reconcile`.
        workflow.logger.warning("webhooks.not_tried")
        return
    for job in left.jobs:
        await workflow.start_child_workflow(
            WebhookDeliveryWorkflow.run,
            job,
            id=ids.webhook_job(job.delivery.id),
            execution_timeout=policies.WEBHOOK_IN_ALL,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary="Deliver a webhook that failed before",
        )
