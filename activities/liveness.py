"""Signs of life of a long activity, and the end of one whose job has ended.

Temporal tells an activity that it is cancelled only in answer to a heartbeat that reaches the
server, and each of those is paid for. So heartbeats are rare, and the job's own row, which the
workflow writes when it ends, is looked at every few seconds instead: cancellation takes effect
within that time and costs nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio import activity

from activities.ports import Database
from contracts.errors import Unavailable

LOOK_SECONDS = 2.0


@asynccontextmanager
async def alive(
    database: Database, job_id: str, user_id: str, details: Callable[[], Any] = lambda: None
) -> AsyncIterator[None]:
    """Heartbeat the given details while the block runs, and cancel the block when its job ends.

    Args:
        details: called for each heartbeat: small numbers that say how far the work has come.

    Raises:
        asyncio.CancelledError: out of the block, when the job has reached a final state.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("alive() needs a running task")
    watcher = asyncio.create_task(_watch(database, job_id, user_id, details, task))
    try:
        yield
    finally:
        watcher.cancel()


async def _watch(
    database: Database,
    job_id: str,
    user_id: str,
    details: Callable[[], Any],
    task: "asyncio.Task[Any]",
) -> None:
    timeout = activity.info().heartbeat_timeout
    pause = min(LOOK_SECONDS, timeout.total_seconds() / 3) if timeout else LOOK_SECONDS
    while True:
        await asyncio.sleep(pause)
        activity.heartbeat(details())
        if await _ended(database, job_id, user_id):
            task.cancel("the job has ended")
            return


async def _ended(database: Database, job_id: str, user_id: str) -> bool:
    try:
        async with database.read() as tx:
            state = await tx.jobs.state(job_id, user_id)
    except Unavailable:
        # The work goes on: whoever records its result asks the database again, with retries.
        activity.logger.warning("liveness.database_away")
        return False
    return state is None or state.final
