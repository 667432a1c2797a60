"""Large files to a server of the TUS protocol (tus.io, 1.0.0), a chunk at a time.

What has arrived stays when a connection is cut: the server is asked how far it is, and the sending
goes on from there. A file that cannot be finished is taken back.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from contracts.errors import Failure
from store.remote_failures import Words
from store.uninterrupted import uninterrupted

VERSION: Final = {"tus-resumable": "1.0.0"}
PIECE_BYTES: Final = 512 * 1024
RESUMES: Final = 3
"""How often a chunk is taken up again, counted anew with every byte that arrived."""
PAUSE_SECONDS: Final = 0.2
TAKE_BACK_SECONDS: Final = 3.0

_UPLOAD_ID: Final = re.compile(r"[A-Za-z0-9_.~=+-]+")
_GO_ON: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.LOCKED})
"""It is elsewhere than we thought, or still busy with the connection that was cut."""


class _Cut(Exception):
    """The connection ended, or the server has another idea of how far it is."""


class TusUpload:
    """Sends files to one server.

    Args:
        client: how it is asked.
        endpoint: where uploads are made; that is also where they are, whatever the server's
            ``Location`` says of its own name: it may stand behind another, and gets our key.
        headers: of every request, the key among them.
        chunk_bytes: of one request.
        words: how its failures are said.
        meaning: the failure a refusal stands for.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        chunk_bytes: int,
        words: Words,
        meaning: Callable[[httpx.Response], Failure],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._headers = VERSION | dict(headers)
        self._chunk_bytes = chunk_bytes
        self._words = words
        self._meaning = meaning

    async def send(self, path: Path, size: int, metadata: Mapping[str, str]) -> None:
        """Send a file; it is there when this returns, and taken back when this fails.

        Raises:
            Failure: by its refusal; Unavailable when it does not answer.
        """
        url = await self._create(size, metadata)
        try:
            with await asyncio.to_thread(path.open, "rb") as file:
                await self._send(url, file, size)
        except BaseException:
            await uninterrupted(self._take_back(url))
            raise

    async def _create(self, size: int, metadata: Mapping[str, str]) -> str:
        pairs = (f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in metadata.items())
        headers = {"upload-length": str(size), "upload-metadata": ",".join(pairs)}
        try:
            answer = await self._client.post(self._endpoint, headers=self._headers | headers)
        except httpx.TimeoutException as error:
            raise self._words.away("did not answer in time") from error
        except httpx.TransportError as error:
            raise self._words.away() from error
        if answer.status_code != HTTPStatus.CREATED:
            raise self._meaning(answer)
        name = answer.headers.get("location", "").partition("?")[0].rpartition("/")[2]
        if not _UPLOAD_ID.fullmatch(name):
            raise self._words.unreadable()
        return f"{self._endpoint}/{name}"

    async def _send(self, url: str, file: BinaryIO, size: int) -> None:
        place, cuts = 0, 0
        while place < size:
            last = place + self._chunk_bytes >= size
            try:
                place, cuts = await self._chunk(url, file, place, size), 0
            except _Cut as cut:
                if cuts == RESUMES:
                    raise self._words.away("broke off while a file was sent") from cut
                await asyncio.sleep(PAUSE_SECONDS * 2**cuts)
                found = await self._place(url, size)
                if found is None:
                    cuts += 1
                    continue
                if last and found == size:
                    # All of it has arrived; whether it was made a file, no later answer says.
                    raise self._words.away("did not say whether it has the file") from cut
                cuts = cuts + 1 if found <= place else 0
                place = found

    async def _chunk(self, url: str, file: BinaryIO, place: int, size: int) -> int:
        """Send the next bytes; returns how far the server is then."""
        most = min(self._chunk_bytes, size - place)
        headers = {
            "upload-offset": str(place),
            "content-type": "application/offset+octet-stream",
            "content-length": str(most),
        }
        content = self._pieces(file, place, most)
        try:
            answer = await self._client.patch(url, headers=self._headers | headers, content=content)
        except httpx.TransportError as error:
            raise _Cut from error
        if answer.status_code in _GO_ON:
            raise _Cut
        if answer.status_code != HTTPStatus.NO_CONTENT:
            raise self._meaning(answer)
        offset = answer.headers.get("upload-offset", "")
        if offset != str(place + most):
            raise _Cut
        return place + most

    async def _place(self, url: str, size: int) -> int | None:
        """How far the server is; none when it does not answer."""
        try:
            answer = await self._client.head(url, headers=self._headers)
        except httpx.TransportError:
            return None
        if answer.status_code == HTTPStatus.LOCKED:
            return None
        offset = answer.headers.get("upload-offset", "")
        if not answer.is_success or not offset.isdecimal() or int(offset) > size:
            raise self._words.away("lost what was sent")
        return int(offset)

    async def _pieces(self, file: BinaryIO, place: int, most: int) -> AsyncIterator[bytes]:
        def read(at: int, wanted: int) -> bytes:
            file.seek(at)
            return file.read(wanted)

        end = place + most
        while place < end:
            piece = await asyncio.to_thread(read, place, min(PIECE_BYTES, end - place))
            if not piece:
                raise self._words.away("was sent a file that became shorter")
            place += len(piece)
            yield piece

    async def _take_back(self, url: str) -> None:
        """Forget an upload; one that cannot be forgotten now, the server forgets in time."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(TAKE_BACK_SECONDS):
                await self._client.delete(url, headers=self._headers)
