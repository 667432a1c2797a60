"""What durability costs: a memo from its POST to `completed`, beside a workflow of no-ops."""

import asyncio
import time
import uuid
from typing import Final

from benchmarks.app import App
from benchmarks.bare import QUEUE, BareWorkflow
from benchmarks.instant_worker import AFTER_A_SECOND, AT_ONCE
from benchmarks.measure import Round, Row, Samples, by_turns, milliseconds, p50, p99, ratio_row
from benchmarks.stack import Stack, bare_client, stack

JOBS: Final = 60
SLOW_JOBS: Final = 8
WARM_UP: Final = 20
VENDOR_SECONDS: Final = 1.0


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        made.run("migrate")
        made.start_temporal()
        made.start_api()
        made.start_module("bare_worker")
        made.start_module("instant_worker")
        return asyncio.run(_rows(made, rounds))


async def _rows(made: Stack, rounds: int) -> list[Row]:
    client = await bare_client(made.temporal)
    app = await App.open(made)

    async def bare(count: int = JOBS) -> Samples:
        samples = []
        for _ in range(count):
            begun = time.perf_counter()
            await client.execute_workflow(
                BareWorkflow.run, 1, id=str(uuid.uuid4()), task_queue=QUEUE
            )
            samples.append(time.perf_counter() - begun)
        return samples

    async def memos(count: int = JOBS, language: str = AT_ONCE) -> Samples:
        await app.reconnect()
        samples = []
        for _ in range(count):
            request = {**app.record(), "recordingLanguages": [language]}
            begun = time.perf_counter()
            await app.completed(await app.post(request))
            samples.append(time.perf_counter() - begun)
        return samples

    await bare(WARM_UP)
    await memos(WARM_UP)
    instant = await by_turns(rounds, bare, memos)
    slow = [Round([VENDOR_SECONDS], await memos(SLOW_JOBS, AFTER_A_SECOND)) for _ in range(rounds)]
    what = "memo, POST to completed, instant vendors"
    return [
        ratio_row(f"{what}, p50", instant, p50, milliseconds, most=1.5),
        ratio_row(f"{what}, p99", instant, p99, milliseconds, most=2),
        ratio_row("memo, vendor takes 1 s", slow, p50, milliseconds, most=1.064),
    ]
