"""The real worker, which kills itself once at a chosen point of a chosen activity.

    python -m tests.faults.dying_worker ACTIVITY before|inside|recording|after|NUMBER

``before``: the activity was given out and has done nothing. ``inside``: its first transaction is
written and not committed. ``recording``: its second one, so what a vendor answered is lost.
``after``: its effect is there and Temporal does not know. A number: before that statement or commit
of it (``mortality.py``). A file in the data folder remembers that it died, so the next process at
the same point lives.
"""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

from temporalio import activity

import worker
from runtime import logs
from runtime.settings import Settings, load
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from store.database import Database, Transaction
from tests.faults.mortality import Fate, doomed, killing, make_mortal

INSIDE = {"inside": 1, "recording": 2}
"""In which transaction of the activity death comes."""

armed: ContextVar[list[int]] = ContextVar("armed")
"""Transactions of this activity until death, in its only entry; none: it does not come there."""


class Death:
    """Dies once in the life of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._mark = folder / "died"

    @property
    def came(self) -> bool:
        return self._mark.exists()

    @property
    def strikes(self) -> Callable[[], NoReturn]:
        """For who counts effects."""
        return killing(self._mark)

    def comes(self) -> None:
        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class DyingDatabase(Database):
    """Dies between the last statement of a transaction and its commit, when its turn has come."""

    def __init__(self, settings: Settings, death: Death) -> None:
        super().__init__(settings.database_url, starting_credits=150)
        self._death = death
        make_mortal(self)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        async with super().write() as tx:
            yield tx
            if left := armed.get([]):
                left[0] -= 1
                if not left[0]:
                    self._death.comes()


def dying(method: Callable[..., Any], when: str, death: Death) -> Callable[..., Any]:
    """The same activity, with death before, inside or after it.

    DEATH_AT in the environment says in which of its runs by this process; else in the first.
    """
    lives = int(os.environ.get("DEATH_AT", "1"))

    async def run(*orders: Any) -> Any:
        nonlocal lives
        lives -= 1
        if lives > 0:
            armed.set([])
            return await method(*orders)
        if when.isdecimal() and not death.came:
            with doomed(Fate(int(when), death.strikes)):
                return await method(*orders)
        if when == "before":
            death.comes()
        armed.set([INSIDE[when]] if when in INSIDE else [])
        answer = await method(*orders)
        if when == "after":
            death.comes()
        return answer

    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())
    run.__annotations__ = hints
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what temporalio reads
        parameters, return_annotation=hints["return"]
    )
    return activity.defn(name=name_of(method))(run)


def name_of(method: Callable[..., Any]) -> str:
    """What Temporal calls an activity."""
    name = activity._Definition.must_from_callable(method).name
    assert name is not None
    return name


async def main(name: str, when: str) -> None:
    settings = load(None)
    logs.configure(settings.logs)
    death = Death(settings.data_dir)
    client = await connect(settings.temporal)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncExitStack() as stack:
        database = DyingDatabase(settings, death)
        stack.push_async_callback(database.close)
        living = await worker.assemble(settings, database, TemporalJobs(client), stack)
        activities = [dying(one, when, death) if name_of(one) == name else one for one in living]
        await worker.serve(settings, client, activities, stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
