"""What goes wrong between us and a database, in our own words, in one place.

==============================================  =================================================
the database is away, full, locked, too slow    ``Unavailable`` with ``retry_after``
a value it cannot keep (text, a number)         ``InvalidInput``
a failure of ours raised while values are bound that failure
anything else (a broken constraint, bad SQL)    left as it is: a mistake of this program
==============================================  =================================================

The message of a driver holds addresses and values; ours do not.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from contracts.errors import Failure, InvalidInput, Unavailable

RETRY_AFTER_SECONDS: Final = 1.0

_SQLITE_AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)

_THEIRS: Final = (
    exc.SQLAlchemyError,
    sqlite3.Error,
    OSError,
    UnicodeEncodeError,
    OverflowError,
)
# Classes and codes of https://www.postgresql.org/docs/15/errcodes-appendix.html
_POSTGRES_AWAY: Final = ("08", "28", "40", "53", "57", "58", "XX", "25P03", "25006", "55P03")
_POSTGRES_BAD_VALUE: Final = "22"


@contextmanager
def as_ours() -> Iterator[None]:
    """Turn what a driver raises into our failures."""
    try:
        yield
    except (
        exc.SQLAlchemyError,
        sqlite3.Error,
        OSError,
        UnicodeEncodeError,
        OverflowError,
    ) as error:
        ours = failure_of(error)
        if ours is None:
            raise
        raise ours from error


def failure_of(error: BaseException) -> Failure | None:
    """The failure this error means, or none when it is a mistake of this program."""
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return _bad_value()
    # A transaction whose connection broke under it says so to each further statement.
    if isinstance(error, OSError | exc.TimeoutError | exc.PendingRollbackError):
        return _away()
    if isinstance(error, exc.DBAPIError):
        return _of_driver(error)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if isinstance(error, exc.StatementError) and isinstance(error.orig, Failure):
        return error.orig
    return None


def _of_driver(error: exc.DBAPIError) -> Failure | None:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(original)
    state = str(getattr(original, "sqlstate", None) or "")
    # What asyncpg cannot encode never reaches the server, and has no code of its.
    if state.startswith(_POSTGRES_BAD_VALUE) or (
        not state and isinstance(getattr(original, "__cause__", None), ValueError)
    ):
        return _bad_value()
    if state.startswith(_POSTGRES_AWAY) or error.connection_invalidated:
        return _away()
    # A connection that broke has no code of the server's; neither has a driver's own complaint.
    if not state and isinstance(error, exc.InterfaceError | exc.OperationalError):
        return _away()
    return None


def _of_sqlite(error: sqlite3.Error) -> Failure | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None or code & 0xFF not in _SQLITE_AWAY else _away()


def _bad_value() -> InvalidInput:
    return InvalidInput("A value cannot be stored: not valid text, or too large", code="bad_value")


def _away() -> Unavailable:
    return Unavailable("The database does not answer now", retry_after=RETRY_AFTER_SECONDS)
