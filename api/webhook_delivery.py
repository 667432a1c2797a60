"""Sends a message whose row is written: starts its delivery, or ends the pause of one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import uuid4

from api.dependencies import Jobs
from contracts.errors import Unavailable
from contracts.ids import WEBHOOK_DELIVERY, webhook_job
from contracts.webhooks import (
    RETRY_SIGNAL,
    Delivery,
    DeliveryJob,
    MessageState,
    RetryNow,
    TestData,
    WebhookEvent,
)

if TYPE_CHECKING:
    from store.database import Transaction


async def send_now(jobs: Jobs, delivery: Delivery) -> None:
    """Have a pending message sent; while Temporal is away ``reconcile`` does it a little later."""
    job_id = webhook_job(delivery.id)
    job = DeliveryJob(delivery=delivery)
    try:
        started = await jobs.start(
            WEBHOOK_DELIVERY, job_id, delivery.user_id, job.model_dump(mode="json")
        )
        if not started:
            await jobs.signal(job_id, RETRY_SIGNAL, RetryNow())
    except Unavailable:
        return


async def announce_test(tx: "Transaction", user_id: str, endpoint_id: str) -> Delivery:
    """Write a test message for an endpoint of the user's; raises NotFound."""
    await tx.webhook_endpoints.find(endpoint_id, user_id)
    data = TestData(endpoint_id=endpoint_id)
    (delivery,) = await tx.webhooks.announce_to(
        user_id, endpoint_id, WebhookEvent.TEST, data, subject=str(uuid4())
    )
    return delivery


def queued(delivery: Delivery) -> dict[str, str]:
    """What is answered to whoever has a message sent."""
    return {"messageId": delivery.id, "status": MessageState.PENDING}


async def send_all(jobs: Jobs, deliveries: Iterable[Delivery]) -> None:
    """Have each of them sent."""
    for delivery in deliveries:
        await send_now(jobs, delivery)
