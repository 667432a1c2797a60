"""Transcription by OpenAI, or by any server that speaks its API (speaches, vLLM, …).

Facts (openai 3.52): 25 MB; flac mp3 mp4 m4a ogg wav webm; the ``gpt-`` models answer in plain
``json`` without times, their ``-diarize`` kind in ``diarized_json`` and only with a chunking
strategy; everything else is taken for a Whisper and asked for times of segments and words.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
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
from providers.openai_client import OpenAIConnection, OpenAIServer

if TYPE_CHECKING:
    from openai import APIStatusError

MAX_BYTES: Final = 25 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Twelve hours of words with their times are a quarter of this."""

_PROVIDER: Final = "openai"
_ABOUT_THE_FILE: Final = frozenset({None, "", "file", "audio", "input"})
_TOO_LONG: Final = ("longer than", "too long", "maximum content size")  # of messages, unverified


class OpenAITranscription:
    """Transcriber over the official client.

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
        self._model = model
        self._max_bytes = max_bytes
        self._openai = OpenAIConnection(
            OpenAIServer(_PROVIDER, api_key, base_url), timeout=timeout, max_bytes=MAX_ANSWER_BYTES
        )

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
        with await asyncio.to_thread(audio.open, "rb") as file:
            form = self._form(file, facts, languages)
            async with self._openai.calling(_refusal) as client:
                answer = await client.audio.transcriptions.with_raw_response.create(**form)
        body: bytes = answer.content
        return body

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

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._openai.aclose()


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
    if code in failures.NO_MONEY:
        return ProviderOut(str(plain))
    if isinstance(plain, FormatNotTaken):
        if any(sign in said for sign in _TOO_LONG):
            return TooLongForProvider(str(plain))
        if error.param not in _ABOUT_THE_FILE:
            return ProviderOut(f"{plain}: it refuses {error.param}")
    return plain
