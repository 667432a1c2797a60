"""Settings of the language models, of Gemini, and of Whisper on our own machine."""

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from contracts.language_setup import (
    AZURE_OPENAI,
    GEMINI,
    LANGUAGE_TIERS,
    LOCAL,
    OPENAI,
    LanguageSetup,
    Mode,
    ModelAccess,
)
from runtime.settings_groups import Group, Names, Url
from runtime.settings_values import check_tiers

SMALLEST_CONTEXT: Final = 4000
_NEEDS: Final = {
    GEMINI: ("gemini_api_key",),
    AZURE_OPENAI: ("azure_endpoint", "azure_key", "azure_deployment"),
    OPENAI: (),
    LOCAL: (),
}


def _check_language_tiers(names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Known names, and none whose key or address is missing."""
    for name in check_tiers(names, known=LANGUAGE_TIERS):
        for field in _NEEDS[name]:
            if field in info.data and info.data[field] is None:
                alias = LanguageSettings.model_fields[field].validation_alias
                raise ValueError(f"it names {name}, and {alias} is not set")
    return names


def _context(name: str, default: int, model: str) -> Any:
    return Field(
        default,
        validation_alias=name,
        ge=SMALLEST_CONTEXT,
        description=f"characters of text one call to {model} may hold, about two for each token "
        "of its context; longer texts are read in parts",
    )


class LanguageSettings(Group):
    """Who writes headlines, answers and memories."""

    title = "Language models"
    call_seconds: float = Field(
        120,
        validation_alias="LANGUAGE_CALL_TIMEOUT_SECONDS",
        gt=0,
        description="bound of one call to a language model",
    )
    parallel_calls: int = Field(
        4,
        validation_alias="LANGUAGE_PARALLEL_CALLS",
        gt=0,
        description="parts of one long text read at once",
    )
    gemini_api_key: SecretStr | None = Field(
        None, validation_alias="GEMINI_API_KEY", description="key of Gemini"
    )
    gemini_base_url: Url = Field(
        "https://generativelanguage.googleapis.com",
        validation_alias="GEMINI_BASE_URL",
        description="address of Gemini's API, without a version",
    )
    gemini_model: str = Field(
        "gemini-3.8-flash",
        validation_alias="GEMINI_MODEL",
        description="model of the tier `gemini` (2026-11: no shut-down announced)",
    )
    gemini_context: int = _context("GEMINI_CONTEXT_CHARACTERS", 1_000_000, "Gemini")
    azure_endpoint: Url | None = Field(
        None,
        validation_alias="AZURE_OPENAI_ENDPOINT",
        description="address of the Azure OpenAI resource",
    )
    azure_key: SecretStr | None = Field(
        None, validation_alias="AZURE_OPENAI_KEY", description="key of the Azure OpenAI resource"
    )
    azure_deployment: str | None = Field(
        None,
        validation_alias="AZURE_OPENAI_DEPLOYMENT",
        description="name of the deployment the tier `azure-openai` asks; Azure retires the models "
        "behind deployments by its own dates",
    )
    azure_api_version: str = Field(
        "2024-10-21",
        validation_alias="AZURE_OPENAI_API_VERSION",
        pattern=r"^(v1|\d{4}-\d{2}-\d{2}(-preview)?)$",
        description="a date: the deployment is part of the address; `v1`: Azure's newer API, "
        "where it is the model's name",
    )
    azure_mode: Mode = Field(
        "chat",
        validation_alias="AZURE_OPENAI_MODE",
        description="as OPENAI_LANGUAGE_MODE; `responses` needs the API version `v1`",
    )
    azure_context: int = _context("AZURE_OPENAI_CONTEXT_CHARACTERS", 200_000, "Azure OpenAI")
    openai_base_url: Url | None = Field(
        None,
        validation_alias="OPENAI_LANGUAGE_BASE_URL",
        description="another server for language than for transcription; else OPENAI_BASE_URL",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_LANGUAGE_API_KEY",
        description="key of OPENAI_LANGUAGE_BASE_URL, which is never shown OPENAI_API_KEY",
    )
    openai_model: str = Field(
        "gpt-5.4-mini",
        validation_alias="OPENAI_LANGUAGE_MODEL",
        description="model of the tier `openai` (2026-11: no shut-down announced; gpt-5-mini is "
        "shut down on 2026-12-11, gpt-4o and gpt-4.1 on 2027-01-14, gpt-5.4-nano on 2027-04-01)",
    )
    openai_mode: Mode = Field(
        "chat",
        validation_alias="OPENAI_LANGUAGE_MODE",
        description="`chat`: chat completions with a JSON schema, which most servers speak; "
        "`chat-json`: for servers that know no schemas; `responses`: OpenAI's newer API",
    )
    openai_context: int = _context("OPENAI_CONTEXT_CHARACTERS", 200_000, "the tier `openai`")
    language_model_tiers: Annotated[Names, AfterValidator(_check_language_tiers)] = Field(
        (),
        validation_alias="LANGUAGE_MODEL_TIERS",
        description="comma list of `gemini`, `azure-openai`, `openai`, `local`, tried in this "
        "order; else what is configured",
    )
    translation_credits: int = Field(
        5,
        validation_alias="TRANSLATION_CREDITS",
        ge=0,
        description="credits for one recording translated into English; what is English already "
        "is free",
    )

    def setup(self, openai_key: SecretStr | None, openai_url: str | None) -> LanguageSetup:
        """The tiers and how each is reached.

        Args:
            openai_key: OPENAI_API_KEY.
            openai_url: OPENAI_BASE_URL.
        """
        access = self._access(openai_key, openai_url)
        configured = tuple(name for name in LANGUAGE_TIERS if name in access or name == LOCAL)
        tiers = self.language_model_tiers or configured
        if OPENAI in tiers and OPENAI not in access:
            access[OPENAI] = self._openai(None, None)
        return LanguageSetup(
            tiers=tiers,
            access={name: found for name, found in access.items() if name in tiers},
            call_seconds=self.call_seconds,
            parallel_calls=self.parallel_calls,
        )

    def _access(
        self, openai_key: SecretStr | None, openai_url: str | None
    ) -> dict[str, ModelAccess]:
        found: dict[str, ModelAccess] = {}
        if self.gemini_api_key is not None:
            found[GEMINI] = ModelAccess(
                key=self.gemini_api_key,
                url=self.gemini_base_url,
                model=self.gemini_model,
                context_characters=self.gemini_context,
            )
        if self.azure_endpoint and self.azure_key and self.azure_deployment:
            found[AZURE_OPENAI] = ModelAccess(
                key=self.azure_key,
                url=self.azure_endpoint,
                model=self.azure_deployment,
                context_characters=self.azure_context,
                mode=self.azure_mode,
                api_version=self.azure_api_version,
            )
        url = self.openai_base_url or openai_url
        # The key of one server is not shown to another.
        key = self.openai_api_key or (openai_key if self.openai_base_url is None else None)
        if url is not None or key is not None:
            found[OPENAI] = self._openai(url, key)
        return found

    def _openai(self, url: str | None, key: SecretStr | None) -> ModelAccess:
        return ModelAccess(
            key=key or SecretStr(""),
            url=url,
            model=self.openai_model,
            context_characters=self.openai_context,
            mode=self.openai_mode,
        )


class SpeechEngineSettings(Group):
    """Further engines that transcribe."""

    title = "Further transcribers"
    gemini_model: str = Field(
        "gemini-3.8-flash",
        validation_alias="GEMINI_TRANSCRIPTION_MODEL",
        description="model the transcription tier `gemini` asks for (2026-11: no shut-down "
        "announced)",
    )
    whisper_model: str | None = Field(
        None,
        validation_alias="WHISPER_MODEL",
        description="folder of a CTranslate2 model, or a name (`small`) that is in "
        "WHISPER_MODELS_DIR; needs the extra `whisper`",
    )
    whisper_models_dir: Path = Field(
        Path("~/.cache/huggingface/hub"),
        validation_alias="WHISPER_MODELS_DIR",
        description="where models by name lie; nothing is downloaded while serving",
    )
    whisper_device: str = Field(
        "auto", validation_alias="WHISPER_DEVICE", description="`cpu`, `cuda` or `auto`"
    )
    whisper_compute_type: str = Field(
        "default",
        validation_alias="WHISPER_COMPUTE_TYPE",
        description="of CTranslate2: `int8`, `float16`, …",
    )
