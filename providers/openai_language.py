"""Language models of OpenAI, Azure OpenAI, and any server that speaks OpenAI's API.

Facts (openai 3.52): ``chat/completions`` with a JSON schema is what most servers speak (vLLM,
llama.cpp, Ollama, LM Studio, Azure's deployments); ``responses`` is OpenAI's newer one. No bound on
tokens is sent: servers differ in its name and refuse what is beyond their context, and each has a
bound of its own. Models that reason refuse a temperature: it is left out from then on.
"""

from typing import TYPE_CHECKING, Any

from contracts.errors import ProviderFailure
from contracts.language_setup import Mode
from providers.chat_model import Reply, Shape, reply
from providers.openai_chat import (
    TemperatureRefused,
    chat_request,
    refusal,
    responses_request,
    said_in_chat,
    said_in_response,
)
from providers.openai_client import OpenAIConnection, OpenAIServer
from providers.prompt_files import Filled

if TYPE_CHECKING:
    from openai import APIStatusError


class OpenAILanguage:
    """Implements ``ChatModel``.

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
        self._mode = mode
        self._takes_temperature = True
        self._openai = OpenAIConnection(
            server, timeout=timeout, connect_seconds=connect_seconds, deployment=model
        )

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
        try:
            return await self._ask(prompt, shape)
        except TemperatureRefused:
            self._takes_temperature = False
            return await self._ask(prompt, shape)

    async def _ask(self, prompt: Filled, shape: type[Shape]) -> Reply[Shape]:
        extra: dict[str, Any] = {"model": self._model}
        if self._takes_temperature:
            extra["temperature"] = prompt.temperature
        if self._mode == "responses":
            extra |= responses_request(prompt, shape)
            async with self._openai.calling(self._refusal) as client:
                response = await client.responses.create(**extra)
            text, usage = said_in_response(self.provider, response)
        else:
            extra |= chat_request(prompt, shape, schema=self._mode == "chat")
            async with self._openai.calling(self._refusal) as client:
                completion = await client.chat.completions.create(**extra)
            text, usage = said_in_chat(self.provider, completion)
        return reply(self.provider, text, shape, usage)

    def _refusal(self, error: "APIStatusError") -> ProviderFailure:
        return refusal(self.provider, error)

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._openai.aclose()
