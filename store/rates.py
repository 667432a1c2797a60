"""Requests of a principal, counted by all API processes on one Postgres.

A row per principal has the requests of the present slot of five seconds and of the twelve before
it. One statement moves the row's slots on, sums them up and counts the request or refuses it, under
that row's lock: in any 60 s there are never more than the limit, whatever number of processes
asks. What the slots are too coarse for is at the client's cost: it may wait five seconds longer.

The database's clock alone is asked, so that processes need not agree on the time. Connections are
of their own: a request is counted although all others wait for something, and quickly or not at
all.
"""

import asyncio
from typing import Any, Final

from sqlalchemy import Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.errors import Unavailable
from contracts.rates import Allowance
from store import postgres
from store.database import parse_url
from store.failures import as_ours
from store.rate_tables import SLOT_SECONDS, SLOTS

CONNECTIONS: Final = 3
STATEMENT_SECONDS: Final = 1.0
SWEEP_EVERY: Final = 1000
SWEEP_AT_ONCE: Final = 1000

_SECONDS: Final = "extract(epoch FROM clock_timestamp())"
_TAKE: Final = text(
    f"""
INSERT INTO request_rates AS kept (principal, slot, counts, granted, day)
VALUES (
    :principal,
    floor({_SECONDS} / {SLOT_SECONDS}),
    array_fill(0, ARRAY[{SLOTS - 1}]) || 1,
    true,
    floor({_SECONDS} / 86400)
)
ON CONFLICT (principal) DO UPDATE SET (slot, counts, granted, day) = (
    SELECT
        greatest(kept.slot, excluded.slot),
        CASE WHEN room THEN moved[1:{SLOTS - 1}] || (moved[{SLOTS}] + 1) ELSE moved END,
        room,
        excluded.day
    FROM (
        SELECT moved, (SELECT sum(number) FROM unnest(moved) AS number) < :most AS room
        FROM (
            SELECT (kept.counts || array_fill(0, ARRAY[{SLOTS}]))[passed + 1:passed + {SLOTS}]
            FROM (
                SELECT least(greatest(excluded.slot - kept.slot, 0), {SLOTS})::integer
            ) AS slots (passed)
        ) AS row_now (moved)
    ) AS judged
)
RETURNING granted, slot, counts, {_SECONDS}
"""  # noqa: S608 - numbers of this module only
).bindparams(bindparam("most", type_=Integer))
_FORGET: Final = text(
    f"""
DELETE FROM request_rates WHERE principal IN (
    SELECT principal FROM request_rates
    WHERE day < floor({_SECONDS} / 86400)::integer - 1 ORDER BY day LIMIT {SWEEP_AT_ONCE}
)
"""  # noqa: S608 - numbers of this module only
)


class SharedRates:
    """Counts requests in Postgres.

    Args:
        url: of the database.
        wait_seconds: how long one request may wait to be counted.
    """

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        made = postgres.engine(
            parse_url(url),
            size=CONNECTIONS,
            statement_seconds=max(STATEMENT_SECONDS, wait_seconds),
            pre_ping=False,
        )
        # One statement is one transaction, and one round trip.
        self._engine: AsyncEngine = made.execution_options(isolation_level="AUTOCOMMIT")
        self._wait_seconds = wait_seconds
        self._under_way: set[asyncio.Task[Any]] = set()
        self._until_sweep = SWEEP_EVERY

    async def take(self, principal: str, limit: int) -> Allowance:
        """Count one request; a refused one is not counted.

        Raises:
            Unavailable: the database does not answer in time. It may count the request later.
        """
        statement, values = _TAKE, {"principal": principal, "most": limit}
        [row] = await self._soon(statement, values)
        self._sweep()
        granted, slot, counts, now = row
        return Allowance(
            granted, limit, max(limit - sum(counts), 0), _reset(slot, counts, float(now))
        )

    async def close(self) -> None:
        """Close every connection, when what is under way has ended."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._engine.dispose()

    async def _soon(self, statement: Any, values: dict[str, Any]) -> Any:
        """The rows; whoever cannot wait goes, and the statement comes to its own end."""
        work = self._begin(statement, values)
        done, _ = await asyncio.wait([work], timeout=self._wait_seconds)
        if not done:
            raise Unavailable("The database does not count requests now", retry_after=1)
        return work.result()

    def _begin(self, statement: Any, values: dict[str, Any]) -> "asyncio.Task[Any]":
        work = asyncio.create_task(self._run(statement, values))
        self._under_way.add(work)
        work.add_done_callback(self._ended)
        return work

    def _ended(self, work: "asyncio.Task[Any]") -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            # Whoever still waits hears what went wrong; it is nobody's surprise otherwise.
            work.exception()

    async def _run(self, statement: Any, values: dict[str, Any]) -> Any:
        with as_ours():
            async with self._engine.connect() as connection:
                result = await connection.execute(statement, values)
                return result.fetchall() if result.returns_rows else []

    def _sweep(self) -> None:
        """Now and then, beside the requests: principals that were quiet all day are forgotten."""
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._until_sweep = SWEEP_EVERY
            self._begin(_FORGET, {})


def _reset(slot: int, counts: list[int], now: float) -> float:
    """Seconds until the oldest requests that count no longer do.

    >>> _reset(100, [0] * 12 + [3], 502.0), _reset(100, [1] + [0] * 12, 502.0)
    (63.0, 3.0)
    """
    oldest = next((at for at, number in enumerate(counts) if number), None)
    if oldest is None:
        return 0.0
    return max((slot + 1 + oldest) * SLOT_SECONDS - now, 0.0)
