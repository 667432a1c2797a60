"""Audio that is too large for a request is put into Gemini's file store, and taken out again.

Facts: a resumable upload in two requests; a file is PROCESSING for a while; it would be kept for
48 hours. The library's own upload tries again three times by itself, so it is not used.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import structlog

from contracts.errors import FormatNotTaken, ProviderFailure
from providers import failures
from providers.gemini_client import PROVIDER, GeminiServer
from providers.vendor_http import Answer, VendorHttp

CHUNK_BYTES: Final = 1 << 20
MAX_ANSWER_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 1.0
DELETE_SECONDS: Final = 15.0

log = structlog.get_logger()


class GeminiFiles:
    """The file store.

    Args:
        timeout: seconds one call may take, sending included; also until a file is ready.
        poll_seconds: between two looks at a file that is not ready.
    """

    def __init__(
        self,
        server: GeminiServer,
        *,
        timeout: float,
        connect_seconds: float | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._server = server
        self._timeout = timeout
        self._poll_seconds = poll_seconds
        options = {} if connect_seconds is None else {"connect_seconds": connect_seconds}
        self._http = VendorHttp(PROVIDER, **options)

    @asynccontextmanager
    async def stored(self, audio: Path, size: int, media_type: str) -> AsyncIterator[str]:
        """The address of a stored copy, which is gone when the block ends.

        Raises:
            ProviderFailure: it cannot be stored, or Gemini cannot read it.
        """
        file = await self._upload(audio, size, media_type)
        name = _text(file, "name")
        try:
            async with asyncio.timeout(self._timeout):
                while (state := _text(file, "state")) == "PROCESSING":
                    await asyncio.sleep(self._poll_seconds)
                    file = await self._call("GET", f"/v1/{name}")
            if state != "ACTIVE":
                raise FormatNotTaken(f"{PROVIDER} cannot read the file")
            yield _text(file, "uri")
        except TimeoutError as error:
            raise failures.timed_out(PROVIDER, self._timeout) from error
        finally:
            await asyncio.shield(self._forget(name))

    async def _upload(self, audio: Path, size: int, media_type: str) -> dict[str, Any]:
        begun = await self._answered(
            "POST",
            f"{self._server.base_url}/upload/v1/files",
            headers={
                "x-goog-upload-protocol": "resumable",
                "x-goog-upload-command": "start",
                "x-goog-upload-header-content-length": str(size),
                "x-goog-upload-header-content-type": media_type,
                "content-type": "application/json",
            },
            content=b'{"file": {}}',
        )
        place = urlsplit(begun.headers.get("x-goog-upload-url", ""))
        if not place.path:
            raise failures.unreadable(PROVIDER)
        # Only path and query are believed: the key goes to the host that is configured.
        query = f"?{place.query}" if place.query else ""
        with await asyncio.to_thread(audio.open, "rb") as opened:
            answer = await self._answered(
                "POST",
                f"{_origin(self._server.base_url)}{place.path}{query}",
                headers={
                    "x-goog-upload-command": "upload, finalize",
                    "x-goog-upload-offset": "0",
                    "content-length": str(size),
                },
                content=_chunks(opened),
            )
        file = _read(answer).get("file")
        if not isinstance(file, dict):
            raise failures.unreadable(PROVIDER)
        return file

    async def _forget(self, name: str) -> None:
        """Delete; a copy that cannot be deleted now goes by itself after 48 hours."""
        try:
            async with asyncio.timeout(DELETE_SECONDS):
                await self._call("DELETE", f"/v1/{name}")
        except (ProviderFailure, TimeoutError) as error:
            log.warning("gemini.file_left", error=type(error).__name__)

    async def _call(self, method: str, path: str) -> dict[str, Any]:
        return _read(await self._answered(method, f"{self._server.base_url}{path}"))

    async def _answered(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> Answer:
        answer = await self._http.call(
            method,
            url,
            seconds=self._timeout,
            max_bytes=MAX_ANSWER_BYTES,
            headers={"x-goog-api-key": self._server.api_key} | (headers or {}),
            content=content,
        )
        if answer.refused:
            code = next(iter(failures.codes_of(answer.body)), None)
            raise failures.of_status(PROVIDER, answer.status, code=code, headers=answer.headers)
        return answer

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._http.aclose()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield chunk


def _read(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise failures.unreadable(PROVIDER)
    return found


def _text(file: dict[str, Any], field: str) -> str:
    value = file.get(field)
    if not isinstance(value, str) or not value:
        raise failures.unreadable(PROVIDER)
    return value
