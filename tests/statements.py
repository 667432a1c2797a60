"""Counts what is asked of a database: for golden counts, and for looking at statements."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from store.database import Database


@dataclass
class Asked:
    """What a database was asked while the block ran.

    Attributes:
        statements: their text, in order; each was one round trip.
        commits: transactions that were committed.
        rollbacks: transactions that ended without: every one that only read.
    """

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    rollbacks: int = 0

    @property
    def transactions(self) -> int:
        """How many there were."""
        return self.commits + self.rollbacks


@contextmanager
def asked_of(database: Database) -> Iterator[Asked]:
    """Listen to a database of this process."""
    asked = Asked()

    def on_execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.statements.append(statement)

    def on_commit(_connection: Any) -> None:
        asked.commits += 1

    def on_rollback(_connection: Any) -> None:
        asked.rollbacks += 1

    with ExitStack() as stack:
        for engine in database.engines:
            for name, listener in (
                ("before_cursor_execute", on_execute),
                ("commit", on_commit),
                ("rollback", on_rollback),
            ):
                event.listen(engine, name, listener)
                stack.callback(event.remove, engine, name, listener)
        yield asked
