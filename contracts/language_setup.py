"""Which language models there are and how each is reached: from the settings to the providers."""

from typing import Final, Literal

from pydantic import SecretStr

from contracts.values import Value

GEMINI: Final = "gemini"
AZURE_OPENAI: Final = "azure-openai"
OPENAI: Final = "openai"
LOCAL: Final = "local"
LANGUAGE_TIERS: Final = (GEMINI, AZURE_OPENAI, OPENAI, LOCAL)
"""Tiers of ``LANGUAGE_MODEL_TIERS``, in their default order."""

Mode = Literal["chat", "chat-json", "responses"]
"""How a server of OpenAI's API is asked: JSON schema in a chat, any JSON in a chat, or the newer
API."""


class ModelAccess(Value):
    """One model behind one address.

    Attributes:
        key: empty for a server that wants none.
        url: none means the vendor's own.
        model: id of the model; on Azure the name of the deployment.
        context_characters: how much text one call may hold.
        mode: of OpenAI's API.
        api_version: of Azure.
    """

    key: SecretStr
    url: str | None = None
    model: str
    context_characters: int
    mode: Mode = "chat"
    api_version: str | None = None


class LanguageSetup(Value):
    """All of them.

    Attributes:
        tiers: names in the order they are tried; the local one needs no access.
        access: by the name of the tier.
        call_seconds: bound of one call.
        parallel_calls: for notes on the parts of one long text.
    """

    tiers: tuple[str, ...]
    access: dict[str, ModelAccess]
    call_seconds: float
    parallel_calls: int

    @property
    def models(self) -> tuple[str, ...]:
        """The tiers that are models: what only a model can do is done by one of them."""
        return tuple(name for name in self.tiers if name != LOCAL)
