"""Looks at the database while somebody watches, and never otherwise."""

import asyncio
from abc import abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Final

import structlog

from api.background import Background
from contracts.errors import Unavailable

TICK_SECONDS: Final = 0.25
AWAY_SECONDS: Final = 2.0
"""Pause while the database is away; streams stay open and go on afterwards."""

log = structlog.get_logger()


class Poller(Background):
    """One look after the other for all watchers of a process; they are dismissed at its end.

    Args:
        tick: seconds between two looks.
        away: seconds until the next look at a database that does not answer.
    """

    def __init__(self, *, tick: float, away: float) -> None:
        super().__init__("poller")
        self._tick = tick
        self._away = away
        self._wanted = asyncio.Event()

    @abstractmethod
    async def _look(self) -> None:
        """Ask the database and serve the watchers."""

    @abstractmethod
    def _watched(self) -> int:
        """How many watch."""

    @abstractmethod
    def _dismiss(self) -> None:
        """End every stream."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end every stream."""
        self._dismiss()
        await super().__aexit__(kind, error, trace)

    def wake(self) -> None:
        """Look at once: a new watcher does not wait for the next tick; the others with it."""
        self._wanted.set()

    async def _work(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            pause = self._tick
            try:
                await self._look()
            except Unavailable:
                log.warning("events.unavailable", watchers=self._watched())
                pause = self._away
            if self._watched():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), pause)
                self._wanted.set()
