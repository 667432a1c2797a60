"""Breaks the connection to a database before its n-th statement or commit."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from store.database import Database


@contextmanager
def cut(database: Database, number: int | None) -> Iterator[None]:
    """While the block runs: whoever comes with that step finds no connection (none: nobody does).

    Args:
        number: of the statements and commits of all transactions together, 0 for the first.
    """
    left = number

    def on_step(connection: Connection, *_: Any) -> None:
        nonlocal left
        if left is None:
            return
        left -= 1
        if left < 0:
            left = None
            _break(connection)

    engine = database.engines[0]
    for name in ("before_cursor_execute", "commit"):
        event.listen(engine, name, on_step)
    try:
        yield
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(engine, name, on_step)


def _break(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # The socket is closed under it; the server rolls back.
        raw: Any = connection.connection.driver_connection
        raw.terminate()
        return
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error
