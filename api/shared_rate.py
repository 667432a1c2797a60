"""The rate of a principal over all API processes, and what holds while their database is away."""

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from api.rate_limit import RateLimiter
from contracts.errors import Unavailable
from contracts.rates import Allowance

AWAY_SECONDS: Final = 5.0
"""How long nobody is asked after the database did not answer in time."""

log = structlog.get_logger()


class Rates(Protocol):
    """Counts the requests of all processes."""

    async def take(self, principal: str, limit: int) -> Allowance:
        """Count one request, unless it is refused. Raises Unavailable."""


class SharedLimiter:
    """Counts in the process and in the database; the stricter of the two is right.

    What this process alone has let in is never more than what all of them have: once its own window
    is full, a flood costs the database nothing. While the database cannot be asked in time, each
    process's own window is what is left, and it knows what it let in before.

    Args:
        per_minute: requests in any 60 s, of all processes.
        rates: what they share.
        clock: seconds that never go back.
    """

    def __init__(
        self, per_minute: int, rates: Rates, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = per_minute
        self._rates = rates
        self._clock = clock
        self._own = RateLimiter(per_minute, clock)
        self._ask_again_at = clock()

    async def admit(self, principal: str) -> Allowance:
        """Count one request; a refused one is not counted."""
        own = self._own.take(principal)
        if not own.granted or self._clock() < self._ask_again_at:
            return own
        try:
            shared = await self._rates.take(principal, self._limit)
        except Unavailable:
            if self._clock() >= self._ask_again_at:
                log.warning("rates.not_shared", seconds=AWAY_SECONDS)
            self._ask_again_at = self._clock() + AWAY_SECONDS
            return own
        if not shared.granted:
            self._own.give_back(principal)
        return shared
