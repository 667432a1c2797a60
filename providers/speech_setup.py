"""The engines that speak, as the settings name them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from contracts.speech import Piece, SpeechCapabilities, SpeechOffer, Spoken
from contracts.speech_setup import SpeechSetup, names_of
from contracts.voices import AZURE, GEMINI, KOKORO, LOCAL, OPENAI, OPENAI_OWN
from providers import kokoro
from providers.azure_speaking import AzureSpeaking
from providers.azure_speaking_sdk import AzureSpeakingSdk
from providers.azure_speech import AzureSpeech, SpeechCredential
from providers.espeak import Espeak
from providers.gemini_client import GeminiServer
from providers.gemini_speech import GeminiSpeech
from providers.kokoro import Kokoro, KokoroModel
from providers.openai_speech import OpenAISpeech
from providers.process_pool import ProcessPool


class Engine(Protocol):
    """What speaks; see ``activities.speech_ports.Synthesizer``."""

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Speak a part into a file of samples."""


class Closable(Protocol):
    """What has connections or children."""

    async def aclose(self) -> None:
        """Close them; safe to call twice."""


class Speaker(NamedTuple):
    """One tier: the engine, and what a plan is made of."""

    engine: Engine
    offer: SpeechOffer


def speakers(
    setup: SpeechSetup,
    pool: ProcessPool,
    azure: Callable[[], AzureSpeech],
    close: Callable[[Closable], object],
) -> dict[str, Speaker]:
    """Every tier of the settings, in their order; behind them the one users pay themselves.

    Args:
        pool: whose children speak for the tier ``local``.
        azure: the credentials, with the circuits they have in transcription.
        close: is told of what has to be closed at the end.
    """
    build: Mapping[str, Callable[[], Engine]] = {
        OPENAI: lambda: _openai(setup, close),
        AZURE: lambda: _azure(setup, azure(), close),
        GEMINI: lambda: _gemini(setup, close),
        KOKORO: lambda: _kokoro(setup, close),
        LOCAL: lambda: Espeak(pool),
    }
    found = {name: _speaker(name, build[name](), setup) for name in setup.tiers}
    if setup.own_tokens:
        engine = _openai(setup, close, own_tokens=True)
        offer = _speaker(OPENAI, engine, setup).offer
        found[OPENAI_OWN] = Speaker(
            engine, offer.model_copy(update={"name": OPENAI_OWN, "own_token": True})
        )
    return found


def _speaker(name: str, engine: Engine, setup: SpeechSetup) -> Speaker:
    offer = SpeechOffer(
        name=name,
        provider=engine.provider,
        capabilities=engine.capabilities,
        names=names_of(setup, name),
        call_seconds=setup.call_seconds,
    )
    return Speaker(engine, offer)


def _openai(
    setup: SpeechSetup, close: Callable[[Closable], object], *, own_tokens: bool = False
) -> Engine:
    vendor = OpenAISpeech(
        api_key="" if own_tokens else setup.openai_key.get_secret_value(),
        base_url=setup.openai_url,
        timeout=setup.call_seconds,
        own_tokens=own_tokens,
    )
    close(vendor)
    return vendor


def _azure(setup: SpeechSetup, speech: AzureSpeech, close: Callable[[Closable], object]) -> Engine:
    if setup.azure_word_times:
        return AzureSpeakingSdk(speech, host=setup.azure_host, timeout=setup.call_seconds)

    def address(credential: SpeechCredential) -> str:
        return setup.azure_endpoint or f"https://{credential.region}.tts.speech.microsoft.com"

    vendor = AzureSpeaking(speech, address, timeout=setup.call_seconds)
    close(vendor)
    return vendor


def _gemini(setup: SpeechSetup, close: Callable[[Closable], object]) -> Engine:
    vendor = GeminiSpeech(
        GeminiServer(setup.gemini_key.get_secret_value(), setup.gemini_url),
        model=setup.gemini_model,
        timeout=setup.call_seconds,
    )
    close(vendor)
    return vendor


def _kokoro(setup: SpeechSetup, close: Callable[[Closable], object]) -> Engine:
    # A child holds the model: one of them, with room for it.
    pool = ProcessPool(workers=1, memory_bytes=kokoro.MEMORY_BYTES)
    close(pool)
    return Kokoro(pool, KokoroModel(setup.kokoro_model, setup.kokoro_voices))
