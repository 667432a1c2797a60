"""Text to speech by OpenAI, or by any server that speaks its API (speaches, Kokoro-FastAPI, …).

Facts (openai 3.52): 4096 characters a call, ``pcm`` is 24 000 Hz mono signed 16 bit little endian,
speed 0.25 to 4. Text is no markup there. The answer is streamed to the file, never held whole.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts import own_tokens
from contracts.costs import Units
from contracts.errors import ProviderBroken, ProviderFailure, ProviderOut
from contracts.speech import (
    MAX_SPEED,
    MIN_SPEED,
    SAMPLE_BYTES,
    Piece,
    SpeechCapabilities,
    Spoken,
)
from providers import failures
from providers.openai_client import OpenAIConnection, OpenAIServer
from providers.spoken_samples import check_length, check_sound, most_bytes

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

PROVIDER: Final = "openai"
MAX_CHARACTERS: Final = 4_000
"""Of the 4096 the vendor counts; it does not say what it counts."""
CHUNK_BYTES: Final = 1 << 16
_OF_TOKEN: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN}
)
"""What is said to a token that is none any more, has no money, or may not speak."""


class OpenAISpeech:
    """Implements ``activities.speech_ports.Synthesizer``.

    Args:
        api_key: may be empty for a server that wants none.
        base_url: any server that speaks the API; none means OpenAI's.
        timeout: seconds one call may take.
        connect_seconds: to open a connection.
        own_tokens: it speaks with the token that comes with each part, and with nothing else.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        timeout: float,
        connect_seconds: float | None = None,
        own_tokens: bool = False,
    ) -> None:
        server = OpenAIServer(PROVIDER, api_key, base_url)
        self._openai = OpenAIConnection(server, timeout=timeout, connect_seconds=connect_seconds)
        self._own_tokens = own_tokens

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""
        return SpeechCapabilities(
            max_characters=MAX_CHARACTERS, min_speed=MIN_SPEED, max_speed=MAX_SPEED
        )

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Have a part spoken; see ``Synthesizer``.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
        """
        async with self._openai.calling(self._refusal) as client:
            size = await _receive(self._of_bearer(client, piece), piece, target)
        check_length(PROVIDER, size // SAMPLE_BYTES, piece)
        return Spoken(
            samples=size // SAMPLE_BYTES, units=Units(characters=len(piece.text)), speed=piece.speed
        )

    def _of_bearer(self, client: "AsyncOpenAI", piece: Piece) -> "AsyncOpenAI":
        """The client as who pays for the part; it shares the connections and nothing else.

        Raises:
            ProviderOut: a user's own token is to speak, and there is none.
        """
        if not self._own_tokens:
            return client
        if piece.token is None:
            raise ProviderOut("There is no token to speak with", code=own_tokens.REFUSED)
        bearer = client.with_options(api_key=piece.token.get_secret_value())
        # The SDK reads these from our environment; they say nothing about somebody else's token.
        bearer.organization = bearer.project = None
        return bearer

    def _refusal(self, error: "APIStatusError") -> ProviderFailure:
        """What a status of 400 and more means for text."""
        plain = failures.not_about_audio(
            failures.of_status(
                PROVIDER, error.status_code, code=error.code, headers=error.response.headers
            )
        )
        poor = error.code in failures.NO_MONEY
        if self._own_tokens and (poor or error.status_code in _OF_TOKEN):
            return ProviderOut(
                f"The user's own token was refused: {plain}", code=own_tokens.REFUSED
            )
        return ProviderOut(str(plain)) if poor else plain

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._openai.aclose()


async def _receive(client: "AsyncOpenAI", piece: Piece, target: Path) -> int:
    """Write the samples as they come; returns the bytes that are whole samples."""
    asked: dict[str, Any] = {} if piece.speed == 1 else {"speed": piece.speed}
    call = client.audio.speech.with_streaming_response.create(
        input=piece.text,
        model=piece.model,
        voice=piece.voice,
        response_format="pcm",
        **asked,
    )
    size, most = 0, most_bytes(piece)
    async with call as response:
        check_sound(PROVIDER, response.headers.get("content-type", ""))
        with await asyncio.to_thread(target.open, "wb") as file:
            async for chunk in response.iter_bytes(CHUNK_BYTES):
                size += len(chunk)
                if size > most:
                    raise ProviderBroken(f"{PROVIDER}'s speech does not end")
                await asyncio.to_thread(file.write, chunk)
            whole = size - size % SAMPLE_BYTES
            await asyncio.to_thread(file.truncate, whole)
    return whole
