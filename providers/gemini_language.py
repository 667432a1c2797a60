"""Gemini as a language model."""

from contracts.errors import FormatNotTaken, ProviderOut
from providers.chat_model import Reply, Shape, reply
from providers.gemini_client import PROVIDER, Ask, GeminiClient, GeminiServer
from providers.prompt_files import Filled


class GeminiLanguage:
    """Implements ``ChatModel``.

    Args:
        model: id of the model.
        context_characters: how much text one call may hold.
        timeout: seconds one call may take.
        connect_seconds: to open a connection.
    """

    def __init__(
        self,
        server: GeminiServer,
        *,
        model: str,
        context_characters: int,
        timeout: float,
        connect_seconds: float | None = None,
    ) -> None:
        self._client = GeminiClient(server, timeout=timeout, connect_seconds=connect_seconds)
        self._model = model
        self._context_characters = context_characters

    @property
    def provider(self) -> str:
        """Name of the vendor in attempts and logs."""
        return PROVIDER

    @property
    def engine(self) -> str:
        """Id of the model."""
        return self._model

    @property
    def context_characters(self) -> int:
        """How much text one call may hold."""
        return self._context_characters

    async def ask(self, prompt: Filled, shape: type[Shape]) -> Reply[Shape]:
        """Make exactly one call; see ``ChatModel``."""
        try:
            text, usage = await self._client.generate(
                Ask(
                    model=self._model,
                    system=prompt.system,
                    contents=prompt.user,
                    temperature=prompt.temperature,
                    shape=shape,
                )
            )
        except FormatNotTaken as failure:
            # There is no file whose format it could mean: the model or a parameter is no good.
            raise ProviderOut(failure.message) from None
        return reply(PROVIDER, text, shape, usage)

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._client.aclose()
