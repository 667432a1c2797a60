"""Transcription by Gemini: one answer in segments, with times to the second.

Facts: WAV, MP3, AIFF, AAC, OGG and FLAC; a request holds 20 MB, a larger file is uploaded first.
The answer is written, so its length bounds the audio; times and speakers are guesses, and nothing
but the text is promised.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from contracts.audio import AudioFacts
from contracts.costs import answered
from contracts.errors import FormatNotTaken, NoSpeech, TooLongForProvider
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart
from providers.chat_model import Reply, reply
from providers.gemini_answers import TranscriptShape, part_of
from providers.gemini_client import PROVIDER, Ask, GeminiClient, GeminiServer
from providers.gemini_files import POLL_SECONDS, GeminiFiles
from providers.prompt_files import prompt

MEDIA_TYPES: Final = MappingProxyType(
    {
        "wav": "audio/wav",
        "mp3": "audio/mp3",
        "aiff": "audio/aiff",
        "aac": "audio/aac",
        "ogg": "audio/ogg",
        "flac": "audio/flac",
    }
)
INLINE_BYTES: Final = 14 * 1024 * 1024
"""In base64 and with the rest of the request still below 20 MB."""
MAX_BYTES: Final = 2_000_000_000
MAX_SECONDS: Final = 1800.0
"""Half an hour of quick speech in segments is well below the 65 536 tokens of an answer."""


class GeminiTranscription:
    """Implements ``Transcriber`` of ``activities.ports``.

    Args:
        model: id of the model.
        timeout: seconds one call may take.
        connect_seconds: to open a connection.
        poll_seconds: between two looks at an uploaded file that is not ready.
    """

    def __init__(
        self,
        server: GeminiServer,
        *,
        model: str,
        timeout: float,
        connect_seconds: float | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._client = GeminiClient(server, timeout=timeout, connect_seconds=connect_seconds)
        self._files = GeminiFiles(
            server, timeout=timeout, connect_seconds=connect_seconds, poll_seconds=poll_seconds
        )
        self._model = model

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""
        return Capabilities(
            containers=frozenset(MEDIA_TYPES), max_bytes=MAX_BYTES, max_seconds=MAX_SECONDS
        )

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
            ProviderFailure: by the table of ``providers.failures``.
            NoSpeech: the answer has no segments.
        """
        if after >= facts.seconds:
            return
        media_type = MEDIA_TYPES.get(facts.container)
        if media_type is None:
            raise FormatNotTaken(f"{PROVIDER} does not read {facts.container}")
        if facts.size > MAX_BYTES or facts.seconds > MAX_SECONDS:
            raise TooLongForProvider(f"{PROVIDER} takes {MAX_SECONDS:.0f} s at most")
        if facts.size <= INLINE_BYTES:
            data = await asyncio.to_thread(audio.read_bytes)
            sound = {"inline_data": {"data": data, "mime_type": media_type}}
            shape, usage = await self._heard(sound, languages)
        else:
            async with self._files.stored(audio, facts.size, media_type) as uri:
                sound = {"file_data": {"file_uri": uri, "mime_type": media_type}}
                shape, usage = await self._heard(sound, languages)
        with answered(usage.units):
            part = part_of(PROVIDER, shape, facts.seconds, languages, diarization=diarization)
            if not part.utterances:
                raise NoSpeech(f"{PROVIDER} heard no speech")
        yield part.model_copy(update={"units": usage.units})

    async def _heard(
        self, sound: dict[str, Any], languages: Sequence[str]
    ) -> Reply[TranscriptShape]:
        spoken = f" It may be in {', '.join(languages)}." if languages else ""
        ours = prompt("transcription").filled({"instruction": f"Transcribe this audio.{spoken}"})
        text, usage = await self._client.generate(
            Ask(
                model=self._model,
                system=ours.system,
                contents=[{"role": "user", "parts": [sound, {"text": ours.user}]}],
                temperature=ours.temperature,
                shape=TranscriptShape,
            )
        )
        return reply(PROVIDER, text, TranscriptShape, usage)

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._client.aclose()
        await self._files.aclose()
