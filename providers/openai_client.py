"""OpenAI's official client, as all who call it here share it: made once, and it never retries.

Facts (openai 3.52): it wraps what its HTTP client raises; an address of Azure's needs a version, or
ends in ``/openai/v1/``. Importing it takes 0.6 s, which only a worker that calls it pays.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from contracts.errors import ProviderFailure

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

V1: Final = "v1"
"""The Azure API version that needs none: model ids instead of deployments' addresses."""


class OpenAIServer(NamedTuple):
    """Who is asked.

    Attributes:
        provider: name in attempts and logs.
        api_key: may be empty for a server that wants none.
        base_url: any server that speaks the API; none means OpenAI's.
        azure_api_version: set for Azure, whose ``base_url`` is the resource's endpoint.
    """

    provider: str
    api_key: str
    base_url: str | None = None
    azure_api_version: str | None = None


class OpenAIConnection:
    """A client that is made when it is first needed.

    Args:
        timeout: seconds one call may take.
        connect_seconds: to open a connection.
        max_bytes: of an answer that is read whole.
        deployment: on Azure the name of the model's.
    """

    def __init__(
        self,
        server: OpenAIServer,
        *,
        timeout: float,
        connect_seconds: float | None = None,
        max_bytes: int | None = None,
        deployment: str | None = None,
    ) -> None:
        self._server = server
        self._timeout = timeout
        self._connect_seconds = connect_seconds
        self._max_bytes = max_bytes
        self._deployment = deployment
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def calling(
        self, refusal: Callable[["APIStatusError"], ProviderFailure]
    ) -> AsyncIterator["AsyncOpenAI"]:
        """One call and its answer, within the bound; what they raise is raised as ours.

        Args:
            refusal: what a status of 400 and more means.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
        """
        client = await self._connected()
        import openai  # noqa: PLC0415 - as the module says

        from providers.sdk_client import meaning  # noqa: PLC0415 - likewise

        provider = self._server.provider
        try:
            async with asyncio.timeout(self._timeout):
                yield client
        except openai.APIStatusError as error:
            raise refusal(error) from None
        except Exception as error:
            failure = meaning(provider, self._timeout, error, openai.OpenAIError)
            if failure is None:
                raise
            raise failure from None

    async def _connected(self) -> "AsyncOpenAI":
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
        return self._client

    def _make(self) -> "AsyncOpenAI":
        from openai import AsyncAzureOpenAI, AsyncOpenAI  # noqa: PLC0415 - as the module says

        from providers import sdk_client  # noqa: PLC0415 - likewise

        server, connect = self._server, self._connect_seconds
        http = sdk_client.SdkClient(
            timeout=self._timeout,
            connect_seconds=sdk_client.CONNECT_SECONDS if connect is None else connect,
            max_bytes=self._max_bytes or sdk_client.MAX_ANSWER_BYTES,
        )
        if server.azure_api_version not in {None, V1}:
            return AsyncAzureOpenAI(
                azure_endpoint=server.base_url or "",
                azure_deployment=self._deployment,
                api_version=server.azure_api_version,
                api_key=server.api_key,
                max_retries=0,
                timeout=self._timeout,
                http_client=http,
            )
        azure = server.azure_api_version is not None
        return AsyncOpenAI(
            api_key=server.api_key or "none",
            base_url=f"{server.base_url}/openai/v1/" if azure else server.base_url,
            max_retries=0,
            timeout=self._timeout,
            http_client=http,
        )

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        if self._client is not None:
            await self._client.close()
