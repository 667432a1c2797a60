"""Streams that last no longer than what opened them: a key, a token, a place in a space."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import structlog
from fastapi import Request

from api.admission import credential_of
from api.dependencies import Services
from contracts.errors import Failure, Forbidden, NotFound, Unauthenticated

T = TypeVar("T")

log = structlog.get_logger()


async def while_admitted(
    request: Request,
    services: Services,
    events: AsyncGenerator[T, None],
    still: Callable[[], Awaitable[object]] | None = None,
) -> AsyncGenerator[T, None]:
    """The events, until the credential of the request is believed no more.

    It is looked at again every ``STREAM_CHECK_SECONDS``. A database or an issuer that is away
    throws nobody out.

    Args:
        still: raises ``Forbidden`` or ``NotFound`` when the reader may not read this any more.
    """

    async def check() -> None:
        await credential_of(request.headers, services)
        if still is not None:
            await still()

    seconds = services.settings.events.check_seconds
    coming = asyncio.ensure_future(anext(events))
    checking = asyncio.create_task(refused(check, seconds))
    try:
        while True:
            await asyncio.wait((coming, checking), return_when=asyncio.FIRST_COMPLETED)
            if checking.done():
                return
            try:
                event = coming.result()
            except StopAsyncIteration:
                return
            yield event
            coming = asyncio.ensure_future(anext(events))
    finally:
        for task in (coming, checking):
            task.cancel()
        await asyncio.gather(coming, checking, return_exceptions=True)
        await events.aclose()


async def refused(check: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Ends when a check refuses."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await check()
        except (Unauthenticated, Forbidden, NotFound):
            return
        except Failure as failure:
            log.warning("stream.not_checked", error=failure.code)
