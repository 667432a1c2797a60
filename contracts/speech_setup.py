"""Which engines speak and how each is reached: from the settings to the providers."""

from pydantic import SecretStr

from contracts.values import Value


class SpeechSetup(Value):
    """All of them.

    Attributes:
        tiers: names in the order they are tried.
        call_seconds: bound of one call.
        voices: where a tier's name for a voice differs from the table.
        openai_key: empty for a server that wants none.
        openai_url: none means OpenAI's.
        openai_model: spoken with when a request names none.
        openai_models: that a request may name.
        azure_endpoint: none means that of a key's region.
        azure_host: likewise, of the SDK, ``wss://…``.
        azure_word_times: whether the SDK is used, which tells them.
        kokoro_model: file of the model; beside it that of its voices.
    """

    tiers: tuple[str, ...]
    call_seconds: float
    voices: dict[str, dict[str, str]] = {}
    openai_key: SecretStr = SecretStr("")
    openai_url: str | None = None
    openai_model: str = ""
    openai_models: tuple[str, ...] = ()
    azure_endpoint: str | None = None
    azure_host: str | None = None
    azure_word_times: bool = False
    gemini_key: SecretStr = SecretStr("")
    gemini_url: str = ""
    gemini_model: str = ""
    kokoro_model: str = ""
    kokoro_voices: str = ""
