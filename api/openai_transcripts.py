"""A transcript in the shapes of OpenAI's API (types of openai 3.52, `types/audio/`)."""

import json
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from api.shapes.openai_recordings import (
    Granularity,
    OpenAITranscription,
    TranscriptionFormat,
    TranslationFormat,
)
from contracts.language_names import language_name
from contracts.transcript import Transcript, Utterance
from contracts.transcript_formats import MEDIA_TYPES, TranscriptFormat, as_srt, as_vtt, timed_words
from contracts.translation import ENGLISH

EVENTS: Final = "text/event-stream"
UNKNOWN: Final = "unknown"
_TEXTS: Final[Mapping[str, tuple[Callable[[Transcript], str], TranscriptFormat]]] = {
    "text": (lambda said: f"{said.text}\n", TranscriptFormat.TXT),
    "srt": (as_srt, TranscriptFormat.SRT),
    "vtt": (as_vtt, TranscriptFormat.VTT),
}
_NOT_MEASURED: Final[Mapping[str, Any]] = {
    "seek": 0,
    "tokens": [],
    "temperature": 0.0,
    "avg_logprob": 0.0,
    "compression_ratio": 0.0,
    "no_speech_prob": 0.0,
}
"""What a segment has to have, and no tier of ours tells."""


def answer_of(said: Transcript, asked: OpenAITranscription) -> Response:
    """The answer, in the form that was asked for."""
    form = asked.response_format
    if form in _TEXTS:
        return _as_text(said, form)
    body: dict[str, Any] = {"text": said.text}
    if form is TranscriptionFormat.VERBOSE:
        body = _verbose(said, asked.timestamp_granularities)
    elif form is TranscriptionFormat.DIARIZED:
        told = {"task": "transcribe", "duration": said.seconds}
        turns = [turn_of(each, number) for number, each in enumerate(said.utterances)]
        body = told | body | {"segments": turns}
    return JSONResponse(body | {"usage": {"type": "duration", "seconds": said.seconds}})


def translation_of(said: Transcript, form: TranslationFormat) -> Response:
    """A transcript that is in English, in the form that was asked for."""
    if form in _TEXTS:
        return _as_text(said, form)
    if form is TranslationFormat.JSON:
        return JSONResponse({"text": said.text})
    told = {"task": "translate", "language": language_name(ENGLISH)}
    return JSONResponse(_verbose(said, ()) | told)


def _as_text(said: Transcript, form: str) -> Response:
    write, kind = _TEXTS[form]
    return Response(write(said), media_type=MEDIA_TYPES[kind])


def event(data: Mapping[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data)}\n\n"


def _verbose(said: Transcript, granularities: Sequence[Granularity]) -> dict[str, Any]:
    language = said.primary_language
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": UNKNOWN if language is None else language_name(language),
        "duration": said.seconds,
        "text": said.text,
    }
    if Granularity.SEGMENT in granularities or not granularities:
        body["segments"] = [
            {"id": number, "text": each.text, **_times(each), **_NOT_MEASURED}
            for number, each in enumerate(said.utterances)
        ]
    if Granularity.WORD in granularities:
        body["words"] = [
            {
                "word": word.text,
                "start": word.offset / 1000,
                "end": (word.offset + word.duration) / 1000,
            }
            for word in timed_words(said)
        ]
    return body


def turn_of(each: Utterance, number: int) -> dict[str, Any]:
    """An utterance with who said it; ``number`` is its place from 0 on."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number}",
        "text": each.text,
        "speaker": _speaker(each.speaker),
        **_times(each),
    }


def _times(each: Utterance) -> dict[str, float]:
    return {"start": each.offset / 1000, "end": (each.offset + each.duration) / 1000}


def _speaker(number: int | None) -> str:
    """A letter, as they are called there; all of it is ``A`` where nobody tells them apart."""
    at = (number or 1) - 1
    return ascii_uppercase[at] if at < len(ascii_uppercase) else f"S{at + 1}"
