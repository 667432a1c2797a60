"""Azure text to speech with the times of words, by the Speech SDK: REST does not tell them.

The SDK (1.53) is a blocking C++ library with threads of its own; each part is one synthesiser in a
thread that nobody waits for once the call was given up.
"""

import asyncio
import importlib
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

from contracts.costs import Units
from contracts.errors import ProviderBroken, ProviderFailure, ProviderOut
from contracts.speech import (
    SAMPLE_BYTES,
    Piece,
    SpeechCapabilities,
    Spoken,
    Timing,
    TimingKind,
)
from providers import failures
from providers.azure_live import ERRORS, SDK
from providers.azure_speaking import FASTEST, MAX_CHARACTERS, SLOWEST, check
from providers.azure_speech import PROVIDER, AzureSpeech, SpeechCredential
from providers.ssml import ssml

TICKS: Final = 10_000_000
"""In a second."""


class AzureSpeakingSdk:
    """Implements ``activities.speech_ports.Synthesizer``.

    Args:
        speech: the credentials, with the circuits they have in transcription.
        host: ``wss://host``; none means that of the credential's region.
        timeout: seconds one call may take.
    """

    def __init__(self, speech: AzureSpeech, *, host: str | None, timeout: float) -> None:
        self._speech = speech
        self._host = host
        self._timeout = timeout

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""
        return SpeechCapabilities(
            max_characters=MAX_CHARACTERS,
            timings=TimingKind.WORD,
            min_speed=SLOWEST,
            max_speed=FASTEST,
        )

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Have a part spoken, the times of its words told.

        Raises:
            ProviderFailure: by the tables of ``providers.azure_live``.
        """
        credential = self._speech.first()
        sdk = await asyncio.to_thread(importlib.import_module, SDK)
        call = _Call(sdk, self._config(sdk, credential), ssml(piece).decode())
        try:
            pcm, timings = await self._answered(call)
        except ProviderFailure as failure:
            self._speech.remember(credential, failure)
            raise
        check(pcm, piece)
        await asyncio.to_thread(target.write_bytes, pcm)
        return Spoken(
            samples=len(pcm) // SAMPLE_BYTES,
            units=Units(characters=len(piece.text)),
            speed=piece.speed,
            timings=timings,
        )

    async def _answered(self, call: "_Call") -> tuple[bytes, tuple[Timing, ...]]:
        try:
            return await asyncio.wait_for(call.said, self._timeout)
        except TimeoutError as error:
            raise failures.timed_out(PROVIDER, self._timeout) from error
        finally:
            call.give_up()

    def _config(self, sdk: Any, credential: SpeechCredential) -> Any:
        if self._host:
            config = sdk.SpeechConfig(host=self._host, subscription=credential.key)
        else:
            config = sdk.SpeechConfig(subscription=credential.key, region=credential.region)
        form = sdk.SpeechSynthesisOutputFormat.Raw24Khz16BitMonoPcm
        config.set_speech_synthesis_output_format(form)
        return config


class _Call:
    """One part in a thread of its own."""

    def __init__(self, sdk: Any, config: Any, markup: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.said: asyncio.Future[tuple[bytes, tuple[Timing, ...]]] = self._loop.create_future()
        self._words: list[Timing] = []
        self._synthesizer: Any = sdk.SpeechSynthesizer(speech_config=config, audio_config=None)
        self._synthesizer.synthesis_word_boundary.connect(self._word)
        Thread(target=self._speak, args=(sdk, markup), daemon=True).start()

    def give_up(self) -> None:
        """End the call, if it has not ended."""
        if not self.said.done() or self.said.cancelled():
            self._synthesizer.stop_speaking_async()

    def _speak(self, sdk: Any, markup: str) -> None:
        try:
            result = self._synthesizer.speak_ssml_async(markup).get()
            if result.reason is sdk.ResultReason.SynthesizingAudioCompleted:
                answer = (bytes(result.audio_data), tuple(self._words))
                self._tell(answer)
            else:
                self._tell(_broken_off(result))
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            self._tell(error)

    def _tell(self, answer: Any) -> None:
        def settle() -> None:
            if self.said.done():
                return
            if isinstance(answer, Exception):
                self.said.set_exception(answer)
            else:
                self.said.set_result(answer)

        with suppress(RuntimeError):  # the loop has ended, and nobody listens any more
            self._loop.call_soon_threadsafe(settle)

    def _word(self, event: Any) -> None:
        if event.boundary_type.name != "Word":
            return
        start = event.audio_offset / TICKS
        end = start + event.duration.total_seconds()
        self._words.append(Timing(kind=TimingKind.WORD, text=event.text, start=start, end=end))


def _broken_off(result: Any) -> ProviderFailure:
    code = result.cancellation_details.error_code.name
    kind = ERRORS.get(code, ProviderBroken)
    if code == "BadRequest":
        kind = ProviderOut  # the voice is none of this region
    return kind(f"{PROVIDER} broke off ({code})")
