"""Workers that serve until they are told to stop, and what is done about one that does not end.

The core of the SDK (temporalio 1.35) can lose an activity's completion when its worker is shut down
while the activity's last heartbeat is on its way (temporalio/sdk-rust#1537), and then waits for it
for ever. So stopping has a bound: what was at work then is given out again by the server, as after
a crash.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

STOP_MARGIN_SECONDS: Final = 2.0
"""For reporting what has ended, after activities were cancelled."""

log = structlog.get_logger()


class Serving(Protocol):
    """A ``temporalio.worker.Worker``."""

    async def run(self) -> None:
        """Serve until it is shut down; raises what makes it unable to."""

    async def shutdown(self) -> None:
        """Have it end; returns when it has."""


async def serve_until(
    stop: asyncio.Event, workers: Mapping[str, Serving], *, stop_seconds: float
) -> None:
    """Serve until ``stop`` is set or a worker fails; then end them all at once.

    Args:
        workers: by the name of their queue.
        stop_seconds: how long they may take to end.

    Raises:
        Exception: what a worker failed with.
    """
    runs = {asyncio.create_task(each.run(), name=queue): each for queue, each in workers.items()}
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((stopping, *runs), return_when=asyncio.FIRST_COMPLETED)
        log.info("worker.stopping")
    finally:
        stopping.cancel()
        late = await _ended(runs, stop_seconds)
    if late:
        log.warning("worker.not_stopped", queues=late)
    for run in runs:
        if not run.cancelled():
            run.result()


async def _ended(runs: Mapping[asyncio.Task[None], Serving], seconds: float) -> list[str]:
    """End them; the names of those that had to be left."""
    orders = [asyncio.create_task(each.shutdown()) for run, each in runs.items() if not run.done()]
    _, late = await asyncio.wait(runs, timeout=seconds)
    for task in (*orders, *late):
        task.cancel()
    # A worker that is cancelled while its core ends takes that for its end.
    await asyncio.gather(*orders, *late, return_exceptions=True)
    return sorted(task.get_name() for task in late)
