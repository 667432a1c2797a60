"""HTTP calls to vendors without a library: bounded in time and size, made once.

No retries, no redirects, no proxies of the environment, nothing decompressed, and never more of an
answer in memory than its bound.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx

from contracts.errors import ProviderBroken
from providers import failures

CONNECT_SECONDS: Final = 10.0
MAX_REFUSAL_BYTES: Final = 64 * 1024
"""More of a refusal is not read: its status and code stand before that."""
REFUSAL_SECONDS: Final = 10.0
UNREADABLE: Final = "answer_malformed"
"""Code of a success that cannot be read: too long, compressed, or of another shape."""


class Answer(NamedTuple):
    """What came back; a refusal's body may be cut off."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def refused(self) -> bool:
        """Whether it is no success: an error, a redirect, or something unheard of."""
        return not HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class Origin(NamedTuple):
    """Whom an address asks (RFC 6454); two with one origin ask the same server."""

    scheme: str
    host: str
    port: int | None

    @property
    def secure(self) -> bool:
        """Whether what is sent there is sealed."""
        return self.scheme == "https"


def origin(url: str) -> Origin | None:
    """The origin of an http(s) address; none when it is no such address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        return None
    return Origin(parsed.scheme, parsed.host, parsed.port)


class VendorHttp:
    """Calls to one vendor.

    Args:
        provider: its name in failures.
        connect_seconds: how long a connection may take to open.
    """

    def __init__(self, provider: str, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._provider = provider
        self._connect_seconds = connect_seconds
        self._client: httpx.AsyncClient | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> Answer:
        """Send one request and read its answer, whatever its status.

        Args:
            seconds: bound of the whole call, sending included.
            max_bytes: most bytes of a success.
            content: an iterator is sent as it comes; tell its length in ``Content-Length``.

        Raises:
            ProviderBusy: no answer, or none in time.
            ProviderBroken: ``answer_malformed``, a success that is longer than allowed, or
                compressed unasked.
        """
        client = self._opened()
        asked = {"accept-encoding": "identity"} | dict(headers or {})
        try:
            async with asyncio.timeout(seconds):
                request = client.build_request(
                    method, url, headers=asked, content=content, timeout=seconds
                )
                request.extensions["timeout"]["connect"] = min(self._connect_seconds, seconds)
                response = await client.send(request, stream=True)
                try:
                    return await self._read(response, max_bytes)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise failures.timed_out(self._provider, seconds, error) from error
        except httpx.HTTPError as error:
            raise failures.unreachable(self._provider, error) from error
        except httpx.InvalidURL as error:
            raise ProviderBroken(f"{self._provider} gave an address that is none") from error

    async def _read(self, response: httpx.Response, max_bytes: int) -> Answer:
        answer = Answer(response.status_code, response.headers, b"")
        if answer.refused:
            return answer._replace(body=await _read_refusal(response))
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            message = f"{self._provider}'s answer is compressed, which was not asked"
            raise ProviderBroken(message, code=UNREADABLE)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > max_bytes:
                raise ProviderBroken(f"{self._provider}'s answer does not end", code=UNREADABLE)
        return answer._replace(body=bytes(body))

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False)
        return self._client

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        if self._client is not None:
            await self._client.aclose()


async def _read_refusal(response: httpx.Response) -> bytes:
    """As much of the body as there is: the status is known, and what it says must not be lost."""
    body = bytearray()
    with suppress(TimeoutError, httpx.HTTPError):  # what came before it is the answer
        async with asyncio.timeout(REFUSAL_SECONDS):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= MAX_REFUSAL_BYTES:
                    break
    return bytes(body[:MAX_REFUSAL_BYTES])
