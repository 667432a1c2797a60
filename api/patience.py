"""How long a request is waited for, how long it may take, and how much its head may say.

Pure ASGI, innermost: a request that is ended here gets its id, its headers and its numbers like any
other. What has to end before an app is asked is in ``runtime/connections.py``.
"""

import asyncio
from typing import Final

from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import body_at
from runtime.settings_bounds import ConnectionSettings

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_PATH_BYTES: Final = 8 * 1024
MAX_QUERY_BYTES: Final = 8 * 1024
BYTES_A_SECOND: Final = 1024
"""A body that comes more slowly uses up its patience."""

AGAIN_SECONDS: Final = 2

_DISCONNECT: Final[Message] = {"type": "http.disconnect"}


class Patience:
    """Ends what takes too long, and refuses what is too long to be looked at."""

    def __init__(self, app: ASGIApp, bounds: ConnectionSettings) -> None:
        self._app = app
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _too_much(scope)
        if refusal is not None:
            await _refusal(scope, *refusal)(scope, receive, send)
            return
        turn = _Turn(scope, receive, send, self._bounds)
        await turn.take(self._app)


class _Turn:
    """One request: waited for by its bytes, answered by its time."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, bounds: ConnectionSettings
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._bounds = bounds
        self._clock = asyncio.get_running_loop().time
        self._left = bounds.body_seconds
        self._coming = _has_body(scope)
        self._late = False
        self._answering = False

    async def take(self, app: ASGIApp) -> None:
        """Let the app serve it."""
        self._deadline = asyncio.timeout(None if self._coming else self._bounds.request_seconds)
        try:
            async with self._deadline:
                await app(self._scope, self.receive, self.send)
        except TimeoutError:
            if self._answering or not self._deadline.expired():
                raise
            message = "The request took too long; what it asked for may have been done"
            await self._end(503, "timed_out", message)
        except ClientDisconnect:
            if self._answering or not self._late:
                raise
        if self._late and not self._answering:
            await self._end(408, "timed_out", "The body did not come in time")

    async def receive(self) -> Message:
        """The next part of the body; whoever sends none in time has gone, as far as the app sees.

        So a part of a file that came is kept or removed as after any client that hangs up.
        """
        if self._late:
            return _DISCONNECT
        if self._answering or not self._coming:
            return await self._receive()
        begun = self._clock()
        try:
            async with asyncio.timeout(self._left):
                message = await self._receive()
        except TimeoutError:
            self._late = True
            return _DISCONNECT
        earned = len(message.get("body", b"")) / BYTES_A_SECOND
        left = self._left - (self._clock() - begun) + earned
        self._left = max(min(left, self._bounds.body_seconds), 0.0)
        if not message.get("more_body", False):
            self._coming = False
            self._deadline.reschedule(self._clock() + self._bounds.request_seconds)
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; once it begins, it may take the time it needs."""
        if not self._answering:
            self._answering = True
            if not self._deadline.expired():
                self._deadline.reschedule(None)
        await self._send(message)

    async def _end(self, status: int, code: str, message: str) -> None:
        answer = _refusal(self._scope, status, code, message)
        await answer(self._scope, self._receive, self._send)


def _too_much(scope: Scope) -> tuple[int, str, str] | None:
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS:
        return 431, "headers_too_large", f"More than {MAX_HEADERS} headers"
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return 431, "headers_too_large", f"The headers are larger than {MAX_HEADER_BYTES} bytes"
    if len(scope.get("raw_path") or b"") > MAX_PATH_BYTES:
        return 414, "address_too_long", f"The path is longer than {MAX_PATH_BYTES} bytes"
    if len(scope["query_string"]) > MAX_QUERY_BYTES:
        return 414, "address_too_long", f"The query is longer than {MAX_QUERY_BYTES} bytes"
    return None


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _refusal(scope: Scope, status: int, code: str, message: str) -> JSONResponse:
    # The rest of a body is read for a while yet: a connection that is closed with something unread
    # takes its answer back.
    headers = {"Retry-After": str(AGAIN_SECONDS)} if status in {408, 503} else None
    body = body_at(scope, status, message, code)
    return JSONResponse(body, status, headers)
