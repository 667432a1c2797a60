"""What happens around every request: its id, its headers, its numbers, and the answer to a crash.

Pure ASGI, because a wrapped response would break streams and disconnects.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import structlog
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import body_at
from api.measures import Measures

REQUEST_ID_HEADER: Final = "X-Request-ID"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.stdlib.get_logger("api")


class RequestContext:
    """Gives each request its id, measures it and answers 500 when nothing else did.

    A route leaves headers for its answer, error or not, in ``scope["state"]["answer_headers"]``.
    """

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        begun = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=answer.request_id):
            try:
                await self._app(scope, receive, answer.send)
            except ClientDisconnect:
                log.debug("request.abandoned", path=scope["path"])
            except Exception:
                log.exception("request.crashed", method=scope["method"], route=route_of(scope))
                await answer.crash(receive)
            finally:
                seconds = time.perf_counter() - begun
                self._measures.request(scope["method"], route_of(scope), answer.status, seconds)


class _Answer:
    """The answer to one request, on its way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.request_id = _request_id(Headers(scope=scope))
        self.status = 0
        self._more: dict[str, str] = {}
        scope.setdefault("state", {}).update(request_id=self.request_id, answer_headers=self._more)

    async def send(self, message: Message) -> None:
        """Pass a message on, with the headers every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID_HEADER] = self.request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Cache-Control", "no-store")
            for name, value in self._more.items():
                headers[name] = value
        await self._send(message)

    async def crash(self, receive: Receive) -> None:
        """Answer 500, unless an answer has begun: then the connection ends short."""
        if self.status:
            raise ConnectionAbortedError("The answer had begun when the request crashed")
        body = body_at(self._scope, 500, "Internal server error", "internal_error")
        await JSONResponse(body, 500)(self._scope, receive, self.send)


def route_of(scope: Mapping[str, Any]) -> str:
    """Template of the route that served a request; one name for all that none serves."""
    return str(getattr(scope.get("route"), "path", "unrouted"))


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex
