"""Looks at the database while somebody watches, and never otherwise."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from contracts.errors import Unavailable

TICK_SECONDS: Final = 0.25
AWAY_SECONDS: Final = 2.0
"""Pause while the database is away; streams stay open and go on afterwards."""

log = structlog.get_logger()


class Poller:
    """One look after the other for all watchers of a process.

    Args:
        look: asks the database and serves the watchers.
        watchers: how many there are.
        tick: seconds between two looks.
        away: seconds until the next look at a database that does not answer.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        watchers: Callable[[], int],
        *,
        tick: float,
        away: float,
    ) -> None:
        self._look = look
        self._watchers = watchers
        self._tick = tick
        self._away = away
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._poll(), name="poller")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Look at once: a new watcher does not wait for the next tick; the others with it."""
        self._wanted.set()

    async def _poll(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            pause = self._tick
            try:
                await self._look()
            except Unavailable:
                log.warning("events.unavailable", watchers=self._watchers())
                pause = self._away
            if self._watchers():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), pause)
                self._wanted.set()
