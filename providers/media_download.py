"""Fetches a recording from an address somebody gave us, as a stream.

A connection that is cut in the middle is taken up where it ended, when the server can do that and
the recording is still the same one by its entity tag (RFC 9110, 13.1.5 and 14.2).
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from typing import Final

from contracts.errors import Failure, MediaRejected, NotFound, Unreachable
from providers.egress import Bounds, Incoming, Outside
from providers.failures import retry_after

RESUMES: Final = 5
"""How often one download is taken up again."""
LONGEST_WAIT: Final = 300.0
"""Seconds of a ``Retry-After`` that are obeyed."""

_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_LATER: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:[0-9]{1,19}|\*)")
_STRONG_TAG: Final = re.compile(r'"[\x21\x23-\x7e]*"')


class MediaDownloads:
    """Downloads over ``Outside``.

    Args:
        seconds: bound of one download, however often it is taken up again.
        idle_seconds: between two signs of life of the server.
    """

    def __init__(self, outside: Outside, *, seconds: float, idle_seconds: float = 30.0) -> None:
        self._outside = outside
        self._bounds = Bounds(seconds=seconds, max_bytes=0, idle_seconds=idle_seconds)

    @asynccontextmanager
    async def opened(self, url: str, *, max_bytes: int) -> AsyncIterator["Download"]:
        """Ask for a recording; it is read in the block.

        Raises:
            InvalidInput: ``url_not_allowed``; nothing was connected to.
            NotFound: ``media_not_found``.
            MediaRejected: ``media_fetch_failed``, an answer that asking again does not change.
            TooLarge: it claims to be larger than ``max_bytes``, or is.
            Unreachable: it cannot be had now.
        """
        bounds = self._bounds._replace(max_bytes=max_bytes)
        async with self._outside.opened("GET", url, bounds=bounds) as incoming:
            refused = _refusal(incoming)
            if refused is not None:
                raise refused
            yield Download(self._outside, url, bounds, incoming)


class Download:
    """A recording on its way.

    Attributes:
        media_type: as its server claims.
        length: bytes, as its server claims; none when it does not.
    """

    def __init__(self, outside: Outside, url: str, bounds: Bounds, first: Incoming) -> None:
        self._outside = outside
        self._url = url
        self._bounds = bounds
        self._first = first
        self._tag = first.headers.get("etag", "")
        self._done = 0
        self.media_type = first.headers.get("content-type", "")
        self.length = first.length

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they come; to be closed by whoever does not read to the end.

        Raises:
            TooLarge: more of them than allowed.
            Unreachable: they stopped, and could not be taken up again.
        """
        tries = RESUMES if self._resumable else 0
        parts = self._counted(self._first)
        while True:
            try:
                async with aclosing(parts):
                    async for chunk in parts:
                        yield chunk
            except Unreachable:
                if not tries:
                    raise
                tries -= 1
                parts = self._rest()
            else:
                return

    @property
    def _resumable(self) -> bool:
        ranges = self._first.headers.get("accept-ranges", "").strip().lower() == "bytes"
        return ranges and _STRONG_TAG.fullmatch(self._tag) is not None

    async def _counted(self, incoming: Incoming) -> AsyncGenerator[bytes, None]:
        async with aclosing(incoming.chunks()) as chunks:
            async for chunk in chunks:
                self._done += len(chunk)
                yield chunk

    async def _rest(self) -> AsyncGenerator[bytes, None]:
        bounds = self._bounds._replace(max_bytes=self._bounds.max_bytes - self._done)
        headers = {"Range": f"bytes={self._done}-", "If-Range": self._tag}
        async with self._outside.opened(
            "GET", self._url, bounds=bounds, headers=headers
        ) as incoming:
            if not self._continues(incoming):
                message = "The recording was cut off and cannot be taken up again"
                raise Unreachable(message, code="answer_cut_off")
            async with aclosing(self._counted(incoming)) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _continues(self, incoming: Incoming) -> bool:
        """Whether an answer goes on where the one before ended, with the same recording."""
        place = _CONTENT_RANGE.fullmatch(incoming.headers.get("content-range", "").strip())
        return (
            incoming.status == HTTPStatus.PARTIAL_CONTENT
            and not incoming.compressed
            and place is not None
            and int(place[1]) == self._done
            and incoming.headers.get("etag", self._tag) == self._tag
        )


def _refusal(incoming: Incoming) -> Failure | None:
    """What an answer that holds no recording means; the server's own words are not repeated."""
    status = incoming.status
    if status in _GONE:
        return NotFound("There is no recording at its address", code="media_not_found")
    if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after(incoming.headers)
        return Unreachable(
            f"The server of the recording answered {status}",
            code="media_unavailable",
            retry_after=None if wait is None else min(wait, LONGEST_WAIT),
        )
    if status != HTTPStatus.OK:
        message = f"The server of the recording answered {status}"
        return MediaRejected(message, code="media_fetch_failed")
    if incoming.compressed:
        message = "The server of the recording sent it compressed"
        return MediaRejected(message, code="media_fetch_failed")
    return None
