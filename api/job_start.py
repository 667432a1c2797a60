"""Starts the job of a request: rows first, in one transaction, then the workflow.

A process that dies between the two leaves a queued job; the client's retry starts it, or
``reconcile`` does. When Temporal is away the rows are taken back, so an answer of 503 means that
nothing was begun and nothing will be.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from api import idempotency
from api.dependencies import Services
from api.funds import asking, free_credits, kept_elsewhere
from api.idempotency import BUSY_SECONDS, Key
from api.job_bounds import check_bounds
from contracts.errors import InsufficientCredits, Unavailable
from contracts.jobs import StaleJob

if TYPE_CHECKING:
    from store.database import Transaction

ENDING_TRIES: Final = 20
ENDING_PAUSE: Final = 0.1
"""A failed job's workflow may take moments to close after its last word; a retry waits for it."""


class Entered(NamedTuple):
    """What the rows say is to be done.

    Attributes:
        answer: what the client is told; it names the job as ``jobId``.
        job: to be started; none when that is known to have happened.
        fresh: its rows were written just now, so they can be taken back.
        repeated: nothing was written: the key came before, and this is the answer of that time.
    """

    answer: Mapping[str, Any]
    job: StaleJob | None
    fresh: bool = False
    repeated: bool = False


Enter = Callable[["Transaction"], Awaitable[Entered]]
"""Checks a request and writes its rows, or finds them."""


class OutcomeUnknown(Unavailable):
    """The database went away while it was told to commit: the rows may be there or not."""


class JobStart:
    """Accepts work and starts its jobs.

    Args:
        status: HTTP status of what is accepted, kept beside the answer.
        bounded: whether the user's bounds apply; not to what a service reports.
    """

    def __init__(self, services: Services, status: int, *, bounded: bool = True) -> None:
        self._services = services
        self._database = services.database
        self._status = status
        self._bounded = bounded

    async def start(self, user_id: str, key: Key | None, enter: Enter) -> Entered:
        """Enter the rows: their job exists, and runs, once this returns.

        Raises:
            Conflict: ``key_in_use``.
            KeyReused: the key came before with another request.
            OutcomeUnknown: the database went away in the very moment of the commit.
            TooManyRequests: ``too_many_jobs`` or ``daily_budget_reached``.
            Unavailable: Temporal, the database or the credits service is away; nothing was begun.

        And whatever ``enter`` raises.
        """
        entered = await asking(
            self._services.elsewhere, lambda: self._enter_rows(user_id, key, enter)
        )
        if entered.job is not None:
            await self._launch(entered, entered.job, key)
        return entered

    async def _enter_rows(self, user_id: str, key: Key | None, enter: Enter) -> Entered:
        entered = None
        try:
            async with self._database.write() as tx:
                entered = await self._enter(tx, user_id, key, enter)
        except Unavailable as failure:
            if entered is None:
                raise
            raise OutcomeUnknown(failure.message, retry_after=failure.retry_after) from failure
        return entered

    async def _enter(
        self, tx: "Transaction", user_id: str, key: Key | None, enter: Enter
    ) -> Entered:
        if key is None:
            return await self._bound(tx, await enter(tx))
        kept = await tx.idempotency.find(user_id, key.text, busy_seconds=BUSY_SECONDS)
        if kept is not None:
            idempotency.check(key, kept)
            # Its process may have died before the workflow was started.
            job = None
            if not kept.finished:
                job = await tx.jobs.described(kept.answer["jobId"], user_id)
            return Entered(kept.answer, job, repeated=True)
        entered = await self._bound(tx, await enter(tx))
        await tx.idempotency.keep(
            user_id, key.text, key.fingerprint, answer=entered.answer, busy_seconds=BUSY_SECONDS
        )
        return entered

    async def _bound(self, tx: "Transaction", entered: Entered) -> Entered:
        if self._bounded and entered.job is not None:
            await check_bounds(tx, self._services.settings.budgets, entered.job)
        return entered

    async def _launch(self, entered: Entered, job: StaleJob, key: Key | None) -> None:
        try:
            await self._start_workflow(job)
        except Unavailable:
            if not entered.fresh or await self._take_back(job, key):
                raise
            # It runs all the same: only the answer to our call was lost.
        self._services.measures.jobs_started.labels(job.kind).inc()
        if key is not None:
            async with self._database.write() as tx:
                await tx.idempotency.finish(job.user_id, key.text, self._status)

    async def _start_workflow(self, job: StaleJob) -> None:
        """Start it; after a failed round, that round's workflow may be about to close."""
        tries = 1 if job.request.get("round", 1) == 1 else ENDING_TRIES
        while not await self._services.jobs.start(job.kind, job.id, job.user_id, job.request):
            tries -= 1
            if not tries:
                return
            await asyncio.sleep(ENDING_PAUSE)

    async def _take_back(self, job: StaleJob, key: Key | None) -> bool:
        async with self._database.write() as tx:
            gone = await tx.jobs.withdraw(job.id, job.user_id)
            if gone:
                await tx.webhooks.forget(job.id, job.user_id)
            if gone and key is not None:
                await tx.idempotency.forget(job.user_id, key.text)
        return gone


async def check_credits(
    tx: "Transaction", user_id: str, price: int, *, space_id: str | None = None
) -> None:
    """Whether so many are free now; what is really held is decided by the job.

    Args:
        space_id: of the space that may pay in the user's place.

    Raises:
        InsufficientCredits: fewer are; told of the user's own account.
    """
    spaces_pay = space_id is not None and not kept_elsewhere()
    if spaces_pay and await tx.credits.space_would_pay(str(space_id), user_id, price):
        return
    free = await free_credits(tx, user_id)
    if free < price:
        raise InsufficientCredits(price, free)
