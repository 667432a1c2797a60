"""The language models that are configured, put together."""

from contracts.errors import ProviderOut
from contracts.language_setup import AZURE_OPENAI, GEMINI, LOCAL, LanguageSetup, ModelAccess
from providers.chat_model import ChatModel
from providers.gemini_client import BASE_URL, GeminiServer
from providers.gemini_language import GeminiLanguage
from providers.language_chain import LanguageChain
from providers.language_tiers import LanguageTier, LocalTier, PromptedTier
from providers.local_language import LocalLanguage
from providers.openai_client import OpenAIServer
from providers.openai_language import OpenAILanguage
from providers.process_pool import ProcessPool


def language_chain(setup: LanguageSetup, pool: ProcessPool) -> LanguageChain:
    """Every tier in its order; nothing is connected before the first call.

    Args:
        pool: for the local engine.

    Raises:
        ProviderOut: a tier has no access.
    """
    return LanguageChain([_tier(name, setup, pool) for name in setup.tiers])


def _tier(name: str, setup: LanguageSetup, pool: ProcessPool) -> LanguageTier:
    if name == LOCAL:
        return LocalTier(name, LocalLanguage(pool))
    if name not in setup.access:
        raise ProviderOut(f"The language tier {name} is not configured")
    model = chat_model(name, setup.access[name], setup.call_seconds)
    return PromptedTier(name, model, parallel=setup.parallel_calls)


def chat_model(name: str, access: ModelAccess, call_seconds: float) -> ChatModel:
    """The model behind a tier."""
    key = access.key.get_secret_value()
    if name == GEMINI:
        return GeminiLanguage(
            GeminiServer(key, access.url or BASE_URL),
            model=access.model,
            context_characters=access.context_characters,
            timeout=call_seconds,
        )
    azure = access.api_version if name == AZURE_OPENAI else None
    return OpenAILanguage(
        OpenAIServer(name, key, access.url, azure),
        model=access.model,
        context_characters=access.context_characters,
        timeout=call_seconds,
        mode=access.mode,
    )
