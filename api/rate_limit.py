"""How many requests a principal may make in a minute.

A moving window in the process's memory: in any 60 s at most so many, which a fixed window does not
promise around its border. Measured against the `limits` package: that one costs 70 ms of import,
starts a thread per request to forget old entries and goes by the wall clock, which may jump.
Processes that share a Postgres share the count too, see ``shared_rate.py``.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from contracts.rates import WINDOW_SECONDS, Allowance

SWEEP_EVERY: Final = 1000
"""Requests after which principals that have been quiet for a whole window are forgotten."""


class Limiter(Protocol):
    """Says whether a principal may go on."""

    async def admit(self, principal: str) -> Allowance:
        """Count one request; a refused one is not counted."""


class RateLimiter:
    """Counts the requests of each principal.

    Args:
        per_minute: requests in any 60 s.
        clock: seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = per_minute
        self._clock = clock
        self._seen: dict[str, deque[float]] = {}
        self._until_sweep = SWEEP_EVERY

    async def admit(self, principal: str) -> Allowance:
        """Count one request; nothing is waited for."""
        return self.take(principal)

    def take(self, principal: str) -> Allowance:
        """Count one request; a refused one is not counted, so a client that waits gets through."""
        now = self._clock()
        self._sweep(now)
        times = self._seen.setdefault(principal, deque())
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        granted = len(times) < self._limit
        if granted:
            times.append(now)
        reset = times[0] + WINDOW_SECONDS - now if times else 0.0
        return Allowance(granted, self._limit, self._limit - len(times), reset)

    def give_back(self, principal: str) -> None:
        """Take back the latest request that was granted: somebody else refused it."""
        times = self._seen.get(principal)
        if times:
            times.pop()

    @property
    def principals(self) -> int:
        """How many principals are remembered."""
        return len(self._seen)

    def _sweep(self, now: float) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = SWEEP_EVERY
        quiet = [
            who
            for who, times in self._seen.items()
            if not times or times[-1] <= now - WINDOW_SECONDS
        ]
        for who in quiet:
            del self._seen[who]
