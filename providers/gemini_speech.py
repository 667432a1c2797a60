"""Text to speech by Gemini: a model that is told to read, with a voice by name.

Facts: the answer holds ``audio/L16;codec=pcm;rate=24000``, little endian in spite of that name; a
request holds 32 000 tokens, and long audio drifts, so parts are short. The model reads a prompt:
the text is set apart from the order, and an answer of text instead of sound is none.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.costs import Units, answered
from contracts.errors import ProviderFailure
from contracts.speech import Piece, SpeechCapabilities, Spoken
from providers import failures
from providers.gemini_client import PROVIDER, GeminiClient, GeminiServer, finished, usage
from providers.prompt_files import fenced, prompt
from providers.spoken_samples import check_length, write

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponse

MAX_CHARACTERS: Final = 1_500
MAX_BYTES: Final = 64 << 20

_RATE: Final = re.compile(r"rate=(\d{4,6})")


class GeminiSpeech:
    """Implements ``activities.speech_ports.Synthesizer``.

    Args:
        model: used when the piece names none.
        timeout: seconds one call may take.
        connect_seconds: to open a connection.
    """

    def __init__(
        self,
        server: GeminiServer,
        *,
        model: str,
        timeout: float,
        connect_seconds: float | None = None,
    ) -> None:
        self._client = GeminiClient(
            server, timeout=timeout, connect_seconds=connect_seconds, max_bytes=MAX_BYTES
        )
        self._model = model

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""
        return SpeechCapabilities(max_characters=MAX_CHARACTERS)

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Have a part read aloud; see ``Synthesizer``.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
            ProviderBroken: the answer is blocked, cut off, or no sound.
        """
        client, _ = await self._client.connected()
        call = client.aio.models.generate_content(
            model=piece.model or self._model,
            contents=prompt("speech").filled({"data": fenced([piece.text])}).user,
            config={
                "response_modalities": ["AUDIO"],
                "speech_config": {
                    "voice_config": {
                        "prebuilt_voice_config": {"voice_name": piece.voice.rpartition(":")[2]}
                    }
                },
            },
        )
        try:
            response = await self._client.answered(call)
        except ProviderFailure as failure:
            raise failures.not_about_audio(failure) from None
        used = usage(response).units.over(Units(characters=len(piece.text)))
        with answered(used):
            pcm, rate = _sound(response)
            samples = await write(pcm, rate, target)
            check_length(PROVIDER, samples, piece)
        return Spoken(samples=samples, units=used)

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._client.aclose()


def _sound(response: "GenerateContentResponse") -> tuple[bytes, int]:
    """The samples, and their rate.

    Raises:
        ProviderBroken: there are none, or not all of them.
    """
    finished(response)
    found = [
        part.inline_data
        for candidate in response.candidates or ()
        for part in (candidate.content.parts if candidate.content else None) or ()
        if part.inline_data is not None
    ]
    if not found:
        raise failures.unusable(PROVIDER, "empty")
    rates = {_rate(each.mime_type or "") for each in found}
    if len(rates) != 1:
        raise failures.unreadable(PROVIDER)
    return b"".join(each.data or b"" for each in found), rates.pop()


def _rate(media_type: str) -> int:
    told = _RATE.search(media_type)
    if not media_type.lower().startswith(("audio/l16", "audio/pcm")) or told is None:
        raise failures.unreadable(PROVIDER)
    return int(told[1])
