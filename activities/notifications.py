"""Mail on its way out: taken up, sent, written down, each external id once.

A mail is taken up in the database before it is sent. Whoever dies in between leaves it taken up;
after a while another finds it so. Where the way out knows external ids it is sent again. Where it
does not (SMTP) the mail may have gone out: it is not sent twice, and stands as ``uncertain``.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from activities.notification_ports import Notifier
from activities.ports import Database
from contracts.notifications import Mail, NotificationState, Posted, TakenUp, pause_after

CLAIM_SECONDS: Final = 300.0
"""Longer than any way out takes for one mail."""

AT_ONCE: Final = 8
PAGE: Final = 24
ROUND_SECONDS: Final = 60.0
"""A round begins no further page after so long; the next one goes on."""

KEPT_SECONDS: Final = 30 * 86400.0
"""So long what was sent is kept; an external id could be told again after that."""

LOST: Final = Posted(state=NotificationState.UNCERTAIN, code="answer_lost")

log = structlog.get_logger()


class Postman:
    """Sends what is due.

    Args:
        alive: is called while there is work, so that whoever waits sees it goes on.
    """

    def __init__(
        self, database: Database, notifier: Notifier, alive: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._notifier = notifier
        self._alive = alive

    async def send_due(self) -> int:
        """Send what is due, page by page; returns how many mails came to an end."""
        ended = 0
        deadline = asyncio.get_running_loop().time() + ROUND_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            async with self._database.read() as tx:
                page = await tx.notifications.due(PAGE)
            turns = asyncio.Semaphore(AT_ONCE)
            results = await asyncio.gather(*(self._in_turn(turns, due) for due in page))
            ended += sum(posted is not None for posted in results)
            if len(page) < PAGE:
                break
        async with self._database.write() as tx:
            await tx.notifications.forget_ended(KEPT_SECONDS, PAGE)
        return ended

    async def send(self, mail: Mail) -> Posted | None:
        """Write one mail and send it at once; none when its external id has been told before."""
        async with self._database.write() as tx:
            if not await tx.notifications.add(mail):
                return None
        return await self._send(TakenUp(mail=mail))

    async def _in_turn(self, turns: asyncio.Semaphore, due: TakenUp) -> Posted | None:
        async with turns:
            self._alive()
            return await self._send(due)

    async def _send(self, due: TakenUp) -> Posted | None:
        """How the attempt ended; none when somebody else makes it."""
        async with self._database.write() as tx:
            taken = await tx.notifications.take_up(due, CLAIM_SECONDS)
        if taken is None:
            return None
        if due.lost and not self._notifier.deduplicates:
            return await self._end(taken, LOST)
        return await self._end(taken, await self._notifier.send(taken.mail))

    async def _end(self, taken: TakenUp, posted: Posted) -> Posted:
        pause = None
        if posted.state is NotificationState.PENDING:
            pause = pause_after(taken.attempts, posted.retry_after)
            if pause is None:
                posted = posted.model_copy(update={"state": NotificationState.FAILED})
        async with self._database.write() as tx:
            await tx.notifications.end(taken, posted, pause)
        if posted.state in {NotificationState.FAILED, NotificationState.UNCERTAIN}:
            name, kind = taken.mail.external_id, taken.mail.kind
            log.warning("mail.not_sent", external_id=name, kind=kind, code=posted.code)
        return posted
