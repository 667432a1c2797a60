"""The engines the settings name: what works on recordings and on words, closed with the worker."""

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from activities.ports import Headliner, MediaTools, Transcriber, VoiceActivity
from providers.azure_fast import AzureFast, FastOptions
from providers.azure_speech import AzureSpeech, SpeechCredential
from providers.gemini_client import GeminiServer
from providers.gemini_transcription import GeminiTranscription
from providers.language_chain import ChainHeadliner
from providers.language_setup import language_chain
from providers.media_tools import MediaTools as Tools
from providers.openai_transcription import OpenAITranscription
from providers.pocketsphinx import Pocketsphinx
from providers.process_pool import ProcessPool
from providers.whisper import Whisper, WhisperModel
from runtime.settings import Settings


@dataclass(frozen=True)
class Engines:
    """What works on recordings and words.

    Attributes:
        transcribers: by the name of their tier, in the order in which they are tried.
    """

    tools: MediaTools
    voice: VoiceActivity
    transcribers: Mapping[str, Transcriber]
    headliner: Headliner


async def open_engines(settings: Settings, stack: AsyncExitStack) -> Engines:
    """The engines of the settings; ``stack`` closes what was opened for them."""
    pool = ProcessPool(workers=settings.worker.media_slots or os.cpu_count() or 1)
    stack.push_async_callback(pool.aclose)
    tools = Tools(settings.data_dir / "work", ffmpeg=settings.media.ffmpeg)
    stack.push_async_callback(tools.aclose)
    await tools.start()
    sphinx = Pocketsphinx(pool)
    chain = language_chain(settings.language_setup, pool)
    stack.push_async_callback(chain.aclose)
    return Engines(
        tools=tools,
        voice=sphinx,
        transcribers=_Tiers(settings, pool, sphinx, stack).all(),
        headliner=ChainHeadliner(chain),
    )


class _Tiers:
    """Builds the engine behind each tier."""

    def __init__(
        self, settings: Settings, pool: ProcessPool, sphinx: Pocketsphinx, stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._sphinx = sphinx
        self._stack = stack
        self._azure: AzureSpeech | None = None

    def all(self) -> dict[str, Transcriber]:
        """Every tier of the settings, by its name, in the order in which they are tried."""
        build: Mapping[str, Callable[[], Transcriber]] = {
            "azure-fast": self._azure_fast,
            "azure-fast-other-region": lambda: self._azure_fast(AzureSpeech.other_region),
            "azure-fast-converted": lambda: self._azure_fast(converted=True),
            "openai": self._openai,
            "gemini": self._gemini,
            "whisper": self._whisper,
            "local": lambda: self._sphinx,
        }
        return {name: build[name]() for name in self._settings.tiers}

    def _azure_fast(
        self,
        choose: Callable[[AzureSpeech], SpeechCredential] = AzureSpeech.first,
        *,
        converted: bool = False,
    ) -> Transcriber:
        azure = self._settings.azure
        options = FastOptions(
            locales=azure.speech_locales,
            speakers=azure.speech_speakers,
            phrases=azure.speech_phrases,
            max_bytes=azure.fast_max_mb << 20,
            max_seconds=azure.fast_max_seconds,
        )
        return AzureFast(self._speech(), options, choose=choose, converted=converted)

    def _speech(self) -> AzureSpeech:
        """The credentials and their circuits, shared by all of Azure's tiers."""
        if self._azure is None:
            azure = self._settings.azure
            credentials = [
                SpeechCredential(key.name, key.region, key.endpoint, key.key.get_secret_value())
                for key in azure.speech_keys()
            ]
            self._azure = AzureSpeech(
                credentials,
                api_version=azure.speech_api_version,
                timeout=self._settings.transcription.vendor_call_timeout_seconds,
            )
            self._stack.push_async_callback(self._azure.aclose)
        return self._azure

    def _openai(self) -> Transcriber:
        wanted = self._settings.transcription
        vendor = OpenAITranscription(
            api_key=wanted.openai_api_key.get_secret_value() if wanted.openai_api_key else "",
            base_url=wanted.openai_base_url,
            model=wanted.openai_transcription_model,
            timeout=wanted.vendor_call_timeout_seconds,
            max_bytes=wanted.openai_transcription_max_mb << 20,
        )
        self._stack.push_async_callback(vendor.aclose)
        return vendor

    def _gemini(self) -> Transcriber:
        language = self._settings.language
        key = language.gemini_api_key.get_secret_value() if language.gemini_api_key else ""
        vendor = GeminiTranscription(
            GeminiServer(key, language.gemini_base_url),
            model=self._settings.engines.gemini_model,
            timeout=self._settings.transcription.vendor_call_timeout_seconds,
        )
        self._stack.push_async_callback(vendor.aclose)
        return vendor

    def _whisper(self) -> Transcriber:
        engines = self._settings.engines
        model = WhisperModel(
            engines.whisper_model or "",
            str(engines.whisper_models_dir.expanduser()),
            engines.whisper_device,
            engines.whisper_compute_type,
        )
        return Whisper(self._pool, model)
