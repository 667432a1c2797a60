"""Transcription by OpenAI, or by any server that speaks its API (speaches, vLLM, …).

Facts (openai 3.52): 25 MB; flac mp3 mp4 m4a ogg wav webm; the ``gpt-`` models answer in plain
``json`` without times, their ``-diarize`` kind in ``diarized_json`` and only with a chunking
strategy; everything else is taken for a Whisper and asked for times of segments and words.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from contracts.audio import AudioFacts
from contracts.costs import answered
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from contracts.signatures import CONTAINERS
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart
from providers import failures
from providers.openai_answers import Answer, part_of

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

MAX_BYTES: Final = 25 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Twelve hours of words with their times are a quarter of this."""
CONNECT_SECONDS: Final = 10.0

_PROVIDER: Final = "openai"
_NO_MONEY: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_ABOUT_THE_FILE: Final = frozenset({None, "", "file", "audio", "input"})
_TOO_LONG: Final = ("longer than", "too long", "maximum content size")  # of messages, unverified


class OpenAITranscription:
    """Transcriber over the official client, which never retries on its own here.

    Args:
        api_key: may be empty for a server that wants none.
        base_url: any server that speaks the API; none means OpenAI's.
        model: id of the model, see ``OPENAI_TRANSCRIPTION_MODEL``.
        timeout: seconds one call may take, sending included.
        max_bytes: largest file the server takes.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        model: str,
        timeout: float,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._model = model
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return _PROVIDER

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""
        return Capabilities(
            containers=frozenset({"mov", "mp3", "ogg", "wav", "flac", "matroska"}),
            max_bytes=self._max_bytes,
            diarization=self._diarizes,
            word_times=not self._plain,
        )

    async def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,  # noqa: ARG002 - the model says whether it tells speakers apart
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Yield the whole transcript as one part; nothing when it was heard before.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
            NoSpeech: the answer is empty.
        """
        if after >= facts.seconds:
            return
        if facts.size > self._max_bytes:
            raise TooLongForProvider(f"{_PROVIDER} takes {self._max_bytes >> 20} MiB at most")
        yield _understood(await self._ask(audio, facts, languages), facts.seconds, languages)

    async def _ask(self, audio: Path, facts: AudioFacts, languages: Sequence[str]) -> bytes:
        client = await self._connected()
        import openai  # noqa: PLC0415 - 0.6 s that only a worker with this tier pays

        try:
            async with asyncio.timeout(self._timeout):
                with await asyncio.to_thread(audio.open, "rb") as file:
                    return await self._post(client, self._form(file, facts, languages))
        except openai.APIStatusError as error:
            raise _refusal(error) from error
        except (TimeoutError, openai.APITimeoutError) as error:
            raise failures.timed_out(_PROVIDER, self._timeout, error) from error
        except openai.APIConnectionError as error:
            raise failures.unreachable(_PROVIDER, error) from error
        except openai.OpenAIError as error:
            raise ProviderBroken(f"{_PROVIDER}'s answer cannot be read") from error

    async def _post(self, client: "AsyncOpenAI", form: dict[str, Any]) -> bytes:
        """Send, and read no more than an answer can be."""
        import httpx2  # noqa: PLC0415 - comes with the client

        create = client.audio.transcriptions.with_streaming_response.create
        try:
            async with create(**form) as response, aclosing(response.iter_bytes()) as chunks:
                body = bytearray()
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ProviderBroken(f"{_PROVIDER}'s answer does not end")
                return bytes(body)
        except httpx2.TimeoutException as error:
            raise failures.timed_out(_PROVIDER, self._timeout, error) from error
        except httpx2.HTTPError as error:
            raise failures.unreachable(_PROVIDER, error) from error

    def _form(self, file: IO[bytes], facts: AudioFacts, languages: Sequence[str]) -> dict[str, Any]:
        kind = CONTAINERS[facts.container]
        form: dict[str, Any] = {
            "file": (f"audio.{kind.extension}", file, kind.media_type),
            "model": self._model,
        }
        primary = list(dict.fromkeys(each.split("-")[0].lower() for each in languages))
        if len(primary) == 1:
            form["language"] = primary[0]
        elif primary and self._model == "gpt-transcribe":
            form["languages"] = primary
        if self._diarizes:
            return form | {"response_format": "diarized_json", "chunking_strategy": "auto"}
        if self._plain:
            return form | {"response_format": "json"}
        times = ["segment", "word"]
        return form | {"response_format": "verbose_json", "timestamp_granularities": times}

    @property
    def _diarizes(self) -> bool:
        return self._model.endswith("-diarize")

    @property
    def _plain(self) -> bool:
        return self._model.startswith("gpt-")

    async def _connected(self) -> "AsyncOpenAI":
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
        return self._client

    def _make(self) -> "AsyncOpenAI":
        import httpx2  # noqa: PLC0415 - comes with the client
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415 - as above

        bounds = httpx2.Timeout(self._timeout, connect=CONNECT_SECONDS)
        return AsyncOpenAI(
            api_key=self._api_key or "none",
            base_url=self._base_url,
            max_retries=0,
            timeout=bounds,
            http_client=DefaultAsyncHttpxClient(timeout=bounds, follow_redirects=False),
        )

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        if self._client is not None:
            await self._client.close()


def _understood(body: bytes, seconds: float, languages: Sequence[str]) -> TranscriptPart:
    """The answer in our words; what it was made of is gone when this returns."""
    try:
        answer = Answer.model_validate_json(body)
    except ValidationError as error:
        raise ProviderBroken(f"{_PROVIDER} answered something else than a transcript") from error
    part = part_of(answer, seconds, languages)
    if not part.utterances:
        with answered(answer.units):
            raise NoSpeech(f"{_PROVIDER} heard no speech")
    return part.model_copy(update={"units": answer.units})


def _refusal(error: "APIStatusError") -> ProviderFailure:
    """What a status of 400 and more means; the body says which 400 it is."""
    status, code = error.status_code, error.code
    said = error.message.lower()
    plain = failures.of_status(_PROVIDER, status, code=code, headers=error.response.headers)
    if code in _NO_MONEY:
        return ProviderOut(str(plain))
    if isinstance(plain, FormatNotTaken):
        if any(sign in said for sign in _TOO_LONG):
            return TooLongForProvider(str(plain))
        if error.param not in _ABOUT_THE_FILE:
            return ProviderOut(f"{plain}: it refuses {error.param}")
    return plain
