"""Sends a message whose row is written: starts its delivery, or ends the pause of one."""

from collections.abc import Iterable

from api.dependencies import Services
from contracts.errors import Unavailable
from contracts.ids import WEBHOOK_DELIVERY, webhook_job
from contracts.webhooks import RETRY_SIGNAL, Delivery, DeliveryJob, MessageState, RetryNow


async def send_now(services: Services, delivery: Delivery) -> None:
    """Have a pending message sent; while Temporal is away ``reconcile`` does it a little later."""
    job_id = webhook_job(delivery.id)
    job = DeliveryJob(delivery=delivery)
    try:
        started = await services.jobs.start(
            WEBHOOK_DELIVERY, job_id, delivery.user_id, job.model_dump(mode="json")
        )
        if not started:
            await services.jobs.signal(job_id, RETRY_SIGNAL, RetryNow())
    except Unavailable:
        return


def queued(delivery: Delivery) -> dict[str, str]:
    """What is answered to whoever has a message sent."""
    return {"messageId": delivery.id, "status": MessageState.PENDING}


async def send_all(services: Services, deliveries: Iterable[Delivery]) -> None:
    """Have each of them sent."""
    for delivery in deliveries:
        await send_now(services, delivery)
