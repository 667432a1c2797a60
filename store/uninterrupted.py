"""Work that is finished before a cancellation is heard.

A statement that is given up half way leaves a connection in a state nobody knows, so that it has to
be thrown away; a thread that is given up goes on with what it was given. Both are short, or bounded
by a timeout of their own: whoever is cancelled waits for them first.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def uninterrupted(work: Awaitable[T]) -> T:
    """The result of the work; when cancelled meanwhile, the cancellation comes after its end.

    Raises:
        asyncio.CancelledError: whatever became of the work.
    """
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await _done(future)
        raise


async def _done(future: "asyncio.Future[T]") -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            # The caller raises the first one; the work comes first.
            continue
    if not future.cancelled():
        # What went wrong is heard by nobody any more.
        future.exception()
