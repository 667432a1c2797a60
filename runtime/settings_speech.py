"""Settings of text to speech."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Json, SecretStr

from contracts.speech_setup import SpeechSetup
from contracts.voices import AZURE, GEMINI, KOKORO, LOCAL, OPENAI, SPEECH_TIERS, check_changes
from runtime.settings_groups import Group, Names, Url
from runtime.settings_values import check_tiers

MODELS: Final = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")


def _check_speech_tiers(names: tuple[str, ...]) -> tuple[str, ...]:
    return check_tiers(names, known=SPEECH_TIERS)


def _check_voices(changes: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    check_changes(changes)
    return changes


class SpeechSettings(Group):
    """Who reads aloud."""

    title = "Text to speech"
    speech_tiers: Annotated[Names, AfterValidator(_check_speech_tiers)] = Field(
        (),
        validation_alias="SPEECH_TIERS",
        description="comma list of `openai`, `azure`, `gemini`, `kokoro`, `local`, tried in this "
        "order; else what is configured",
    )
    voices: Annotated[Json[dict[str, dict[str, str]]], AfterValidator(_check_voices)] = Field(
        default="{}",
        validation_alias="SPEECH_VOICES",
        validate_default=True,
        description="JSON: what a tier calls a voice, where that is to differ from the table: "
        '`{"nova": {"azure": "de-DE-SeraphinaMultilingualNeural"}}`; an empty name: the tier is '
        "passed over for that voice",
    )
    call_seconds: float = Field(
        120,
        validation_alias="SPEECH_CALL_TIMEOUT_SECONDS",
        gt=0,
        description="bound of one call for one part of a text",
    )
    days: float = Field(
        7,
        validation_alias="SPEECH_DAYS",
        gt=0,
        description="how long a file lives that nobody listens to",
    )
    parallel_parts: int = Field(
        4,
        validation_alias="SPEECH_PARALLEL_PARTS",
        ge=1,
        le=32,
        description="parts of one text that are spoken at once",
    )
    encoders: int = Field(
        8,
        validation_alias="SPEECH_ENCODERS",
        ge=0,
        le=256,
        description="answers of `/v1/audio/speech` that one API process encodes at once while the "
        "text is still spoken; one more waits for the finished file. `wav` and `pcm` need none",
    )
    pause_seconds: float = Field(
        300,
        validation_alias="SPEECH_PAUSE_SECONDS",
        gt=0,
        le=3600,
        description="longest pause within such an answer, while the next part is spoken or its "
        "client takes nothing; then the connection ends short, and the same call again gets all",
    )
    credits_per_1000: int = Field(
        0,
        validation_alias="SPEECH_CREDITS_PER_1000",
        ge=0,
        description="credits for each 1000 characters begun; a file that is there already is free",
    )
    share_parts: bool = Field(
        default=False,
        validation_alias="SPEECH_SHARE_PARTS",
        description="let a part of a text that was spoken for one user serve every other user's "
        "equal part; a shorter wait then tells that somebody has asked for it before",
    )
    own_token_credits_per_1000: int = Field(
        0,
        validation_alias="SPEECH_OWN_TOKEN_CREDITS_PER_1000",
        ge=0,
        description="the same for texts that a user's own token of OpenAI's pays for "
        "(`openai_token` in `/tts/generate`)",
    )
    own_token_fallback: bool = Field(
        default=False,
        validation_alias="SPEECH_OWN_TOKEN_FALLBACK",
        description="let the tiers of SPEECH_TIERS step in, with our keys, where a user's own "
        "token is refused or its vendor cannot serve; else such a text fails",
    )
    openai_base_url: Url | None = Field(
        None,
        validation_alias="OPENAI_SPEECH_BASE_URL",
        description="another server for speech than for transcription; else OPENAI_BASE_URL",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_SPEECH_API_KEY",
        description="key of OPENAI_SPEECH_BASE_URL, which is never shown OPENAI_API_KEY",
    )
    openai_model: str = Field(
        MODELS[0],
        validation_alias="OPENAI_SPEECH_MODEL",
        description="model of the tier `openai` when a request names none (2026-11: all three of "
        "OPENAI_SPEECH_MODELS are shut down on 2027-01-06)",
    )
    openai_models: Names = Field(
        MODELS,
        validation_alias="OPENAI_SPEECH_MODELS",
        description="comma list of the models a request may name",
    )
    azure_endpoint: Url | None = Field(
        None,
        validation_alias="AZURE_TTS_ENDPOINT",
        description="address of Azure's text to speech; else by the region of AZURE_SPEECH_KEY",
    )
    azure_word_times: bool = Field(
        default=False,
        validation_alias="AZURE_TTS_WORD_TIMES",
        description="have Azure tell when each word is said, by its SDK instead of REST",
    )
    azure_host: str | None = Field(
        None,
        validation_alias="AZURE_TTS_HOST",
        pattern=r"^wss?://[^/]+$",
        description="`wss://…` of that SDK; else by the region",
    )
    gemini_model: str = Field(
        "gemini-2.5-flash-preview-tts",
        validation_alias="GEMINI_SPEECH_MODEL",
        description="model the tier `gemini` asks for (a preview: look for its successor)",
    )
    kokoro_model: Path | None = Field(
        None,
        validation_alias="KOKORO_MODEL",
        description="file of the model (`kokoro-v1.0.onnx`); needs the extra `kokoro`",
    )
    kokoro_voices: Path = Field(
        Path("voices-v1.0.bin"),
        validation_alias="KOKORO_VOICES",
        description="file of its voices, beside the model unless the path is absolute",
    )

    @property
    def keep_seconds(self) -> float:
        """SPEECH_DAYS in seconds."""
        return self.days * 24 * 3600

    def not_for_tokens_of(self, server: str | None) -> str | None:
        """Why no user's own token may speak, in one sentence; none: it may.

        Args:
            server: OPENAI_BASE_URL, which is asked whether a token is one. No other is shown it.
        """
        if self.speech_tiers and OPENAI not in self.speech_tiers:
            return "SPEECH_TIERS does not name openai"
        if self.openai_base_url not in {None, server}:
            return "OPENAI_SPEECH_BASE_URL is another server than the one that knows the tokens"
        return None

    def setup(
        self,
        *,
        openai: tuple[SecretStr | None, str | None],
        gemini: tuple[SecretStr | None, str],
        azure: bool,
        own_tokens: bool = False,
    ) -> SpeechSetup:
        """The tiers and how each is reached.

        Args:
            openai: OPENAI_API_KEY and OPENAI_BASE_URL.
            gemini: GEMINI_API_KEY and GEMINI_BASE_URL.
            azure: whether there is a key of Azure's speech.
            own_tokens: whether users' own tokens of OpenAI's speak.
        """
        url = self.openai_base_url or openai[1]
        # The key of one server is not shown to another.
        key = self.openai_api_key or (openai[0] if self.openai_base_url is None else None)
        configured = {
            OPENAI: key is not None or url is not None,
            AZURE: azure,
            GEMINI: gemini[0] is not None,
            KOKORO: self.kokoro_model is not None,
            LOCAL: True,
        }
        return SpeechSetup(
            tiers=self.speech_tiers or tuple(name for name in SPEECH_TIERS if configured[name]),
            call_seconds=self.call_seconds,
            own_tokens=own_tokens,
            own_token_fallback=self.own_token_fallback,
            voices=self.voices,
            openai_key=key or SecretStr(""),
            openai_url=url,
            openai_model=self.openai_model,
            openai_models=self.openai_models,
            azure_endpoint=self.azure_endpoint,
            azure_host=self.azure_host,
            azure_word_times=self.azure_word_times,
            gemini_key=gemini[0] or SecretStr(""),
            gemini_url=gemini[1],
            gemini_model=self.gemini_model,
            kokoro_model=str(self.kokoro_model or ""),
            kokoro_voices=str((self.kokoro_model or Path()).parent / self.kokoro_voices),
        )
