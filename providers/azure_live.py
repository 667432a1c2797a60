"""Azure's live recognition: what is said in a stream, sentence by sentence, while it is said.

By the Speech SDK for Python 1.53 (a blocking C++ library with threads of its own, that takes up a
lost connection again by itself and sends once more what was not answered). It pulls the audio, so
no more of it is in memory than the vendor has room for. Speakers are ``Guest-1``, ``Guest-2``, …
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from threading import Thread
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from contracts.audio import CONVERTED_RATE
from contracts.errors import ProviderBroken, ProviderBusy, ProviderFailure, ProviderOut
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart
from providers import failures
from providers.azure_answers import LivePhrase, part_of_live
from providers.azure_locales import locales
from providers.azure_speech import PROVIDER, AzureSpeech, SpeechCredential

SDK: Final = "azure.cognitiveservices.speech"
"""Imported when it is first used; it takes 0.2 s and 8 MB."""
SAMPLE_BYTES: Final = 2
CHUNKS_AHEAD: Final = 8
CLOSING_SECONDS: Final = 30.0
"""How long the vendor may be silent after the audio ended."""
STOPPING_SECONDS: Final = 2.0
"""The library waits ten seconds for a vendor that hangs; nobody else does."""
MOST_CANDIDATES: Final = 10

CAPABILITIES: Final = Capabilities(
    containers=frozenset({"wav"}),
    codecs=frozenset({"pcm_s16le"}),
    sample_rate=CONVERTED_RATE,
    channels=1,
    diarization=True,
    word_times=True,
)
"""Samples without a header; any of the vendor's languages, told apart among ten at most."""

ERRORS: Final[Mapping[str, type[ProviderFailure]]] = MappingProxyType(
    {
        "AuthenticationFailure": ProviderOut,
        "Forbidden": ProviderOut,
        "TooManyRequests": ProviderBusy,
        "ConnectionFailure": ProviderBusy,
        "ServiceTimeout": ProviderBusy,
        "ServiceError": ProviderBusy,
        "ServiceUnavailable": ProviderBusy,
    }
)
"""The library's ``CancellationErrorCode``; any other makes no sense."""


@dataclass(frozen=True)
class LiveOptions:
    """What the settings say about it.

    Attributes:
        locales: expected when a stream names no language; BCP 47 with a region.
        phrases: words it should expect.
        host: ``wss://host``; none means that of the credential's region.
        closing_seconds: how long the vendor may be silent after the audio ended.
    """

    locales: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    host: str | None = None
    closing_seconds: float = CLOSING_SECONDS


class AzureLive:
    """Implements ``StreamTranscriber`` of ``activities.stream_ports``."""

    def __init__(self, speech: AzureSpeech, options: LiveOptions) -> None:
        self._speech = speech
        self._options = options

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""
        return CAPABILITIES

    async def transcribe_stream(
        self, audio: AsyncIterator[bytes], *, languages: Sequence[str], diarization: bool
    ) -> AsyncGenerator[TranscriptPart, None]:
        """Yield what is heard, sentence by sentence, while it comes.

        Raises:
            ProviderFailure: by the table above.
        """
        credential = self._speech.first()
        sdk = await asyncio.to_thread(importlib.import_module, SDK)
        asked = locales(languages, self._options.locales)[:MOST_CANDIDATES]
        call = _Call(audio, self._options.closing_seconds)
        only, end = asked[0] if len(asked) == 1 else None, 0.0
        try:
            await call.start(lambda: self._recogniser(sdk, credential, asked, call))
            async for phrase in call.phrases():
                part = part_of_live(phrase, end, only, diarization=diarization)
                if part.utterances:
                    end = part.end
                    yield part
        except ProviderFailure as failure:
            self._speech.remember(credential, failure)
            raise
        finally:
            await call.stop()
        if end < call.seconds:
            yield TranscriptPart(start=end, end=call.seconds)

    def _recogniser(
        self, sdk: Any, credential: SpeechCredential, asked: Sequence[str], call: "_Call"
    ) -> Any:
        if self._options.host:
            config = sdk.SpeechConfig(host=self._options.host, subscription=credential.key)
        else:
            config = sdk.SpeechConfig(subscription=credential.key, region=credential.region)
        config.output_format = sdk.OutputFormat.Detailed
        config.set_profanity(sdk.ProfanityOption.Raw)
        config.request_word_level_timestamps()
        extra: dict[str, Any] = {}
        if len(asked) == 1:
            config.speech_recognition_language = asked[0]
        else:
            mode = sdk.PropertyId.SpeechServiceConnection_LanguageIdMode
            config.set_property(mode, "Continuous")
            detect = sdk.languageconfig.AutoDetectSourceLanguageConfig(languages=list(asked))
            extra["auto_detect_source_language_config"] = detect
        samples = sdk.audio.AudioStreamFormat(CONVERTED_RATE, SAMPLE_BYTES * 8, 1)
        call.stream = sdk.audio.PullAudioInputStream(_puller(sdk, call), samples)
        source = sdk.audio.AudioConfig(stream=call.stream)
        recogniser = sdk.transcription.ConversationTranscriber(config, source, **extra)
        if self._options.phrases:
            grammar = sdk.PhraseListGrammar.from_recognizer(recogniser)
            for phrase in self._options.phrases:
                grammar.addPhrase(phrase)
        return recogniser


class _Mark(Enum):
    """What can happen beside a phrase."""

    AUDIO_ENDED = "audio ended"
    STOPPED = "stopped"


class _Call:
    """One stream: audio goes from our loop to the library's threads, phrases come back."""

    def __init__(self, audio: AsyncIterator[bytes], closing_seconds: float) -> None:
        self._audio = audio
        self._closing_seconds = closing_seconds
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(CHUNKS_AHEAD)
        self._events: asyncio.Queue[str | _Mark | Exception] = asyncio.Queue()
        self._pumping: asyncio.Task[None] | None = None
        self._rest = b""
        self._closed = self._stopped = False
        self._bytes = 0
        self._recogniser: list[Any] = []
        self.stream: Any = None
        """The library crashes when this is forgotten while it still listens."""

    @property
    def seconds(self) -> float:
        """Length of the audio so far."""
        return self._bytes / SAMPLE_BYTES / CONVERTED_RATE

    async def start(self, make: Callable[[], Any]) -> None:
        """Begin to listen."""
        self._pumping = asyncio.create_task(self._pump())
        await asyncio.to_thread(self._begin, make)

    def _begin(self, make: Callable[[], Any]) -> None:
        recogniser = make()
        self._recogniser.append(recogniser)
        recogniser.transcribed.connect(lambda event: self._say(event.result.json))
        recogniser.canceled.connect(self._cancelled)
        recogniser.session_stopped.connect(lambda _: self._say(_Mark.STOPPED))
        recogniser.start_transcribing_async().get()

    async def phrases(self) -> AsyncIterator[LivePhrase]:
        """What is heard, until the vendor has answered everything.

        Raises:
            ProviderFailure: the vendor gave up, or says nothing more.
        """
        patience: float | None = None
        while True:
            try:
                event = await asyncio.wait_for(self._events.get(), patience)
            except TimeoutError as error:
                raise failures.timed_out(PROVIDER, self._closing_seconds) from error
            if isinstance(event, Exception):
                raise event
            if event is _Mark.AUDIO_ENDED:
                patience = self._closing_seconds
            elif event is _Mark.STOPPED:
                self._stopped = True
                return
            else:
                yield _read(event)

    async def stop(self) -> None:
        """End the call, heard to the end or not."""
        self._closed = True
        if self._pumping is not None:
            self._pumping.cancel()
            await asyncio.gather(self._pumping, return_exceptions=True)
        while not self._chunks.empty():
            self._chunks.get_nowait()
        self._chunks.put_nowait(None)
        ended = asyncio.Event()
        # Not a thread of the pool: the process would wait for it when it ends.
        Thread(target=self._end, args=(ended,), daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), STOPPING_SECONDS)

    def _end(self, ended: asyncio.Event) -> None:
        """All that may block, forgetting the recogniser included: nobody else holds it."""
        while self._recogniser:
            recogniser = self._recogniser.pop()
            for signal in (recogniser.transcribed, recogniser.canceled, recogniser.session_stopped):
                signal.disconnect_all()
            if not self._stopped:
                recogniser.stop_transcribing_async().get()
            del recogniser, signal
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(ended.set)

    def read(self, buffer: memoryview) -> int:
        """Give the library's thread what it asks for; 0 is the end. Waits for audio to come."""
        while not self._rest:
            if self._closed:
                return 0
            asked = asyncio.run_coroutine_threadsafe(self._chunks.get(), self._loop)
            try:
                chunk = asked.result()
            except CancelledError:  # the loop is ending
                chunk = None
            if chunk is None:
                self._closed = True
            self._rest = chunk or b""
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    async def _pump(self) -> None:
        try:
            async for chunk in self._audio:
                self._bytes += len(chunk)
                await self._chunks.put(chunk)
        except Exception as error:  # noqa: BLE001 - raised where the phrases are awaited
            self._events.put_nowait(error)
        await self._chunks.put(None)
        self._events.put_nowait(_Mark.AUDIO_ENDED)

    def _cancelled(self, event: Any) -> None:
        """The library's thread says that the call is over, for good or for bad."""
        details = event.cancellation_details
        if details.reason.name != "Error":
            return
        code = details.code.name
        self._say(ERRORS.get(code, ProviderBroken)(f"{PROVIDER} broke off ({code})"))

    def _say(self, event: str | _Mark | Exception) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody listens any more
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)


def _puller(sdk: Any, call: _Call) -> Any:
    """The library asks an object of a class of its own."""

    class Puller(sdk.audio.PullAudioInputStreamCallback):  # type: ignore[misc]  # the library has no types
        def read(self, buffer: memoryview) -> int:
            return call.read(buffer)

        def close(self) -> None:
            """Nothing is held open here."""

    return Puller()


def _read(event: object) -> LivePhrase:
    try:
        return LivePhrase.model_validate_json(str(event))
    except ValidationError as error:
        raise failures.unreadable(PROVIDER) from error
