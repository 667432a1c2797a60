"""A process that dies between any two of its effects: the statements, commits and starts it makes.

An effect is counted before it is made, so place 1 is death before the first one, and place n is
death after the effect n - 1 has happened and before the next. A statement that was not committed is
gone with its connection, as it is with a killed process.

In a test's own process death is an exception that no ``except Exception`` sees, and every later
effect of the dead one fails too, so that nothing in it can tidy up; in a process of its own it is
SIGKILL (``dying_api.py``, ``dying_worker.py``).
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import CursorResult, Engine, Executable

from store.database import Database, Door
from store.session import Opened
from tests.fakes.ports import RecordingStarter


class Killed(BaseException):
    """Nothing after it runs, as after SIGKILL."""


def raise_killed() -> NoReturn:
    """Death inside a test's own process."""
    raise Killed


class Fate:
    """Counts the effects of one operation, and ends it before one of them.

    Args:
        place: before which effect death comes; none: never, the effects are only counted.
        die: ends the process.

    Attributes:
        count: effects that were begun.
        dead: death has come.
    """

    def __init__(self, place: int | None, die: Callable[[], NoReturn] = raise_killed) -> None:
        self._place = place
        self._die = die
        self.count = 0
        self.dead = False

    def effect(self) -> None:
        """The operation is about to change or ask something outside of itself."""
        if not self.dead:
            self.count += 1
            self.dead = self.count == self._place
        if self.dead:
            self._die()


_fate: ContextVar[Fate | None] = ContextVar("fate", default=None)


@contextmanager
def doomed(fate: Fate) -> Iterator[Fate]:
    """What is done in this block, and in tasks begun in it, has this fate."""
    token = _fate.set(fate)
    try:
        yield fate
    finally:
        _fate.reset(token)


def effect() -> None:
    """Count an effect of whoever is doomed; of others nothing is counted."""
    fate = _fate.get()
    if fate is not None:
        fate.effect()


def killing(mark: Path) -> Callable[[], NoReturn]:
    """Death of a real process, once in the life of a data folder."""

    def die() -> NoReturn:
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL was survived")

    return die


def make_mortal(database: Database) -> None:
    """Let every statement and commit of a database be an effect."""
    database._writing = _Door(database._writing)
    database._reading = _Door(database._reading)


class _Door:
    def __init__(self, door: Door) -> None:
        self._door = door

    @property
    def engine(self) -> Engine:
        return self._door.engine

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Opened]:
        async with self._door.connected() as opened:
            yield _Opened(opened)

    async def close(self) -> None:
        await self._door.close()


class _Opened:
    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.dialect = opened.dialect

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        effect()
        return await self._opened.execute(statement, values)

    async def commit(self) -> None:
        effect()
        await self._opened.commit()


class MortalStarter(RecordingStarter):
    """Starts and cancels as effects; what was started stays so when its starter dies."""

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        effect()
        return await super().start(kind, job_id, user_id, request)

    async def cancel(self, job_id: str) -> bool:
        effect()
        return await super().cancel(job_id)
