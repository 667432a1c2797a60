"""A stored file as an answer: ranges, validators, HEAD (RFC 9110, 13 and 14)."""

import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from api.ports import Files

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class Stored(NamedTuple):
    """What is served.

    Attributes:
        tag: differs when the bytes do; without quotes.
    """

    key: str
    size: int
    media_type: str
    tag: str


async def answer(request: Request, files: Files, stored: Stored) -> Response:
    """The file, a piece of it, or that the client has it already.

    One range is served; several at once, or one that makes no sense, get the whole file, and one
    that begins behind its end 416.
    """
    tag = f'"{stored.tag}"'
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if _known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, stored.size, 200
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is not None and request.headers.get("if-range", tag) == tag:
        piece = _piece(asked[1], asked[2], stored.size)
        if piece is None:
            headers["Content-Range"] = f"bytes */{stored.size}"
            return Response(status_code=416, headers=headers)
        start, end = piece
        if (start, end) != (0, stored.size) or asked[1] == "0":
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=stored.media_type)
    body = _bytes(files, stored.key, start, end)
    return StreamingResponse(body, status, headers=headers, media_type=stored.media_type)


async def _bytes(files: Files, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    async for chunk in files.read(key, start, end):
        yield chunk


def _known(header: str | None, tag: str) -> bool:
    """Whether the client names this very version, by the weak comparison."""
    if header is None:
        return False
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag in named or "*" in named


def _piece(first: str, last: str, size: int) -> tuple[int, int] | None:
    """From and up to without; none when there is nothing there."""
    if not first and not last:
        return 0, size
    if not first:
        return (max(size - int(last), 0), size) if int(last) and size else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return 0, size
    return (start, end) if start < size else None
