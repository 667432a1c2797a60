"""Every way a vendor's answer can go wrong, as data: the rows of the fault matrix.

What each cell expects stands beside the calls it is about, in ``tests/contract``.
"""

import base64
import gzip
import os
import random
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, Literal, NamedTuple

import pytest

MEGABYTE: Final = 1 << 20
SECONDS_ASKED: Final = 7
"""Of the 429 that says so in seconds."""
DATE_AHEAD: Final = 3600
"""Seconds from now to the date of the 429 that gives one."""

Place = Literal["refused", "dns", "tls", "connect"]


class VendorFault(NamedTuple):
    """One row.

    Attributes:
        wire: fields of ``tests.fakes.http_wire.Fault``.
        place: the vendor is not there at all: see ``elsewhere``.
        slow: ends by a time-out.
    """

    name: str
    wire: Mapping[str, Any] = {}
    place: Place | None = None
    slow: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def _status(status: int, name: str = "", **fields: Any) -> VendorFault:
    return VendorFault(name or str(status), {"status": status, "undone": True, **fields})


def _date() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=DATE_AHEAD), usegmt=True)


HTML: Final = "<html><body><h1>502 Bad Gateway</h1></body></html>"
BOMB: Final = base64.b64encode(gzip.compress(bytes(64 * MEGABYTE))).decode()
PRIVATE: Final = "http://127.0.0.1:1/latest/meta-data"

FAULTS: Final = (
    _status(429, "429 seconds", headers={"retry-after": str(SECONDS_ASKED)}),
    _status(429, "429 date", headers={"retry-after": _date()}),
    _status(429, "429 bare"),
    _status(500),
    _status(502, "502 html", headers={"content-type": "text/html"}, body=HTML),
    _status(503),
    _status(504),
    VendorFault("refused", place="refused"),
    VendorFault("no such host", place="dns"),
    VendorFault("no tls", place="tls"),
    VendorFault("connect time-out", place="connect", slow=True),
    VendorFault("read time-out", {"hang": True}, slow=True),
    VendorFault("one byte a second", {"drip": 1.0}, slow=True),
    VendorFault("reset in the body", {"cut": "body"}),
    VendorFault("wrong length", {"length": 1_000_000}),
    VendorFault("chunked abort", {"cut": "chunk"}),
    VendorFault("empty 200", {"body": ""}),
    VendorFault("broken json", {"body": '{"choices": [{"message": '}),
    VendorFault("wrong types"),
    VendorFault("missing fields", {"body": "{}"}),
    VendorFault("nan"),
    VendorFault("duplicate keys"),
    VendorFault("bad utf-8", {"body_base64": base64.b64encode(b'{"\xff\xfe": "\xc3"}').decode()}),
    VendorFault("100 MB", {"body": " " * MEGABYTE, "repeat": 100}),
    VendorFault("gzip bomb", {"body_base64": BOMB, "headers": {"content-encoding": "gzip"}}),
    _status(302, "redirect", headers={"location": PRIVATE}),
    _status(401),
    _status(402),
    _status(403),
    _status(413),
    _status(415),
)
"""``wrong types``, ``nan`` and ``duplicate keys`` need the vendor's own names: whoever tests fills
them in with ``filled``."""


def filled(fault: VendorFault, own: Mapping[str, Mapping[str, Any]]) -> VendorFault:
    """The fault with what only the vendor's stand-in can say, by the fault's name."""
    return fault._replace(wire={**fault.wire, **own.get(fault.name, {})})


@contextmanager
def _plain_server() -> Iterator[int]:
    """The port of a server that knows no TLS and says so at once, to whoever comes."""

    def answer(server: socket.socket) -> None:
        with suppress(OSError):  # closed below
            while True:
                client, _ = server.accept()
                with client:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@contextmanager
def elsewhere(place: Place) -> Iterator[str]:
    """An address without a path, at which the vendor is not."""
    with ExitStack() as stack:
        match place:
            case "dns":
                yield "http://vendor.invalid"
            case "tls":
                yield f"https://127.0.0.1:{stack.enter_context(_plain_server())}"
            case "refused":
                taken = stack.enter_context(socket.socket())
                taken.bind(("127.0.0.1", 0))  # nobody else gets the port, and nobody listens
                yield f"http://127.0.0.1:{taken.getsockname()[1]}"
            case "connect":
                full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
                for _ in range(3):  # more than the queue holds; they never get an answer
                    waiting = stack.enter_context(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex(full.getsockname())
                yield f"http://127.0.0.1:{full.getsockname()[1]}"


def seed() -> int:
    """Of the share that always runs: FAULT_SEED, else the same every time."""
    return int(os.environ.get("FAULT_SEED", "11"))


def sampled(cells: Sequence[Any], seed: int, share: float = 0.1) -> list[Any]:
    """Cells as parameters: a seeded share of them always runs, the others when asked for."""
    always = set(random.Random(seed).sample(range(len(cells)), max(1, round(len(cells) * share))))
    return [
        pytest.param(
            *cell, id="-".join(map(str, cell)), marks=[] if at in always else [pytest.mark.slow]
        )
        for at, cell in enumerate(cells)
    ]
