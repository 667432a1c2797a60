"""An answer whose body is still being made: it ends well only when all of it was."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.job_wait import unless_gone
from contracts.errors import Failure

log = structlog.get_logger("api")

_LAST: Final = {"type": "http.response.body", "body": b"", "more_body": False}


class LiveResponse(Response):
    """Sends what is made until it fails, then ends the connection short: a client sees that.

    Whoever hangs up ends the making; whoever takes nothing halts it, and is left after a while.

    Args:
        chunks: the body, never an empty piece.
        close: called however it ends.
        media_type: of the body.
        pause: seconds that a piece may take to be sent.
        told: says in the body what went wrong, where its form has a word for it: it ends regularly
            then.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        close: Callable[[], Awaitable[None]],
        *,
        media_type: str,
        pause: float,
        told: Callable[[Failure], bytes] | None = None,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._chunks = chunks
        self._close = close
        self._pause = pause
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, unless the client goes.

        Raises:
            ClientDisconnect: it hung up.
        """
        try:
            await unless_gone(Request(scope, receive), self._send(send))
        finally:
            await self._chunks.aclose()
            await self._close()

    async def _send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        try:
            async for chunk in self._chunks:
                await self._piece(send, chunk)
        except Failure as failure:
            log.warning("answer.cut", code=failure.code)
            if self._told is None:
                return
            await self._piece(send, self._told(failure))
        except TimeoutError:
            log.warning("answer.cut", code="client_too_slow")
            return
        await send(_LAST)

    async def _piece(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(self._pause):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
