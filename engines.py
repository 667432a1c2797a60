"""The engines the settings name: what works on recordings and on words, closed with the worker."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

from activities.batch import BatchEngine
from activities.language_ports import LanguageModel
from activities.notification_ports import Notifier
from activities.own_tokens import OwnTokens
from activities.ports import MediaTools, Transcriber, VoiceActivity
from activities.speech_ports import Joiner, LanguageGuess
from contracts.outside import EXTERNAL
from contracts.tiers import TierOffer
from providers.azure_batch import AzureBatch, BatchOptions
from providers.azure_blob_staging import AzureBlobStaging
from providers.azure_fast import AzureFast, FastOptions
from providers.azure_speech import AzureSpeech, SpeechCredential
from providers.egress import Outside
from providers.gemini_client import GeminiServer
from providers.gemini_transcription import GeminiTranscription
from providers.language_guess import LanguageGuesser
from providers.language_setup import language_chain
from providers.mail_log import MailLog
from providers.mana_notify import ManaNotify
from providers.media_tools import MediaTools as Tools
from providers.openai_transcription import OpenAITranscription
from providers.pocketsphinx import Pocketsphinx
from providers.process_pool import ProcessPool
from providers.remote_credits import RemoteCredits
from providers.smtp_mail import SmtpMail, SmtpSetup, SmtpTls
from providers.speech_join import SpeechJoiner
from providers.speech_setup import Speaker, speakers
from providers.whisper import MEMORY_BYTES as WHISPER_MEMORY_BYTES
from providers.whisper import Whisper, WhisperModel
from runtime.names import Names
from runtime.sessions import own_token_seals
from runtime.settings import Settings

AZURE_BATCH: Final = "azure-batch"
MEGABYTE: Final = 1_000_000
"""As Azure counts its limits."""


@dataclass(frozen=True)
class Engines:
    """What works on recordings and words.

    Attributes:
        transcribers: by the name of their tier.
        batches: likewise, those whose vendor works in its own time.
        tiers: names in the order in which they are tried; none: that of the transcribers.
        outside_seconds: how long the tier `external` waits.
        speakers: that read aloud, by the name of their tier, in the order they are tried.
        joiner: makes one file of what they say.
        guess: finds out the language of a text.
    """

    tools: MediaTools
    voice: VoiceActivity
    transcribers: Mapping[str, Transcriber]
    language: LanguageModel
    joiner: Joiner
    guess: LanguageGuess
    batches: Mapping[str, BatchEngine] = field(default_factory=dict)
    tiers: tuple[str, ...] = ()
    outside_seconds: float = 0.0
    speakers: Mapping[str, Speaker] = field(default_factory=dict)

    def offers(self, call_seconds: float) -> tuple[TierOffer, ...]:
        """What the plan of a recording is made of.

        Args:
            call_seconds: bound of one call to a vendor.
        """
        return tuple(
            self._offer(name, call_seconds) for name in self.tiers or tuple(self.transcribers)
        )

    def _offer(self, name: str, call_seconds: float) -> TierOffer:
        if name == EXTERNAL:
            return TierOffer(
                name=name, provider=EXTERNAL, call_seconds=self.outside_seconds, outside=True
            )
        batch = self.batches.get(name)
        engine = batch.transcriber if batch else self.transcribers[name]
        return TierOffer(
            name=name,
            provider=engine.provider,
            capabilities=engine.capabilities,
            call_seconds=call_seconds,
            batch=batch is not None,
        )


def open_outside(settings: Settings, stack: AsyncExitStack) -> Outside:
    """The way out to addresses that strangers give."""
    names = Names()
    stack.callback(names.close)
    return Outside(settings.egress.rules, names)


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
    tiers = Tiers(settings, sphinx, stack)
    return Engines(
        tools=tools,
        voice=sphinx,
        transcribers=tiers.transcribers(),
        batches=tiers.batches(),
        language=chain,
        tiers=settings.tiers,
        outside_seconds=settings.transcription.external_transcript_timeout_seconds,
        joiner=SpeechJoiner(tools.ffmpeg, tools.workspace),
        guess=LanguageGuesser(pool),
        speakers=speakers(
            settings.speech_setup,
            pool,
            tiers.speech,
            lambda engine: stack.push_async_callback(engine.aclose),
        ),
    )


class Tiers:
    """Builds the engine behind each tier.

    Args:
        stack: closes what is opened.
        clock: seconds that never go back, for credentials that rest.
    """

    def __init__(
        self,
        settings: Settings,
        sphinx: Pocketsphinx,
        stack: AsyncExitStack,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sphinx = sphinx
        self._stack = stack
        self._clock = clock
        self._azure: AzureSpeech | None = None

    def batches(self) -> dict[str, BatchEngine]:
        """The tiers of the settings whose vendor works in its own time."""
        return {name: self._azure_batch() for name in self._settings.tiers if name == AZURE_BATCH}

    def transcribers(self) -> dict[str, Transcriber]:
        """The other tiers of the settings, by their names."""
        build: Mapping[str, Callable[[], Transcriber]] = {
            "azure-fast": self._azure_fast,
            "azure-fast-other-region": lambda: self._azure_fast(AzureSpeech.other_region),
            "azure-fast-converted": lambda: self._azure_fast(converted=True),
            "openai": self._openai,
            "gemini": self._gemini,
            "whisper": self._whisper,
            "local": lambda: self._sphinx,
        }
        others = {AZURE_BATCH, EXTERNAL}
        return {name: build[name]() for name in self._settings.tiers if name not in others}

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
            max_bytes=azure.fast_max_mb * MEGABYTE,
            max_seconds=azure.fast_max_seconds,
        )
        return AzureFast(self.speech(), options, choose=choose, converted=converted)

    def _azure_batch(self) -> BatchEngine:
        azure = self._settings.azure
        url, key = azure.blob_url() or "", azure.storage_account_key
        staging = AzureBlobStaging(
            account_url=url,
            account=azure.storage_account_name or "",
            key=key.get_secret_value() if key else "",
            container=azure.staging_container,
            timeout=self._settings.transcription.vendor_call_timeout_seconds,
        )
        self._stack.push_async_callback(staging.aclose)
        options = BatchOptions(
            locales=azure.speech_locales,
            speakers=azure.speech_speakers,
            max_bytes=azure.batch_max_mb * MEGABYTE,
            staging_url=url,
        )
        return BatchEngine(AzureBatch(self.speech(), options), staging)

    def speech(self) -> AzureSpeech:
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
                clock=self._clock,
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
        # A child holds the model: one of them, with room for it.
        pool = ProcessPool(workers=1, memory_bytes=WHISPER_MEMORY_BYTES)
        self._stack.push_async_callback(pool.aclose)
        return Whisper(pool, model)


def credits_service(settings: Settings) -> RemoteCredits | None:
    """The service that keeps the credits of users; none: the ledger does."""
    services = settings.services
    if services.mana_credits_url is None:
        return None
    key = services.service_key or SecretStr("")
    return RemoteCredits(services.mana_credits_url, key, settings.mail.app_id)


def open_own_tokens(settings: Settings) -> OwnTokens:
    """Opens the tokens of users that the API has sealed, where such tokens speak."""
    if settings.own_tokens_closed is not None:
        return OwnTokens()
    return OwnTokens(own_token_seals(settings.sign_in, settings.data_dir).open)


def open_notifier(settings: Settings, stack: AsyncExitStack) -> Notifier:
    """The way out for mail: the notification service, else the mail server, else none."""
    mail = settings.mail
    if mail.notify_url is not None:
        service = ManaNotify(mail.notify_url, settings.services.service_key, mail.app_id)
        stack.push_async_callback(service.aclose)
        return service
    if mail.smtp_host is not None:
        setup = SmtpSetup(
            host=mail.smtp_host,
            port=mail.smtp_port,
            sender=mail.smtp_from,
            tls=SmtpTls(mail.smtp_tls),
            username=mail.smtp_username,
            password=mail.smtp_password,
            seconds=mail.smtp_timeout_seconds,
        )
        return SmtpMail(setup)
    return MailLog()
