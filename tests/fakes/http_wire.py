"""An HTTP/1.1 server for stand-ins of vendors: real sockets, counted calls, faults on demand.

Beside the vendor's own routes it answers:

- ``GET /__calls``: ``{"count", "calls": [...]}``, every request that was no control request;
- ``POST /__faults``: a `Fault` as JSON, for the next ``times`` calls (of one kind, when ``call``
  says which); ``DELETE`` forgets them;
- ``POST /__release``: lets go of every call that hangs.
"""

import asyncio
import base64
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Never
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
        call: regular expression found in ``METHOD /path`` of the calls that are meant; none means
            the next ones, whatever they are.
        smaller: only calls whose bodies have fewer bytes than this are meant.
        undone: the vendor does nothing; else it has done its work, and its answer is lost.
        latency: seconds before anything else happens.
        status: answered instead of the vendor's answer, with ``headers`` and ``body``.
        headers: of the answer; with no ``status`` they are added to the vendor's own.
        body: of the answer; ``body_base64`` when it is no text.
        pattern: regular expression; where it is found first in the vendor's own answer, ``becomes``
            stands instead.
        repeat: how often the body is sent, one after the other.
        length: what ``Content-Length`` says instead of the truth.
        drip: seconds between one byte of the body and the next.
        cut: where the connection is cut: before the answer, in its head, in its body; ``chunk`` is
            in the body too, of an answer whose length is not told beforehand.
        hang: say nothing until released.
    """

    times: int = 1
    call: str | None = None
    smaller: int | None = None
    undone: bool = False
    latency: float = 0.0
    status: int | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    body_base64: str | None = None
    pattern: str | None = None
    becomes: str = ""
    repeat: int = 1
    length: int | None = None
    drip: float = 0.0
    cut: Literal["answer", "head", "body", "chunk"] | None = None
    hang: bool = False

    def fits(self, request: Request) -> bool:
        if self.smaller is not None and len(request.body) >= self.smaller:
            return False
        return self.call is None or bool(re.search(self.call, f"{request.method} {request.path}"))

    def changed(self, response: Response) -> Response:
        """The vendor's answer with what goes wrong in it."""
        body = self.body.encode() if self.body is not None else None
        if self.body_base64 is not None:
            body = base64.b64decode(self.body_base64)
        if self.status is not None:
            return Response(self.status, b"{}" if body is None else body, self.headers)
        if self.pattern is not None:
            body = re.sub(self.pattern, self.becomes, response.body.decode(), count=1).encode()
        headers = response.headers | self.headers
        return Response(response.status, response.body if body is None else body, headers)


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
        fault = self._next_fault(request)
        call: dict[str, Any] = {"method": request.method, "path": request.path}
        self.calls.append(call)
        response, facts = Response(200, b"{}", {}), dict[str, Any]()
        if not fault.undone:
            response, facts = await self._answer(request)
        call |= facts
        response = fault.changed(response)
        if request.method == "HEAD":
            told = {"content-length": str(len(response.body))} | response.headers
            response = response._replace(body=b"", headers=told)
        call["status"] = response.status if fault.cut is None else None
        self._write_down(call)
        await self._misbehave(fault, response, writer)

    def _next_fault(self, request: Request) -> Fault:
        for at, fault in enumerate(self.faults):
            if fault.fits(request):
                del self.faults[at]
                return fault
        return Fault()

    async def _misbehave(
        self, fault: Fault, response: Response, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(fault.latency)
        if fault.hang:
            await self._released.wait()
        if fault.cut == "answer":
            await _hang_up(writer)
        chunked = fault.cut == "chunk"
        length = fault.length if fault.length is not None else len(response.body) * fault.repeat
        head = _head(response, None if chunked else length)
        if fault.cut == "head":
            head = head[: len(head) // 2]
        writer.write(head)
        if fault.cut == "head":
            await _hang_up(writer)
        body = response.body
        if fault.cut is not None:
            body = body[: len(body) // 2]
        for piece in _pieces(body, fault):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
            await asyncio.sleep(fault.drip)
        if fault.cut is not None or length != len(response.body) * fault.repeat:
            await _hang_up(writer)

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


def _pieces(body: bytes, fault: Fault) -> Iterator[bytes]:
    if fault.drip:
        yield from (body[at : at + 1] for at in range(len(body)))
    else:
        yield from (body for _ in range(fault.repeat) if body)


def _head(response: Response, length: int | None) -> bytes:
    """Everything before the body; no length means that it comes in chunks."""
    headers = {"content-type": "application/json"} | response.headers
    if length is None:
        headers["transfer-encoding"] = "chunked"
    elif response.status != HTTPStatus.NO_CONTENT:
        headers.setdefault("content-length", str(length))
    known = response.status in {status.value for status in HTTPStatus}
    reason = HTTPStatus(response.status).phrase if known else "Unknown"
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def _send(writer: asyncio.StreamWriter, response: Response) -> None:
    writer.write(_head(response, len(response.body)) + response.body)
    await writer.drain()


async def _hang_up(writer: asyncio.StreamWriter) -> Never:
    """Cut the connection as a crash would, after what has been sent."""
    await writer.drain()
    writer.transport.abort()
    raise ConnectionResetError


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
