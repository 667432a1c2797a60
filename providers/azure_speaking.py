"""Azure text to speech over REST: SSML in, samples out.

Facts: audio beyond ten minutes is cut off silently, so parts are short and an answer of that length
is none; ``User-Agent`` is wanted; ``raw-24khz-16bit-mono-pcm`` has no header.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts.costs import Units
from contracts.errors import ProviderBroken, ProviderOut
from contracts.speech import (
    BYTES_PER_SECOND,
    SAMPLE_BYTES,
    Piece,
    SpeechCapabilities,
    Spoken,
)
from providers import failures
from providers.azure_speech import PROVIDER, About, AzureSpeech, SpeechCredential, refusal
from providers.spoken_samples import check_length, check_sound, most_bytes
from providers.ssml import ssml
from providers.vendor_http import VendorHttp

MAX_CHARACTERS: Final = 3_000
"""At half speed still well below ten minutes, in every script."""
CUT_OFF_SECONDS: Final = 599.0
MAX_BYTES: Final = 660 * BYTES_PER_SECOND
SLOWEST: Final = 0.5
FASTEST: Final = 2.0


class AzureSpeaking:
    """Implements ``activities.speech_ports.Synthesizer``.

    Args:
        speech: the credentials, with the circuits they have in transcription.
        address: where a credential's text to speech is; ``AZURE_TTS_ENDPOINT``, or by its region.
        timeout: seconds one call may take.
    """

    def __init__(
        self,
        speech: AzureSpeech,
        address: Callable[[SpeechCredential], str],
        *,
        timeout: float,
        connect_seconds: float = 10.0,
    ) -> None:
        self._speech = speech
        self._address = address
        self._timeout = timeout
        self._http = VendorHttp(PROVIDER, connect_seconds=connect_seconds)

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""
        return SpeechCapabilities(
            max_characters=MAX_CHARACTERS, min_speed=SLOWEST, max_speed=FASTEST
        )

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Have a part spoken by the first credential that is not out.

        Raises:
            ProviderFailure: by the tables of ``providers.failures`` and ``providers.azure_speech``.
        """
        pcm = await self._by_any(piece)
        check(pcm, piece)
        await asyncio.to_thread(target.write_bytes, pcm)
        return Spoken(
            samples=len(pcm) // SAMPLE_BYTES,
            units=Units(characters=len(piece.text)),
            speed=piece.speed,
        )

    async def _by_any(self, piece: Piece) -> bytes:
        """Ask the first credential, and the next one when it is refused: none is asked twice."""
        while True:
            credential = self._speech.first()
            try:
                return await self._spoken(credential, piece)
            except ProviderOut:
                if len(self._speech.usable()) == 0:
                    raise

    async def _spoken(self, credential: SpeechCredential, piece: Piece) -> bytes:
        answer = await self._http.call(
            "POST",
            f"{self._address(credential)}/cognitiveservices/v1",
            seconds=self._timeout,
            max_bytes=min(MAX_BYTES, most_bytes(piece)),
            headers={
                "ocp-apim-subscription-key": credential.key,
                "content-type": "application/ssml+xml",
                "x-microsoft-outputformat": "raw-24khz-16bit-mono-pcm",
                "user-agent": "voicekeep",
            },
            content=ssml(piece),
        )
        if not answer.refused:
            check_sound(PROVIDER, answer.headers.get("content-type", ""))
            return answer.body
        failure = refusal(answer, About.RESOURCE)
        self._speech.remember(credential, failure)
        raise failure

    async def aclose(self) -> None:
        """Close the connections; safe to call twice."""
        await self._http.aclose()


def check(pcm: bytes, piece: Piece) -> None:
    """See whether this is speech as it was asked for.

    Raises:
        ProviderBroken: nothing, half a sample, a container, or audio that was cut off.
    """
    if len(pcm) % SAMPLE_BYTES or pcm.startswith(b"RIFF"):
        raise failures.unreadable(PROVIDER)
    if len(pcm) >= CUT_OFF_SECONDS * BYTES_PER_SECOND:
        raise ProviderBroken(f"{PROVIDER} cuts audio off after ten minutes")
    check_length(PROVIDER, len(pcm) // SAMPLE_BYTES, piece)
