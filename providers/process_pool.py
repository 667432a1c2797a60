"""Long-lived child processes for work on untrusted bytes, or heavy on the CPU.

A child that crashes, hangs or eats too much is one failed call; the pool goes on with a new child.
The engines (PyAV, pocketsphinx, yake) are imported in the children alone.
"""

import asyncio
import ctypes
import importlib
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final, TypeVar

from contracts.errors import Failure, Unavailable

if TYPE_CHECKING:
    from pebble import ProcessFuture
    from pebble import ProcessPool as Pebbles

Result = TypeVar("Result")

_PR_SET_PDEATHSIG: Final = 1
_OPEN_FILES: Final = 64
_CALLS_PER_CHILD: Final = 500


class ChildLost(Failure):
    """The child process crashed, ran into a limit or took too long; its call has no answer.

    Attributes:
        timed_out: it was stopped because its time was up.
    """

    code = "child_lost"

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class ProcessPool:
    """Runs functions of our modules in children; starts with the first call.

    Args:
        workers: number of children.
        memory_bytes: address space of one child.
        warm: modules a child imports before its limits apply.
    """

    def __init__(
        self, *, workers: int, memory_bytes: int = 2 << 30, warm: tuple[str, ...] = ()
    ) -> None:
        self._workers = workers
        self._memory_bytes = memory_bytes
        self._warm = warm
        self._pool: Pebbles | None = None
        self._closed = False
        self._calls: set[ProcessFuture[Any]] = set()
        # Children die with the thread that made them (PR_SET_PDEATHSIG), so it is ours.
        self._starter = ThreadPoolExecutor(1, "process-pool")

    async def run(
        self, function: Callable[..., Result], /, *args: object, seconds: float
    ) -> Result:
        """Call a module-level function in a child and wait for its answer.

        Args:
            seconds: how long the call may take, waiting for a free child not counted; its CPU time
                is bounded by it too.

        Raises:
            ChildLost: the child did not live to answer.
            Unavailable: the pool is closed, or no child can be started.

        What the function raises is raised here. Cancelling the call ends the child.
        """
        try:
            return await self._once(function, args, seconds)
        except BrokenProcessPool:
            # A child died between two calls, which pebble takes for the end of the whole pool.
            return await self._again(function, args, seconds)

    async def _again(
        self, function: Callable[..., Result], args: tuple[object, ...], seconds: float
    ) -> Result:
        try:
            return await self._once(function, args, seconds)
        except BrokenProcessPool as error:
            raise Unavailable("No child process can be started") from error

    async def _once(
        self, function: Callable[..., Result], args: tuple[object, ...], seconds: float
    ) -> Result:
        if self._closed:
            raise Unavailable("The process pool is closed")
        from pebble import ProcessExpired  # noqa: PLC0415 - 60 ms that only a worker pays

        loop = asyncio.get_running_loop()
        future = await loop.run_in_executor(self._starter, self._schedule, function, args, seconds)
        try:
            return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise ChildLost(f"No answer within {seconds:.0f} s", timed_out=True) from error
        except ProcessExpired as error:
            raise ChildLost(f"The child process ended with {error.exitcode}") from error
        except MemoryError as error:
            raise ChildLost("The child process ran out of memory") from error

    def _schedule(
        self, function: Callable[..., Result], args: tuple[object, ...], seconds: float
    ) -> "ProcessFuture[Result]":
        from pebble import ProcessPool as Pebbles  # noqa: PLC0415 - as above

        if self._pool is None or not self._pool.active:
            self._drop()
            self._pool = Pebbles(
                max_workers=self._workers,
                max_tasks=_CALLS_PER_CHILD,
                initializer=_confine,
                initargs=(os.getpid(), self._memory_bytes, self._warm),
                context=multiprocessing.get_context("spawn"),
            )
        call = self._pool.schedule(_measured, (function, seconds, args), timeout=seconds)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]  # pebble types all but this
            self._pool.join()
            self._pool = None
        for call in self._calls.copy():
            if not call.done():  # pebble leaves what was under way without an end
                call.set_exception(BrokenProcessPool("The pool was closed"))

    async def aclose(self) -> None:
        """Stop the children; calls under way fail as Unavailable. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._starter, self._drop)
        self._starter.shutdown(wait=False)


def _confine(parent: int, memory_bytes: int, warm: tuple[str, ...]) -> None:
    """What a child does first: imports, then limits, then nothing is left to lean on.

    Args:
        parent: process id; a child whose parent is another one by now has nobody to work for.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # an engine in C would never see a handler run
    os.environ.clear()
    for module in warm:
        importlib.import_module(module)
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _measured(function: Callable[..., Result], seconds: float, args: tuple[object, ...]) -> Result:
    """Give this one call its own CPU budget, then make it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    budget = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (budget, resource.RLIM_INFINITY))
    return function(*args)
