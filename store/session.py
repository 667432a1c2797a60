"""One transaction's connection: how every noun speaks to the database.

Each statement is one round trip at most. What goes wrong between us and the database becomes one of
our failures here, and nowhere else (see ``failures.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import CursorResult, Executable, Row
from sqlalchemy.ext.asyncio import AsyncConnection

from store.failures import as_ours
from store.uninterrupted import uninterrupted


class Session:
    """Runs statements inside one transaction.

    Args:
        writes: whether the transaction may write.
        clock: gives the time, with its zone.
        starting_credits: balance of a user seen for the first time.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        writes: bool,
        clock: Callable[[], datetime],
        starting_credits: int,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self.writes = writes
        self.starting_credits = starting_credits
        self.dialect = connection.dialect.name
        self._in_place = False

    @cached_property
    def now(self) -> datetime:
        """The transaction's time: one for all it writes."""
        return self._clock()

    def before(self, seconds: float) -> datetime:
        """The time so many seconds ago."""
        return self.now - timedelta(seconds=seconds)

    async def rows(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Every row of the answer."""
        return (await self._execute(statement, values)).fetchall()

    async def row(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Row[Any] | None:
        """The first row of the answer, or none."""
        return (await self._execute(statement, values)).first()

    async def value(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or none."""
        row = await self.row(statement, values)
        return None if row is None else row[0]

    async def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> int:
        """Number of rows that were written."""
        return (await self._execute(statement, values)).rowcount

    async def _execute(
        self, statement: Executable, values: Mapping[str, Any] | None
    ) -> CursorResult[Any]:
        work = self._connection.execute(statement, values)
        with as_ours():
            if self._in_place:
                return await work
            answer = await uninterrupted(work)
        # The first statement opens the transaction, which may wait; on SQLite the others after it
        # never do, so that nothing can interrupt them.
        self._in_place = self.dialect == "sqlite"
        return answer
