"""Sends a large file in pieces: after a break it goes on where the service says it is.

Speaks TUS 1.0, of which it needs two requests; where the service hands out a signed address of its
storage, the file goes there in one.
"""

import mimetypes
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

import httpx

from contracts.errors import Failure, Unavailable
from runtime.send_progress import Progress

FROM_BYTES: Final = 16 * 1024 * 1024
"""A smaller file goes in one request: it is sent again as fast as it is asked about."""

CHUNK_BYTES: Final = 256 * 1024
TUS: Final = {"Tus-Resumable": "1.0.0"}
UPLOADS: Final = "/api/v1/uploads"
AGAIN: Final = frozenset({httpx.codes.CONFLICT, httpx.codes.LOCKED, httpx.codes.TOO_MANY_REQUESTS})

FailureOf = Callable[[httpx.Response], Failure]


class Pieces:
    """One file on its way.

    Args:
        failure_of: the error an answer carries.
        pause: seconds before a broken upload goes on.
        patience: seconds without progress after which it is given up.
    """

    def __init__(
        self,
        client: httpx.Client,
        failure_of: FailureOf,
        progress: Progress,
        *,
        pause: float,
        patience: float,
    ) -> None:
        self._client = client
        self._failure_of = failure_of
        self._progress = progress
        self._pause = pause
        self._patience = patience

    def send(self, file: Path) -> str:
        """Send it; returns what a memo takes as ``filePath``.

        Raises:
            Failure: it is refused.
            Unavailable: nothing was got through for too long.
        """
        size = file.stat().st_size
        begun = self._begin(file, size)
        with file.open("rb") as source:
            self._progress.reading(source, size)
            if begun["tus"] is None:
                self._send_whole(source, size, begun)
            else:
                self._send_on(source, size, begun["url"])
        return str(begun["filePath"])

    def _begin(self, file: Path, size: int) -> dict[str, Any]:
        kind = mimetypes.guess_type(file.name)[0] or ""
        body = {
            "filename": file.name,
            "mediaType": kind if kind.startswith("audio/") else "application/octet-stream",
            "bytes": size,
        }
        key = {"Idempotency-Key": str(uuid4())}
        answer = self._client.post(UPLOADS, json=body, headers=key)
        if answer.is_error:
            raise self._failure_of(answer)
        begun: dict[str, Any] = answer.json()
        return begun

    def _send_whole(self, source: IO[bytes], size: int, begun: dict[str, Any]) -> None:
        """To storage itself: without our token, which is none of its business."""
        headers = {**begun["headers"], "Content-Length": str(size)}
        with httpx.Client(timeout=self._client.timeout, trust_env=False) as client:
            answer = client.request(
                begun["method"], begun["url"], content=self._from(source, 0), headers=headers
            )
        if answer.is_error:
            raise Unavailable(f"Storage answered {answer.status_code}")

    def _send_on(self, source: IO[bytes], size: int, url: str) -> None:
        place, moved_at = 0, time.monotonic()
        while place < size:
            try:
                reached = self._piece(source, size, url)
            except (httpx.TransportError, Unavailable) as error:
                if time.monotonic() - moved_at > self._patience:
                    raise Unavailable("The file does not get through") from error
                time.sleep(self._pause)
                continue
            if reached > place:
                moved_at = time.monotonic()
            place = reached

    def _piece(self, source: IO[bytes], size: int, url: str) -> int:
        """Send the rest from where the service is; returns how far it is then."""
        place = self._where(url)
        if place < size:
            headers = {
                **TUS,
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(size - place),
                "Upload-Offset": str(place),
            }
            answer = self._client.patch(url, content=self._from(source, place), headers=headers)
            place = self._place(answer)
        return place

    def _where(self, url: str) -> int:
        return self._place(self._client.head(url, headers=TUS))

    def _place(self, answer: httpx.Response) -> int:
        if answer.status_code in AGAIN:
            raise Unavailable("The upload is busy")
        if answer.is_error:
            raise self._failure_of(answer)
        return int(answer.headers["Upload-Offset"])

    def _from(self, source: IO[bytes], place: int) -> Iterator[bytes]:
        source.seek(place)
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
            self._progress.sent(source.tell())
