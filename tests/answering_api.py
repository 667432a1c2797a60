"""An API on a real socket that answers as a test says: what the commands of a client meet."""

import json
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

AT = "2026-01-01T00:00:0{}+00:00"


def event(seq: int, type: str = "progress", **data: Any) -> dict[str, Any]:  # noqa: A002
    return {"seq": seq, "type": type, "at": AT.format(seq), **data}


class AnsweringApi(ABC):
    """Answers `POST` and `GET` by two methods; each list of events is one connection's worth."""

    def __init__(self) -> None:
        self.streams: list[list[dict[str, Any]] | int] = []
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.resumed_after: list[str | None] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @abstractmethod
    def posted(self, path: str) -> tuple[int, Any]:
        """Status and body for a `POST`, bytes as they are."""

    @abstractmethod
    def read(self, path: str) -> tuple[int, Any]:
        """Status and body for a `GET` of anything but events."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                api.note(self)
                api.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                answer(self, *api.posted(self.path))

            def do_GET(self) -> None:
                api.note(self)
                if self.path.endswith("/events"):
                    api.stream(self)
                else:
                    answer(self, *api.read(self.path))

            def log_message(self, *_: Any) -> None:
                return

        return Handler

    def stream(self, request: BaseHTTPRequestHandler) -> None:
        self.resumed_after.append(request.headers.get("Last-Event-ID"))
        part = self.streams.pop(0)
        if isinstance(part, int):
            answer(request, part, {"error": "away", "code": "unavailable"})
            return
        request.send_response(200)
        request.end_headers()
        for each in part:
            text = f": ping\n\nid: {each['seq']}\nevent: {each['type']}\n"
            request.wfile.write(f"{text}data: {json.dumps(each)}\n\n".encode())

    def note(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append((request.command, request.path))
        assert request.headers["Authorization"] == "Bearer the-token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def answer(request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    """Bytes as they are, else JSON."""
    request.send_response(status)
    request.end_headers()
    request.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())
