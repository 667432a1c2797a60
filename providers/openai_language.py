"""Language models of OpenAI, Azure OpenAI, and any server that speaks OpenAI's API.

Facts (openai 3.52): ``chat/completions`` with a JSON schema is what most servers speak (vLLM,
llama.cpp, Ollama, LM Studio, Azure's deployments); ``responses`` is OpenAI's newer one. No bound on
tokens is sent: servers differ in its name and refuse what is beyond their context, and each has a
bound of its own. Models that reason refuse a temperature: it is left out from then on.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from contracts.language_setup import Mode
from providers import failures
from providers.chat_model import Reply, Shape, reply
from providers.openai_chat import (
    TemperatureRefused,
    chat_request,
    refusal,
    responses_request,
    said_in_chat,
    said_in_response,
)
from providers.prompt_files import Filled

if TYPE_CHECKING:
    from openai import AsyncOpenAI

V1: Final = "v1"
"""The Azure API version that needs none: model ids instead of deployments' addresses."""

Got = TypeVar("Got")


class OpenAIServer(NamedTuple):
    """Who is asked.

    Attributes:
        provider: name in attempts and logs.
        api_key: may be empty for a server that wants none.
        base_url: none means OpenAI's.
        azure_api_version: set for Azure, whose ``base_url`` is the resource's endpoint.
    """

    provider: str
    api_key: str
    base_url: str | None = None
    azure_api_version: str | None = None


class OpenAILanguage:
    """Implements ``ChatModel``; the official client never retries here.

    Args:
        model: id of the model; on Azure the name of the deployment.
        context_characters: how much text one call may hold.
        timeout: seconds one call may take.
        mode: ``chat``: JSON schema in a chat; ``chat-json``: any JSON object, for servers without
            schemas; ``responses``: the newer API.
        connect_seconds: to open a connection.
    """

    def __init__(
        self,
        server: OpenAIServer,
        *,
        model: str,
        context_characters: int,
        timeout: float,
        mode: Mode = "chat",
        connect_seconds: float | None = None,
    ) -> None:
        self._server = server
        self._model = model
        self._context_characters = context_characters
        self._timeout = timeout
        self._mode = mode
        self._connect_seconds = connect_seconds
        self._takes_temperature = True
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()

    @property
    def provider(self) -> str:
        """Name of the vendor in attempts and logs."""
        return self._server.provider

    @property
    def engine(self) -> str:
        """Id of the model or deployment."""
        return self._model

    @property
    def context_characters(self) -> int:
        """How much text one call may hold."""
        return self._context_characters

    async def ask(self, prompt: Filled, shape: type[Shape]) -> Reply[Shape]:
        """Make one call; see ``ChatModel``.

        A call refused for its temperature costs nothing and is made again without one.
        """
        client = await self._connected()
        try:
            return await self._ask(client, prompt, shape)
        except TemperatureRefused:
            self._takes_temperature = False
            return await self._ask(client, prompt, shape)

    async def _ask(self, client: "AsyncOpenAI", prompt: Filled, shape: type[Shape]) -> Reply[Shape]:
        extra: dict[str, Any] = {"model": self._model}
        if self._takes_temperature:
            extra["temperature"] = prompt.temperature
        if self._mode == "responses":
            request = responses_request(prompt, shape)
            response = await self._answered(client.responses.create(**request, **extra))
            text, usage = said_in_response(self.provider, response)
        else:
            request = chat_request(prompt, shape, schema=self._mode == "chat")
            completion = await self._answered(client.chat.completions.create(**request, **extra))
            text, usage = said_in_chat(self.provider, completion)
        return reply(self.provider, text, shape, usage)

    async def _answered(self, call: Awaitable[Got]) -> Got:
        import openai  # noqa: PLC0415 - 0.6 s that only a worker with this tier pays

        from providers.sdk_client import without_answer  # noqa: PLC0415 - as above

        try:
            async with asyncio.timeout(self._timeout):
                return await call
        except openai.APIStatusError as error:
            raise refusal(self.provider, error) from None
        except (openai.OpenAIError, TimeoutError, *failures.MALFORMED) as error:
            failure = without_answer(self.provider, self._timeout, error)
            raise failure or failures.unreadable(self.provider) from None

    async def _connected(self) -> "AsyncOpenAI":
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
        return self._client

    def _make(self) -> "AsyncOpenAI":
        from openai import AsyncAzureOpenAI, AsyncOpenAI  # noqa: PLC0415 - as above

        from providers.sdk_client import CONNECT_SECONDS, SdkClient  # noqa: PLC0415 - as above

        http = SdkClient(
            timeout=self._timeout,
            connect_seconds=CONNECT_SECONDS
            if self._connect_seconds is None
            else self._connect_seconds,
        )
        server = self._server
        if server.azure_api_version is not None and server.azure_api_version != V1:
            return AsyncAzureOpenAI(
                azure_endpoint=server.base_url or "",
                azure_deployment=self._model,
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
