"""Attempts to deliver webhooks: each one is written down, and says whether there is a next one."""

import asyncio
import random
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from temporalio import activity

from activities.ports import Database, JobStarter
from activities.webhook_ports import WebhookSender
from contracts import ids
from contracts.errors import Failure, NotFound
from contracts.webhooks import (
    AttemptResult,
    Deliveries,
    Delivery,
    DeliveryJob,
    Outgoing,
    pause_before,
)

MOST_AT_ONCE: Final = 4
"""Attempts one worker makes at one endpoint at a time: a slow one takes no more of its slots."""

FREE_SECONDS: Final = 1.0
"""How long an attempt waits for one of those to end: many events at once for an endpoint that
answers are sent one after another, those for one that does not come again later."""

BUSY_PAUSE_SECONDS: Final = 30.0

OVERDUE_SECONDS: Final = 120.0
"""A message whose attempt is so late has nobody who would make it."""

MOST_OVERDUE: Final = 1000
"""Deliveries one healing tick starts; the next one goes on."""


class WebhookActivities:
    """Makes one attempt for each message it is given, all of them at once.

    Args:
        unseal: opens a secret that was sealed for a user's id.
        free_seconds: how long an attempt waits for a place at an endpoint that is being called.
    """

    def __init__(
        self,
        database: Database,
        sender: WebhookSender,
        unseal: Callable[[str, str], str],
        *,
        free_seconds: float = FREE_SECONDS,
    ) -> None:
        self._database = database
        self._sender = sender
        self._unseal = unseal
        self._free_seconds = free_seconds
        # Of endpoints that are being called; the others are forgotten.
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @activity.defn(name="deliver_webhooks")
    async def deliver_webhooks(self, order: Deliveries) -> Deliveries:
        """Try each message once; returns those that are to be tried again, and when.

        Done twice, when the first worker died in between, it sends a message twice at most, under
        one ``webhook-id``; what was delivered and written down is not sent again.
        """
        left = await asyncio.gather(*(self._try(job) for job in order.jobs))
        return Deliveries(jobs=tuple(job for job in left if job is not None))

    async def _try(self, job: DeliveryJob) -> DeliveryJob | None:
        endpoint = job.delivery.endpoint_id
        places = self._places.get(endpoint)
        if places is None:
            self._places[endpoint] = places = asyncio.Semaphore(MOST_AT_ONCE)
        try:
            async with asyncio.timeout(self._free_seconds):
                await places.acquire()
        except TimeoutError:
            pause = BUSY_PAUSE_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - spreads, hides nothing
            return job.model_copy(update={"pause": pause})
        try:
            return await self._attempt(job)
        finally:
            places.release()

    async def _attempt(self, job: DeliveryJob) -> DeliveryJob | None:
        delivery = job.delivery
        async with self._database.read() as tx:
            outgoing = await tx.webhooks.outgoing(delivery)
        if outgoing is None:
            return None
        if not outgoing.enabled:
            await self._dismiss(delivery)
            return None
        result = await self._sent(outgoing)
        pause = None
        if not result.delivered and not result.gone:
            spread = random.uniform(-1, 1)  # noqa: S311 - as above
            pause = pause_before(outgoing.tried + 2, spread, result.retry_after)
        try:
            async with self._database.write() as tx:
                await tx.webhooks.record(delivery, result, pause=pause)
        except NotFound:
            return None  # erased meanwhile
        if pause is None:
            return None
        return DeliveryJob(delivery=delivery, tried=outgoing.tried + 1, pause=pause)

    async def _sent(self, outgoing: Outgoing) -> AttemptResult:
        owner = outgoing.delivery.user_id
        try:
            secrets = tuple(self._unseal(secret, owner) for secret in outgoing.secrets)
        except Failure as failure:
            return AttemptResult(delivered=False, code=failure.code)
        return await self._sender.send(outgoing.model_copy(update={"secrets": secrets}))

    async def _dismiss(self, delivery: Delivery) -> None:
        async with self._database.write() as tx:
            await tx.webhooks.dismiss(delivery)


class OverdueWebhooks:
    """Messages whose job, or whose delivery, was lost between their row and their next attempt."""

    def __init__(self, database: Database, starter: JobStarter) -> None:
        self._database = database
        self._starter = starter

    async def send(self) -> int:
        """Start a delivery for each that has none; returns how many were started."""
        async with self._database.read() as tx:
            overdue = await tx.webhooks.overdue(seconds=OVERDUE_SECONDS, limit=MOST_OVERDUE)
        started = 0
        for delivery, tried in overdue:
            job = DeliveryJob(delivery=delivery, tried=tried)
            started += await self._starter.start(
                ids.WEBHOOK_DELIVERY,
                ids.webhook_job(delivery.id),
                delivery.user_id,
                job.model_dump(mode="json"),
            )
            activity.heartbeat(started)
        return started
