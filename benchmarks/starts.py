"""What the HTTP front adds to a start: token, validation, idempotency and row.

No worker runs: what is started waits on its queue, on both sides alike.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from temporalio.client import Client

from benchmarks.app import App
from benchmarks.bare import QUEUE, BareWorkflow
from benchmarks.measure import (
    Row,
    Samples,
    by_turns,
    difference_row,
    milliseconds,
    p50,
    per_second,
    ratio_row,
)
from benchmarks.stack import Stack, bare_client, stack

STARTS: Final = 100
TOGETHER: Final = 16
BURST: Final = 320

Start = Callable[[], Awaitable[Any]]


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        made.run("migrate")
        made.start_temporal()
        made.start_api()
        return asyncio.run(_rows(made, rounds))


async def _rows(made: Stack, rounds: int) -> list[Row]:
    client = await bare_client(made.temporal)
    app = await App.open(made)
    await one_by_one(bare_starts(client), 20)
    await one_by_one(await posts(app), 20)
    alone = await by_turns(
        rounds,
        lambda: one_by_one(bare_starts(client), STARTS),
        lambda: one_by_one_posted(app),
    )
    bursts = await by_turns(
        rounds,
        lambda: together([bare_starts(client)] * TOGETHER),
        lambda: together_posted(app),
    )
    return [
        difference_row("start by HTTP, p50", alone, p50, milliseconds, most=0.003),
        ratio_row(f"starts by HTTP, {TOGETHER} at once", bursts, p50, per_second, least=0.6),
    ]


def bare_starts(client: Client) -> Start:
    """Start a workflow of no-ops."""

    async def start() -> None:
        await client.start_workflow(BareWorkflow.run, 1, id=str(uuid.uuid4()), task_queue=QUEUE)

    return start


async def posts(app: App) -> Start:
    """Start a memo over a recording that is in storage."""
    await app.reconnect()
    recorded = iter([app.record() for _ in range(max(STARTS, BURST // TOGETHER))])

    async def start() -> None:
        await app.post(next(recorded))

    return start


async def one_by_one(start: Start, count: int) -> Samples:
    """Seconds of each of so many starts."""
    samples = []
    for _ in range(count):
        begun = time.perf_counter()
        await start()
        samples.append(time.perf_counter() - begun)
    return samples


async def one_by_one_posted(app: App) -> Samples:
    """Seconds of each of so many posts."""
    return await one_by_one(await posts(app), STARTS)


async def together(starters: list[Start]) -> Samples:
    """The rate at which starters, each one after another, get through a burst."""
    begun = time.perf_counter()
    await asyncio.gather(*(one_by_one(start, BURST // TOGETHER) for start in starters))
    return [BURST / (time.perf_counter() - begun)]


async def together_posted(app: App) -> Samples:
    """The same over as many connections."""
    return await together([await posts(await app.another()) for _ in range(TOGETHER)])
