"""One transaction's connection: how every noun speaks to the database.

Each statement is one round trip at most. What goes wrong between us and the database becomes one of
our failures here, and nowhere else (see ``failures.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import CursorResult, Executable, Row

from store.failures import as_ours


class Opened(Protocol):
    """One transaction's connection to a database."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run a statement; whoever is cancelled meanwhile waits for its end."""

    async def commit(self) -> None:
        """Commit the transaction; likewise."""


class Session:
    """Runs statements inside one transaction.

    Args:
        writes: whether the transaction may write.
        clock: gives the time, with its zone.
        starting_credits: balance of a user seen for the first time.
    """

    def __init__(
        self,
        connection: Opened,
        *,
        writes: bool,
        clock: Callable[[], datetime],
        starting_credits: int,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self.writes = writes
        self.starting_credits = starting_credits
        self.dialect = connection.dialect

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
        with as_ours():
            return await self._connection.execute(statement, values)
