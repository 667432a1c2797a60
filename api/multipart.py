"""A multipart body as a stream of parts: nothing of a file is kept, in memory or in a temp file."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from contracts.errors import InvalidInput

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers alone

MAX_HEADERS: Final = 16
MAX_HEADER_BYTES: Final = 8192


class PartHead(NamedTuple):
    """What stands before a part's content: the name of the form field."""

    name: str


PartEvent = PartHead | bytes | None
"""A part begins, goes on, ends."""


def boundary_of(content_type: str) -> bytes:
    """The boundary a multipart body is cut by.

    Raises:
        InvalidInput: it is no multipart body.
    """
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInput("The body must be multipart/form-data")
    return boundary


async def part_events(
    boundary: bytes, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[PartEvent, None]:
    """Begin, content and end of each part, as they arrive.

    Raises:
        InvalidInput: the body is not what it says, or ends before its last boundary.
    """
    seen = _Seen()
    try:
        parser = MultipartParser(
            boundary,
            seen.callbacks(),
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        async for chunk in chunks:
            parser.write(chunk)
            for event in seen.take():
                yield event
    except FormParserError as error:
        raise InvalidInput("The multipart body is broken") from error
    if parser.state != MultipartState.END:
        raise InvalidInput("The multipart body ends too early")


class _Seen:
    """Gathers what the parser calls back about one chunk."""

    def __init__(self) -> None:
        self._events: list[PartEvent] = []
        self._name = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
        }

    def take(self) -> list[PartEvent]:
        events, self._events = self._events, []
        return events

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise FormParserError("A part has no name")
        name = options[b"name"].decode("utf-8", "replace")
        self._events.append(PartHead(name))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(None)
