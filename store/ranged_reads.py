"""Files read from storage elsewhere, by a signed address and ranges (RFC 9110, 14).

What arrives is handed on as it comes, a window of it in memory. A connection that is cut is taken
up where it broke, as long as the file is still the same; what cannot be taken up fails, and nobody
is given less than there is without knowing.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx

from contracts.errors import Failure
from store.remote_failures import Words

CHUNK_BYTES: Final = 256 * 1024
MAX_REFUSAL_BYTES: Final = 64 * 1024
RESUMES: Final = 3
"""How often a reading is taken up again, counted anew with every byte that arrives."""
PAUSE_SECONDS: Final = 0.2

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class OutOfRange(Exception):
    """The file is there, and ends before the range begins."""


class Refusal(NamedTuple):
    """An answer that is no file; its body may be cut off."""

    status: int
    headers: httpx.Headers
    body: bytes


class _Cut(Exception):
    """The connection ended before the file did."""


class RangedReads:
    """Reads the files of one storage.

    Args:
        client: how it is asked.
        words: how its failures are said.
        sign: an address of a file that needs no further right; raises NotFound, Unavailable.
        meaning: the failure a refusal stands for, or OutOfRange.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        words: Words,
        *,
        sign: Callable[[str], Awaitable[str]],
        meaning: Callable[[Refusal], Failure | OutOfRange],
    ) -> None:
        self._client = client
        self._words = words
        self._sign = sign
        self._meaning = meaning

    async def read(self, key: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``.

        Raises:
            NotFound: there is no such file.
            Unavailable: it does not answer, or broke off and could not be taken up.
        """
        reading = _Reading(start, end)
        cuts = 0
        while True:
            try:
                async with aclosing(self._some(key, reading)) as chunks:
                    async for chunk in chunks:
                        reading.place += len(chunk)
                        cuts = 0
                        yield chunk
                reading.check_end()
            except _Cut as cut:
                if reading.version is None or cuts == RESUMES:
                    raise self._words.away("broke off while a file was read") from cut
                await asyncio.sleep(PAUSE_SECONDS * 2**cuts)
                cuts += 1
            except OutOfRange as out:
                if reading.version is not None:
                    raise self._changed() from out
                return
            else:
                return

    async def _some(self, key: str, reading: "_Reading") -> AsyncGenerator[bytes, None]:
        """One request: as much as comes of what is still wanted."""
        url = await self._sign(key)
        headers = {"accept-encoding": "identity"} | reading.headers()
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                skip = await self._begin(response, reading)
                most = None if reading.end is None else reading.end - reading.place
                async for chunk in _part(response.aiter_raw(CHUNK_BYTES), skip, most):
                    yield chunk
        except httpx.TimeoutException as error:
            if reading.version is None:
                raise self._words.away("did not answer in time") from error
            raise _Cut from error
        except httpx.TransportError as error:
            if reading.version is None:
                raise self._words.away() from error
            raise _Cut from error

    async def _begin(self, response: httpx.Response, reading: "_Reading") -> int:
        """Check that this is the file; returns how many bytes come before what is wanted."""
        if response.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise self._meaning(await _refusal(response))
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._words.unreadable()
        version = response.headers.get("etag", "")
        if reading.version not in {None, version}:
            raise self._changed()
        reading.version = version
        if response.status_code == HTTPStatus.OK:
            reading.know(response.headers.get("content-length", ""))
            return reading.place
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != reading.place:
            raise self._words.unreadable()
        reading.know(found[3])
        return 0

    def _changed(self) -> Failure:
        return self._words.away("has another file there since the reading began")


class _Reading:
    """How far a reading is.

    Attributes:
        place: the next byte that is wanted.
        version: of the file, as soon as it is known.
    """

    def __init__(self, start: int, end: int | None) -> None:
        self.place = start
        self.end = end
        self.version: str | None = None
        self._size: int | None = None

    def know(self, size: str) -> None:
        """Keep the size of the whole file, where the answer says it."""
        if size.isdecimal():
            self._size = int(size)

    def check_end(self) -> None:
        """Raise when there is more of the file than has come."""
        if self._size is not None:
            end = self._size if self.end is None else min(self.end, self._size)
            if self.place < end:
                raise _Cut

    def headers(self) -> dict[str, str]:
        """The range that is still wanted; none for the whole of a file."""
        if self.place == 0 and self.end is None:
            return {}
        last = "" if self.end is None else self.end - 1
        return {"range": f"bytes={self.place}-{last}"}


async def _part(chunks: AsyncIterator[bytes], skip: int, most: int | None) -> AsyncIterator[bytes]:
    """What is left of a stream without its first ``skip`` bytes, ``most`` bytes of it."""
    async for chunk in chunks:
        wanted = chunk[skip:]
        skip -= min(skip, len(chunk))
        if most is not None:
            wanted = wanted[:most]
            most -= len(wanted)
        if wanted:
            yield wanted
        if most == 0:
            return


async def _refusal(response: httpx.Response) -> Refusal:
    body = bytearray()
    with suppress(httpx.HTTPError):  # what came before it is the answer
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= MAX_REFUSAL_BYTES:
                break
    return Refusal(response.status_code, response.headers, bytes(body[:MAX_REFUSAL_BYTES]))
