"""Workers end when they are told to, or are left behind."""

import asyncio

import pytest
from structlog.testing import capture_logs

from runtime.serving import serve_until


class StandIn:
    """A worker.

    Args:
        ends: whether it ends when it is told to.
        fails: what it fails with, at once.
    """

    def __init__(self, *, ends: bool = True, fails: Exception | None = None) -> None:
        self._ends = ends
        self._fails = fails
        self._told = asyncio.Event()
        self._over = asyncio.Event()
        self.serves = asyncio.Event()

    async def run(self) -> None:
        self.serves.set()
        if self._fails is not None:
            raise self._fails
        try:
            await self._told.wait()
            if not self._ends:
                await asyncio.Event().wait()
        finally:
            self._over.set()

    async def shutdown(self) -> None:
        self._told.set()
        await self._over.wait()

    @property
    def over(self) -> bool:
        return self._over.is_set()


async def test_workers_serve_until_they_are_told_to_stop_and_end_together() -> None:
    stop, workers = asyncio.Event(), {"main": StandIn(), "media": StandIn()}
    serving = asyncio.create_task(serve_until(stop, workers, stop_seconds=60))
    for each in workers.values():
        await each.serves.wait()
    assert not serving.done()
    stop.set()
    await serving
    assert all(each.over for each in workers.values())


async def test_one_that_does_not_end_is_left_and_the_others_end_well() -> None:
    stop, workers = asyncio.Event(), {"main": StandIn(ends=False), "media": StandIn()}
    before = asyncio.all_tasks()
    stop.set()
    with capture_logs() as logged:
        await serve_until(stop, workers, stop_seconds=0.2)
    assert all(each.over for each in workers.values())
    assert [line["event"] for line in logged] == ["worker.stopping", "worker.not_stopped"]
    assert logged[-1]["queues"] == ["main"]
    assert asyncio.all_tasks() <= before


async def test_one_that_fails_ends_them_all_and_says_why() -> None:
    workers = {"main": StandIn(), "media": StandIn(fails=RuntimeError("no such namespace"))}
    with pytest.raises(RuntimeError, match="no such namespace"):
        await serve_until(asyncio.Event(), workers, stop_seconds=60)
    assert workers["main"].over


async def test_who_is_cancelled_leaves_no_worker_behind() -> None:
    worker = StandIn()
    serving = asyncio.create_task(serve_until(asyncio.Event(), {"main": worker}, stop_seconds=60))
    await worker.serves.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert worker.over
