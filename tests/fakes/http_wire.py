"""An HTTP/1.1 server for stand-ins of vendors: real sockets, counted calls, faults on demand.

Beside the vendor's own routes it answers:

- ``GET /__calls``: ``{"count", "calls": [...]}``, every request that was no control request;
- ``POST /__faults``: a `Fault` as JSON, for the next ``times`` calls; ``DELETE`` forgets them;
- ``POST /__release``: lets go of every call that hangs.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel

LARGEST_HEAD: Final = 1 << 20
LARGEST_BODY: Final = 1 << 28


class Request(NamedTuple):
    """A request as it came; header names in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """An answer, JSON unless the headers say otherwise."""

    status: int
    body: bytes
    headers: dict[str, str]


class Fault(BaseModel):
    """What goes wrong.

    Attributes:
        times: with how many calls.
        latency: seconds before anything else happens.
        status: answered instead of the vendor's answer, with ``headers`` and ``body``.
        cut: where the connection is cut: before the answer, in its head, in its body.
        hang: say nothing until released.
    """

    times: int = 1
    latency: float = 0.0
    status: int | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    cut: Literal["answer", "head", "body"] | None = None
    hang: bool = False


def json_response(value: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, json.dumps(value).encode(), dict(headers))


class Wire:
    """The server.

    Args:
        answer: gives the vendor's answer and the facts worth keeping of the call.
        log: a file that gets one JSON line for each call, and survives this process.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[tuple[Response, dict[str, Any]]]],
        log: Path | None = None,
    ) -> None:
        self._answer = answer
        self._log = log
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()
        self.faults: deque[Fault] = deque()
        self.calls: list[dict[str, Any]] = []
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        self._server = await asyncio.start_server(self._accept, host, port, limit=LARGEST_HEAD)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{host}:{port}"
        return self.url

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()

    def fault(self, **fields: Any) -> None:
        """Let the next calls go wrong; see `Fault`."""
        fault = Fault(**fields)
        self.faults.extend([fault] * fault.times)

    def release(self) -> None:
        """Let go of every call that hangs."""
        self._released.set()
        self._released = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await _read(reader)) is not None:
                    await self._serve(request, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path.startswith("/__"):
            await _send(writer, self._control(request))
            return
        fault = self.faults.popleft() if self.faults else Fault()
        call: dict[str, Any] = {"method": request.method, "path": request.path}
        self.calls.append(call)
        response, facts = await self._answer(request)
        call |= facts
        if fault.status is not None:
            body = fault.body if fault.body is not None else "{}"
            response = Response(fault.status, body.encode(), fault.headers)
        elif fault.body is not None:
            response = response._replace(body=fault.body.encode())
        call["status"] = response.status if fault.cut is None else None
        self._write_down(call)
        await self._misbehave(fault, response, writer)

    async def _misbehave(
        self, fault: Fault, response: Response, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(fault.latency)
        if fault.hang:
            await self._released.wait()
        if fault.cut is None:
            await _send(writer, response)
            return
        raw = _raw(response)
        head = raw.index(b"\r\n\r\n")
        whole = {"answer": 0, "head": head // 2, "body": head + 4 + len(response.body) // 2}
        writer.write(raw[: whole[fault.cut]])
        await writer.drain()
        writer.transport.abort()
        raise ConnectionResetError

    def _control(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/__calls":
                return json_response({"count": len(self.calls), "calls": self.calls})
            case "POST", "/__faults":
                self.fault(**json.loads(request.body))
            case "DELETE", "/__faults":
                self.faults.clear()
            case "POST", "/__release":
                self.release()
            case _:
                return json_response({"error": "no such control"}, 404)
        return json_response({"faults": len(self.faults)})

    def _write_down(self, call: dict[str, Any]) -> None:
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(json.dumps(call) + "\n")


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """One request; none when the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    method, target, _ = first.split(" ", 2)
    url = urlsplit(target)
    body = await _body(reader, headers)
    return Request(method, url.path, parse_qs(url.query), headers, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(min(int(headers.get("content-length", 0)), LARGEST_BODY))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _raw(response: Response) -> bytes:
    headers = {"content-type": "application/json"} | response.headers
    headers["content-length"] = str(len(response.body))
    known = response.status in {status.value for status in HTTPStatus}
    reason = HTTPStatus(response.status).phrase if known else "Unknown"
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + response.body


async def _send(writer: asyncio.StreamWriter, response: Response) -> None:
    writer.write(_raw(response))
    await writer.drain()


def multipart(request: Request) -> dict[str, list[tuple[str | None, bytes]]]:
    """Fields of a form by name: (file name or none, content)."""
    _, _, boundary = request.headers.get("content-type", "").partition("boundary=")
    fields: dict[str, list[tuple[str | None, bytes]]] = {}
    if not boundary:
        return fields
    mark = b"\r\n--" + boundary.strip('"').encode()
    for part in (b"\r\n" + request.body).split(mark)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(
            pair.strip().split("=", 1)
            for line in head.decode().split("\r\n")
            if line.lower().startswith("content-disposition")
            for pair in line.split(";")[1:]
        )
        filename = names.get("filename")
        fields.setdefault(names["name"].strip('"'), []).append(
            (filename.strip('"') if filename else None, content)
        )
    return fields
