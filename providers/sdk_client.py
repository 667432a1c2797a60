"""The HTTP client below the vendors' own libraries: no retries, no redirects, no endless answers.

Both ``openai`` and ``google-genai`` take an ``httpx2`` client of ours and keep to it. Imported when
the first call is made: what only composes a worker does not pay for it.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2

from contracts.errors import ProviderBroken, ProviderFailure
from providers import failures

CONNECT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Of a model's answer; the longest there are have less than a twentieth of it."""
CONNECTIONS: Final = 1000
CONNECTIONS_KEPT: Final = 100
"""As OpenAI's library has them: how many calls are made at once is for others to bound."""

_DECODED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class SdkClient(httpx2.AsyncClient):
    """Reads each answer whole, decoded, up to a bound.

    Args:
        timeout: seconds between two signs of life; whoever calls bounds the whole call.
        connect_seconds: to open a connection.
        max_bytes: of an answer, decoded.
    """

    def __init__(
        self,
        *,
        timeout: float,
        connect_seconds: float = CONNECT_SECONDS,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        super().__init__(
            timeout=httpx2.Timeout(timeout, connect=min(connect_seconds, timeout)),
            follow_redirects=False,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS_KEPT
            ),
        )
        self._max_bytes = max_bytes

    async def send(
        self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any
    ) -> httpx2.Response:
        """Send, and read no more than an answer can be; what is asked for as a stream stays one.

        Raises:
            ProviderBroken: it is longer.
        """
        # A library may ask for no bound, or for one on everything.
        request.extensions = {**request.extensions, "timeout": self.timeout.as_dict()}
        response = await super().send(request, stream=True, **kwargs)
        if stream:
            return response
        try:
            body = await self._read(response.aiter_bytes())
        finally:
            await response.aclose()
        headers = [pair for pair in response.headers.multi_items() if pair[0] not in _DECODED]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            content=body,
            request=request,
            extensions=response.extensions,
        )

    async def _read(self, chunks: AsyncIterator[bytes]) -> bytes:
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            if len(body) > self._max_bytes:
                raise ProviderBroken("The vendor's answer does not end", code="answer_malformed")
        return bytes(body)


def meaning(
    provider: str, seconds: float, error: Exception, *unreadable: type[Exception]
) -> ProviderFailure | None:
    """What an exception of a vendor's library means that is no status; none: it is a fault of ours.

    Args:
        seconds: bound of the whole call.
        unreadable: what the library raises for an answer it cannot read, beside
            ``failures.MALFORMED``.
    """
    if (failure := _without_answer(provider, seconds, error)) is not None:
        return failure
    if isinstance(error, (*failures.MALFORMED, *unreadable)):
        return failures.unreadable(provider)
    return None


def _without_answer(provider: str, seconds: float, error: BaseException) -> ProviderFailure | None:
    """The failure behind an exception that is no answer of the vendor; none when it is one.

    A library wraps what the client raises, so its causes are looked through.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ProviderFailure):
            return cause
        if isinstance(cause, (TimeoutError, httpx2.TimeoutException)):
            return failures.timed_out(provider, seconds, cause)
        if isinstance(cause, httpx2.DecodingError):
            return failures.unreadable(provider)
        if isinstance(cause, httpx2.HTTPError):
            return failures.unreachable(provider, cause)
        cause = cause.__cause__
    return None
