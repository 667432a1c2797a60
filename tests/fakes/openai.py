"""A stand-in for OpenAI's audio API, over real sockets; language: ``openai_language``.

After the types and documentation that openai 3.52 carries (`types/audio/`): forms, formats each
model answers in, the error body ``{"error": {message, type, param, code}}``, 25 MiB. It listens to
nothing: the words follow from the length of the audio, two a second, so a test can tell what must
come back.

    python -m tests.fakes.openai --port 8123 [--calls FILE]

prints ``{"event": "ready", "url": …}`` and serves until it is ended. Faults and counts: see
``tests/fakes/http_wire.py``.
"""

import argparse
import asyncio
import hashlib
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contracts.errors import Failure
from providers.media_probe import measure
from tests.fakes import openai_language, openai_speech
from tests.fakes.http_wire import Request, Response, Wire, json_response, multipart

VOCABULARY: Final = (
    *("the", "harbour", "lights", "were", "bright", "and", "quiet", "this", "evening", "when"),
    *("seven", "small", "boats", "came", "home"),
)
WORDS_PER_SECOND: Final = 2
WORDS_PER_SEGMENT: Final = 10
MAX_BYTES: Final = 25 * 1024 * 1024
FORMATS: Final = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "oga", "ogg", "wav", "webm")
MODELS: Final = ("whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-transcribe-diarize")
SHUTDOWNS: Final = {
    "whisper-1": "2027-02-26",
    "gpt-4o-transcribe": "2027-02-26",
    "gpt-4o-transcribe-diarize": "2027-02-26",
}
LANGUAGE_NAMES: Final = {"en": "english", "de": "german", "fr": "french", "es": "spanish"}


class Refusal(Exception):
    """An error answer."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.response = json_response(
            {
                "error": {
                    "message": message,
                    "type": "invalid_request_error",
                    "param": param,
                    "code": code,
                }
            },
            status,
        )


def words_of(seconds: float) -> list[dict[str, Any]]:
    """The words that audio of that length is answered with."""
    count = int(seconds * WORDS_PER_SECOND)
    step = 1 / WORDS_PER_SECOND
    return [
        {"word": word, "start": round(at * step, 2), "end": round((at + 0.8) * step, 2)}
        for at, word in zip(range(count), itertools.cycle(VOCABULARY))
    ]


def segments_of(seconds: float) -> Iterator[dict[str, Any]]:
    """The words in segments of ten, each a sentence."""
    words = words_of(seconds)
    for number, at in enumerate(range(0, len(words), WORDS_PER_SEGMENT)):
        some = words[at : at + WORDS_PER_SEGMENT]
        text = " ".join(word["word"] for word in some).capitalize() + "."
        yield {
            "id": number,
            "seek": 0,
            "start": some[0]["start"],
            "end": some[-1]["end"],
            "text": f" {text}",
            "tokens": [50364],
            "temperature": 0.0,
            "avg_logprob": -0.2,
            "compression_ratio": 1.3,
            "no_speech_prob": 0.01,
        }


def text_of(seconds: float) -> str:
    """The text that audio of that length is answered with."""
    return "".join(segment["text"] for segment in segments_of(seconds)).strip()


class FakeOpenAI(Wire):
    """The vendor.

    Args:
        key: the only API key that is taken; none takes any.
        log: see `Wire`.
    """

    def __init__(self, key: str | None = None, log: Path | None = None) -> None:
        super().__init__(self._vendor, log)
        self._key = key

    @property
    def base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` is set to."""
        return f"{self.url}/v1"

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        facts: dict[str, Any] = {}
        try:
            self._authenticate(request)
            if (response := openai_language.answer(request, facts)) is not None:
                return response, facts
            match request.method, request.path:
                case "GET", "/v1/models":
                    models = [
                        {"id": name, "object": "model", "shutdown_date": SHUTDOWNS.get(name)}
                        for name in (*MODELS, *openai_speech.MODELS)
                    ]
                    return json_response({"object": "list", "data": models}), facts
                case "POST", "/v1/audio/transcriptions":
                    return await self._transcribe(request, facts), facts
                case "POST", "/v1/audio/speech":
                    return await _speak(request, facts), facts
        except Refusal as refusal:
            return refusal.response, facts
        unknown = Refusal(404, f"Invalid URL ({request.method} {request.path})")
        return unknown.response, facts

    def _authenticate(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            raise Refusal(401, "You didn't provide an API key.")
        if self._key is not None and token != self._key:
            raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    async def _transcribe(self, request: Request, facts: dict[str, Any]) -> Response:
        form = multipart(request)
        if "file" not in form:
            raise Refusal(400, "you must provide a file", param="file")
        name, audio = form["file"][0]
        model = _one(form, "model")
        shape = _one(form, "response_format") or "json"
        facts |= {
            "model": model,
            "response_format": shape,
            "language": _one(form, "language"),
            "filename": name,
            "bytes": len(audio),
            "sha256": hashlib.sha256(audio).hexdigest(),
            "key_seen": bool(request.headers.get("authorization")),
        }
        _check(model, shape, name or "", audio, form)
        seconds = await asyncio.to_thread(_length, audio)
        facts["seconds"] = seconds
        return _answer(shape, seconds, _granularities(form), _one(form, "language"))


async def _speak(request: Request, facts: dict[str, Any]) -> Response:
    try:
        return await openai_speech.speech(request, facts)
    except openai_speech.Refused as refused:
        status, message, param = refused.args
        raise Refusal(status, message, param=param) from refused


def _one(form: dict[str, list[tuple[str | None, bytes]]], name: str) -> str | None:
    return form[name][0][1].decode() if name in form else None


def _granularities(form: dict[str, list[tuple[str | None, bytes]]]) -> set[str]:
    values = form.get("timestamp_granularities[]", [])
    return {value.decode() for _, value in values} or {"segment"}


def _check(model: str | None, shape: str, name: str, audio: bytes, form: dict[str, Any]) -> None:
    if not model:
        raise Refusal(400, "you must provide a model parameter", param="model")
    if model.startswith("gpt-") and model not in MODELS:
        raise Refusal(404, f"The model `{model}` does not exist", code="model_not_found")
    if model.startswith("gpt-") and shape not in {"json", "text", "diarized_json"}:
        message = f"response_format '{shape}' is not compatible with model '{model}'"
        raise Refusal(400, message, param="response_format", code="unsupported_value")
    if "timestamp_granularities[]" in form and shape != "verbose_json":
        message = "timestamp_granularities needs response_format verbose_json"
        raise Refusal(400, message, param="timestamp_granularities")
    if len(audio) > MAX_BYTES:
        raise Refusal(413, f"Maximum content size limit (26214400) exceeded ({len(audio)} bytes)")
    if name.rpartition(".")[2].lower() not in FORMATS:
        raise Refusal(400, f"Invalid file format. Supported formats: {list(FORMATS)}")
    language = _one(form, "language")
    if language is not None and len(language) != 2:
        message = f"Invalid language '{language}'. Language must be given in ISO-639-1 format."
        raise Refusal(400, message, param="language", code="invalid_language_format")


def _length(audio: bytes) -> float:
    with tempfile.NamedTemporaryFile() as file:
        file.write(audio)
        file.flush()
        try:
            return measure(file.name).seconds
        except Failure as failure:
            raise Refusal(400, "The audio file could not be decoded.", param="file") from failure


def _answer(shape: str, seconds: float, times: set[str], language: str | None) -> Response:
    text = text_of(seconds)
    usage = {"type": "duration", "seconds": round(seconds)}
    if shape == "text":
        return Response(200, f"{text}\n".encode(), {"content-type": "text/plain"})
    if shape == "json":
        return json_response({"text": text, "usage": usage})
    segments = list(segments_of(seconds))
    if shape == "diarized_json":
        turns = [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{each['id']:03}",
                "speaker": "AB"[each["id"] % 2],
                **{key: each[key] for key in ("start", "end", "text")},
            }
            for each in segments
        ]
        body = {"task": "transcribe", "duration": seconds, "text": text, "segments": turns}
        return json_response(body | {"usage": usage})
    if shape != "verbose_json":
        raise Refusal(400, f"{shape} is not spoken by this stand-in", param="response_format")
    name = LANGUAGE_NAMES.get(language or "en", language)
    verbose: dict[str, Any] = {"task": "transcribe", "language": name, "duration": seconds}
    verbose["text"] = text
    if "word" in times:
        verbose["words"] = words_of(seconds)
    if "segment" in times:
        verbose["segments"] = segments
    return json_response(verbose | {"usage": usage})


async def _serve(options: argparse.Namespace) -> None:
    fake = FakeOpenAI(options.key, options.calls)
    url = await fake.start(options.host, options.port)
    print(json.dumps({"event": "ready", "url": url, "base_url": f"{url}/v1"}), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="A stand-in for OpenAI's transcription API")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="the only API key that is taken")
    parser.add_argument("--calls", type=Path, help="file that gets a JSON line for each call")
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
