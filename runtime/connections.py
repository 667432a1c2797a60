"""What one connection to the front may take: bounds that no app can set, for it is not asked yet.

uvicorn waits for ever for a request's head, for a body nobody reads any more and for a client that
reads nothing, and has no JSON for what it refuses by itself. This is its protocol with an end to
each of these waits. What an app can bound (a body it waits for, the time it takes) is in
``api/patience.py``.
"""

import asyncio
import http
import json
import sys
from typing import Any, ClassVar, Final
from uuid import uuid4

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from runtime.settings_bounds import ConnectionSettings

CLOSING_SECONDS: Final = 2.0
"""How long a connection that is being closed may take to send what it was given, and to be heard
out: what is closed with something unread takes its answer back."""

BESIDE: Final = 100
"""Connections beyond the bound that are still told so; all others are cut."""

BUSY_AGAIN_SECONDS: Final = 2


class BoundedConnection(H11Protocol):
    """One connection; ``bounded`` makes the class for given bounds."""

    bounds: ClassVar[ConnectionSettings]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_due: asyncio.TimerHandle | None = None
        self._write_due: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        beyond = len(self.connections) - self.bounds.max_connections
        if beyond > BESIDE:
            transport.abort()
            return
        if beyond > 0:
            self._refuse(503, "overloaded", "Too many connections", retry_after=BUSY_AGAIN_SECONDS)
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._head_came()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a head, of a body, or of what is not wanted any more."""
        if self._refused:
            return
        if not self._serving():
            self._expect_head()
        super().data_received(data)
        if self._serving():
            self._head_came()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in the form of all errors."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self._close()
            return
        error = sys.exc_info()[1]
        status = getattr(error, "error_status_hint", 400)
        large = status == http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(status, "headers_too_large" if large else "invalid_request", msg)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._write_due = self.loop.call_later(
            self.bounds.slow_reader_seconds, self.transport.abort
        )

    def resume_writing(self) -> None:
        """It has read most of it."""
        if self._write_due is not None:
            self._write_due.cancel()
            self._write_due = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked."""
        super().timeout_keep_alive_handler()
        self._close()

    def _serving(self) -> bool:
        """Whether a request has come, at least its head, that is not answered yet."""
        # None before the first one, whatever uvicorn's types say.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        """From the first byte, or the connection's beginning, to a whole head: so long, no longer.

        Also the rest of a body whose answer has been given is waited for no longer than that.
        """
        if self._head_due is None:
            self._head_due = self.loop.call_later(self.bounds.header_seconds, self._head_late)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _head_late(self) -> None:
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, "timed_out", "The request did not come in time")
        else:
            self._close()

    def _refuse(
        self, status: int, code: str, message: str, *, retry_after: int | None = None
    ) -> None:
        """Answer in the form of all errors, and close."""
        self._refused = True
        if self._serving():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request_id = uuid4().hex
        body = json.dumps(
            {"success": False, "error": message, "code": code, "requestId": request_id}
        ).encode()
        lines = [
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"x-request-id: {request_id}",
            "cache-control: no-store",
            "connection: close",
            *([] if retry_after is None else [f"retry-after: {retry_after}"]),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self._head_came()
        self.transport.write_eof()
        self.loop.call_later(CLOSING_SECONDS, self.transport.abort)

    def _close(self) -> None:
        self._head_came()
        self.transport.close()
        self.loop.call_later(CLOSING_SECONDS, self.transport.abort)


def bounded(bounds: ConnectionSettings) -> type[BoundedConnection]:
    """The protocol with these bounds."""
    return type("Connection", (BoundedConnection,), {"bounds": bounds})
