"""Azure fast transcription: one request with the audio, answered faster than it was spoken.

Facts by Microsoft's page "Use the fast transcription API" and the reference "Transcriptions -
Transcribe": a form of ``audio`` and ``definition``; languages are ``locales``; no top-level locale
in the answer. Its pages disagree about the largest file (250, 300 or 500 MB) and the longest audio
(2 or 5 h): both are settings.
"""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import ValidationError

from contracts.audio import CONVERTED_RATE, AudioFacts
from contracts.errors import NoSpeech, ProviderBusy, ProviderOut, TooLongForProvider
from contracts.signatures import CONTAINERS as KINDS
from contracts.signatures import Container
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart
from providers import failures
from providers.azure_answers import FastAnswer, part_of_fast
from providers.azure_locales import locales
from providers.azure_speech import CONTAINERS, PROVIDER, About, AzureSpeech, SpeechCredential
from providers.vendor_http import Answer

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Twelve hours of words with their times are a quarter of this."""
BLOCK_BYTES: Final = 256 * 1024
"""How much of the audio is in memory while it is sent."""

Choice = Callable[[AzureSpeech], SpeechCredential]


@dataclass(frozen=True)
class FastOptions:
    """What the settings say about it.

    Attributes:
        locales: asked for when a memo names no language; BCP 47 with a region.
        speakers: most speakers told apart, 2 to 35.
        phrases: words it should expect.
        max_bytes: largest file sent.
        max_seconds: longest audio sent.
    """

    locales: tuple[str, ...]
    speakers: int
    phrases: tuple[str, ...]
    max_bytes: int
    max_seconds: float


class AzureFast:
    """Transcriber of the tiers ``azure-fast``, ``azure-fast-other-region`` and ``…-converted``.

    Args:
        speech: the credentials and their circuits, shared by all tiers.
        choose: which credential this tier uses: ``AzureSpeech.first`` or
            ``AzureSpeech.other_region``.
        converted: takes nothing but the 16 kHz mono WAV that we make ourselves.
    """

    def __init__(
        self,
        speech: AzureSpeech,
        options: FastOptions,
        *,
        choose: Choice = AzureSpeech.first,
        converted: bool = False,
    ) -> None:
        self._speech = speech
        self._options = options
        self._choose = choose
        self._converted = converted

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""
        whole = Capabilities(
            containers=CONTAINERS,
            max_bytes=self._options.max_bytes,
            max_seconds=self._options.max_seconds,
            diarization=True,
            word_times=True,
        )
        if not self._converted:
            return whole
        wav = {"containers": frozenset({"wav"}), "codecs": frozenset({"pcm_s16le"})}
        return whole.model_copy(update={**wav, "sample_rate": CONVERTED_RATE, "channels": 1})

    async def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Yield the whole transcript as one part; nothing when it was heard before.

        Raises:
            ProviderBusy: also when its credential was refused and another one is left.
            ProviderFailure: by the tables of ``providers.azure_speech``.
            NoSpeech: the answer is empty.
        """
        if after >= facts.seconds:
            return
        if facts.size > self._options.max_bytes or facts.seconds > self._options.max_seconds:
            raise TooLongForProvider(f"The audio is larger or longer than {PROVIDER} takes at once")
        asked = locales(languages, self._options.locales)
        answer = await self._send(audio, facts, self._definition(asked, diarization=diarization))
        try:
            heard = FastAnswer.model_validate_json(answer.body)
        except ValidationError as error:
            raise failures.unreadable(PROVIDER) from error
        part = part_of_fast(heard, facts.seconds, asked)
        if not part.utterances:
            raise NoSpeech(f"{PROVIDER} heard no speech")
        yield part

    def _definition(self, asked: Sequence[str], *, diarization: bool) -> dict[str, Any]:
        definition: dict[str, Any] = {"locales": list(asked), "profanityFilterMode": "None"}
        if diarization:
            definition["diarization"] = {"enabled": True, "maxSpeakers": self._options.speakers}
        if self._options.phrases:
            definition["phraseList"] = {"phrases": list(self._options.phrases)}
        return definition

    async def _send(self, audio: Path, facts: AudioFacts, definition: Mapping[str, Any]) -> Answer:
        credential = self._choose(self._speech)
        try:
            with await asyncio.to_thread(audio.open, "rb") as file:
                form = _Form(file, KINDS[facts.container], definition)
                return await self._speech.call(
                    credential,
                    "POST",
                    "/transcriptions:transcribe",
                    about=About.AUDIO,
                    max_bytes=MAX_ANSWER_BYTES,
                    headers=form.headers,
                    content=form.stream(),
                )
        except ProviderOut as failure:
            if self._has_another():
                raise ProviderBusy(failure.message, code="credential_out") from failure
            raise

    def _has_another(self) -> bool:
        """Whether this tier's next try has a credential to go with."""
        try:
            self._choose(self._speech)
        except ProviderOut:
            return False
        except ProviderBusy:
            return True
        return True


class _Form:
    """The form of one request, its audio read block by block while it is sent."""

    def __init__(self, audio: BinaryIO, kind: Container, definition: Mapping[str, Any]) -> None:
        boundary = secrets.token_hex(16)
        self._audio = audio
        self._head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="definition"\r\n'
            "Content-Type: application/json\r\n\r\n"
            f"{json.dumps(definition)}\r\n"
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="audio"; filename="audio.{kind.extension}"\r\n'
            f"Content-Type: {kind.media_type}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        size = len(self._head) + os.fstat(audio.fileno()).st_size + len(self._tail)
        self.headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(size),
        }

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._head
        while block := await asyncio.to_thread(self._audio.read, BLOCK_BYTES):
            yield block
        yield self._tail
