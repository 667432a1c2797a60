"""Gemini's API as we use it: one request, one answer, and what its refusals mean.

Facts (google-genai 3.4): unless told otherwise the library tries again after connection errors and
goes on by itself where an answer was cut off; both are switched off. Truncated and blocked answers
come without an exception.
"""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel

from contracts.costs import answered
from contracts.errors import (
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from contracts.language import Usage
from providers import failures

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.errors import APIError
    from google.genai.types import Candidate, GenerateContentResponse

    from providers.sdk_client import SdkClient

PROVIDER: Final = "gemini"
BASE_URL: Final = "https://generativelanguage.googleapis.com"

_CUT_OFF: Final = frozenset({"MAX_TOKENS", "CONTINUATION"})
_TOO_LONG_WORDS: Final = ("token count", "exceeds the maximum", "payload size exceeds")
_KEY_WORDS: Final = ("api key", "api_key")

Got = TypeVar("Got")


class GeminiServer(NamedTuple):
    """Who is asked; ``base_url`` without a version."""

    api_key: str
    base_url: str = BASE_URL


class Ask(NamedTuple):
    """One request.

    Attributes:
        contents: text, or parts of the library's own types.
        shape: the answer's.
    """

    model: str
    system: str
    contents: Any
    temperature: float
    shape: type[BaseModel]


class GeminiClient:
    """The official client over a transport of ours.

    Args:
        timeout: seconds one call may take.
        connect_seconds: to open a connection.
        max_bytes: of an answer; none: as of every model's.
    """

    def __init__(
        self,
        server: GeminiServer,
        *,
        timeout: float,
        connect_seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._server = server
        self._timeout = timeout
        self._connect_seconds = connect_seconds
        self._made: tuple[Client, SdkClient] | None = None
        self._making = asyncio.Lock()

    async def generate(self, ask: Ask) -> tuple[str | None, Usage]:
        """The answer's text, JSON of the shape asked for, and what it took.

        Raises:
            ProviderFailure: by the table of ``providers.failures``; for an answer that is
                truncated, blocked or malformed ``ProviderBroken``.
        """
        client, _ = await self.connected()
        call = client.aio.models.generate_content(
            model=ask.model,
            contents=ask.contents,
            config={
                "system_instruction": ask.system,
                "temperature": ask.temperature,
                "response_mime_type": "application/json",
                "response_schema": ask.shape,
                "automatic_continuation": False,
            },
        )
        return said(await self.answered(call))

    async def answered(self, call: Awaitable[Got]) -> Got:
        """Wait for a call within the bound; what it raises is raised as ours."""
        from google.genai.errors import APIError  # noqa: PLC0415 - 0.7 s of a worker with this tier

        from providers.sdk_client import meaning  # noqa: PLC0415 - as above

        try:
            async with asyncio.timeout(self._timeout):
                return await call
        except APIError as error:
            raise refusal(error) from None
        except Exception as error:
            failure = meaning(PROVIDER, self._timeout, error)
            if failure is None:
                raise
            raise failure from None

    async def connected(self) -> tuple["Client", "SdkClient"]:
        """The client, and the transport below it; made when first asked for."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
        return self._made

    def _make(self) -> tuple["Client", "SdkClient"]:
        from google.genai import Client  # noqa: PLC0415 - as above
        from google.genai.types import HttpOptions, HttpRetryOptions  # noqa: PLC0415 - as above

        from providers.sdk_client import (  # noqa: PLC0415 - as above
            CONNECT_SECONDS,
            MAX_ANSWER_BYTES,
            SdkClient,
        )

        if not self._server.api_key:
            raise ProviderOut(f"{PROVIDER} has no key: set GEMINI_API_KEY")
        connect = CONNECT_SECONDS if self._connect_seconds is None else self._connect_seconds
        http = SdkClient(
            timeout=self._timeout,
            connect_seconds=connect,
            max_bytes=self._max_bytes or MAX_ANSWER_BYTES,
        )
        client = Client(
            vertexai=False,
            api_key=self._server.api_key,
            http_options=HttpOptions(
                base_url=self._server.base_url,
                timeout=int(self._timeout * 1000),
                retry_options=HttpRetryOptions(attempts=1),
                httpx_async_client=http,
            ),
        )
        return client, http

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        if self._made is not None:
            client, http = self._made
            client.close()
            await http.aclose()


def said(response: "GenerateContentResponse") -> tuple[str | None, Usage]:
    """Text and usage of an answer.

    Raises:
        ProviderBroken: it is truncated or blocked, or of another shape.
    """
    used = usage(response)
    with answered(used.units):
        return _text(response), used


def usage(response: "GenerateContentResponse") -> Usage:
    """What an answer took; nothing known where it does not say."""
    used = response.usage_metadata
    if used is None:
        return Usage()
    output = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
    return Usage(input_tokens=used.prompt_token_count or 0, output_tokens=output)


def _text(response: "GenerateContentResponse") -> str:
    candidate = finished(response)
    parts = (candidate.content.parts if candidate.content else None) or []
    return "".join(part.text for part in parts if part.text and not part.thought)


def finished(response: "GenerateContentResponse") -> "Candidate":
    """What was answered, when all of it was.

    Raises:
        ProviderBroken: it is truncated or blocked, or there is none.
    """
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        raise failures.unusable(PROVIDER, "blocked")
    if not response.candidates:
        raise failures.unreadable(PROVIDER)
    candidate = response.candidates[0]
    reason = candidate.finish_reason.value if candidate.finish_reason is not None else "STOP"
    if reason in _CUT_OFF:
        raise failures.unusable(PROVIDER, "truncated")
    if reason != "STOP":
        raise failures.unusable(PROVIDER, "blocked")
    return candidate


def refusal(error: "APIError") -> ProviderFailure:
    """What a status means; Gemini's own status and message say which 400 it is."""
    status = error.code
    said_so = str(error.message).lower()
    kind: type[ProviderFailure] | None = None
    if status == HTTPStatus.BAD_REQUEST:
        if any(sign in said_so for sign in _TOO_LONG_WORDS):
            kind = TooLongForProvider
        elif error.status == "FAILED_PRECONDITION" or any(sign in said_so for sign in _KEY_WORDS):
            kind = ProviderOut
    headers = getattr(error.response, "headers", None) or {}
    found = failures.of_status(PROVIDER, status, code=error.status, headers=headers, kind=kind)
    if found.retry_after is None:
        found.retry_after = failures.retry_delay(error.details)
    return found
