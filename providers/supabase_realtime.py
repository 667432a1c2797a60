"""Broadcasts by Supabase Realtime, without a socket: ``POST /realtime/v1/api/broadcast``.

By Supabase's guide to Broadcast: ``{"messages": [{topic, event, payload, private}]}`` with the
project's key as ``apikey``; 202 when taken. Whoever listens gets them, nobody keeps them: so what
cannot be sent is counted and let go, and nothing here ever holds a job back.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog
from pydantic import SecretStr

from contracts.broadcasts import EVENT, Broadcast, broadcast_of
from contracts.errors import ProviderFailure
from contracts.jobs import ToldEvent
from providers import failures
from providers.vendor_http import VendorHttp

PROVIDER: Final = "supabase-realtime"
SECONDS: Final = 10.0
MAX_BYTES: Final = 64 * 1024
BATCH: Final = 50
WAITING: Final = 1000
"""Messages that wait at most; then the oldest gives way."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Pause after a failure, doubling; what happens meanwhile is told as one message per job."""

LAST_SECONDS: Final = 2.0
"""How long what waits may still be sent when the worker ends."""

Count = Callable[[str, int], None]

log = structlog.get_logger()


class Broadcaster:
    """Sends in the background what it is told of.

    Args:
        url: of the project, without a slash at its end.
        key: the project's service key.
        count: is told how many messages were ``sent``, ``failed`` or ``dropped``.
        pause: seconds after the first failure.
    """

    def __init__(
        self, url: str, key: SecretStr, count: Count, *, pause: float = FIRST_PAUSE
    ) -> None:
        self._url = f"{url}/realtime/v1/api/broadcast"
        self._key = key
        self._count = count
        self._pause = pause
        self._http = VendorHttp(PROVIDER)
        self._waiting: dict[tuple[str, str], Broadcast] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def tell(self, events: Sequence[ToldEvent]) -> None:
        """Take note of what was committed; neither waits nor raises."""
        for told in events:
            if (news := broadcast_of(told)) is None:
                continue
            name = (news.memo_id, news.job_id)
            if (earlier := self._waiting.get(name)) is not None:
                news = earlier.followed_by(news)
            elif len(self._waiting) >= WAITING:
                del self._waiting[next(iter(self._waiting))]
                self._count("dropped", 1)
            self._waiting[name] = news
            self._wanted.set()

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="broadcasts")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send what waits, when that is quick, and end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self._waiting and await self._send():
                    pass
        await self._http.aclose()

    async def _run(self) -> None:
        pause = self._pause
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._waiting:
                if await self._send():
                    pause = self._pause
                    continue
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _send(self) -> bool:
        """Send the messages that wait longest; false: they are lost, and the next ones may be."""
        batch = list(self._waiting.items())[:BATCH]
        try:
            await self._post([news for _, news in batch])
        except ProviderFailure as failure:
            self._forget(batch)
            self._count("failed", len(batch))
            log.warning("realtime.not_sent", code=failure.code, messages=len(batch))
            return False
        self._forget(batch)
        self._count("sent", len(batch))
        return True

    def _forget(self, batch: Sequence[tuple[tuple[str, str], Broadcast]]) -> None:
        for name, news in batch:
            if self._waiting.get(name) is news:  # else there is later news
                del self._waiting[name]

    async def _post(self, batch: Sequence[Broadcast]) -> None:
        key = self._key.get_secret_value()
        messages = [
            {"topic": news.topic, "event": EVENT, "payload": news.payload, "private": False}
            for news in batch
        ]
        answer = await self._http.call(
            "POST",
            self._url,
            seconds=SECONDS,
            max_bytes=MAX_BYTES,
            headers={
                "apikey": key,
                "authorization": f"Bearer {key}",
                "content-type": "application/json",
            },
            content=json.dumps({"messages": messages}).encode(),
        )
        if answer.refused:
            raise failures.of_status(PROVIDER, answer.status, headers=answer.headers)
