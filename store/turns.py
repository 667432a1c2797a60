"""Connections, given to whoever waits longest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from store.failures import as_ours


class Turns:
    """So many at once, and everybody in the order of their coming.

    Args:
        size: how many at once.
        wait_seconds: how long one waits at most.
    """

    def __init__(self, size: int, wait_seconds: float) -> None:
        self._free = asyncio.Semaphore(size)
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """One's turn.

        Raises:
            Unavailable: it did not come in time.
        """
        with as_ours():
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()
