"""A stand-in for Gemini's API, over real sockets.

After google-genai 3.4: ``models/{model}:generateContent`` with structured answers, for text and for
audio (inline or as an uploaded file), the resumable upload, files that become active and can be
deleted, the error body ``{"error": {code, message, status, details}}``. What it writes: see
``tests/fakes/language_mind.py``; what it hears follows from the length of the audio, as in
``tests/fakes/openai.py``.

    python -m tests.fakes.gemini --port 8125 [--key KEY] [--calls FILE]

Faults and counts: see ``tests/fakes/http_wire.py``.
"""

import asyncio
import base64
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from contracts.errors import Failure
from providers.media_probe import measure
from tests.fakes import alone, language_mind
from tests.fakes.http_wire import Request, Response, Wire, json_response
from tests.fakes.openai import segments_of
from tests.fakes.speaking import said

GENERATE: Final = re.compile(r"/v1(?:beta)?/models/(?P<model>[^/:]+):generateContent")
FILE: Final = re.compile(r"/v1(?:beta)?/(?P<name>files/[^/]+)")
START: Final = re.compile(r"/upload/v1(?:beta)?/files")
SESSION: Final = "/upload/session/"
CONTEXT: Final = 4_000_000
TINY_CONTEXT: Final = 20_000
"""Characters; of models whose name begins with ``tiny``."""
LARGEST_INLINE: Final = 20 * 1024 * 1024
STATUSES: Final = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 403: "PERMISSION_DENIED"}


def refusal(status: int, message: str) -> Response:
    error = {"code": status, "message": message, "status": STATUSES[status]}
    return json_response({"error": error}, status)


class FakeGemini(Wire):
    """The vendor.

    Args:
        key: the only API key that is taken; none takes any.
        log: see `Wire`.
        states: what a file answers when it is asked for, one after the other; then ACTIVE.
    """

    def __init__(
        self, key: str | None = None, log: Path | None = None, states: tuple[str, ...] = ()
    ) -> None:
        super().__init__(self._vendor, log)
        self._key = key
        self.states = list(states)
        self.files: dict[str, bytes] = {}

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        facts: dict[str, Any] = {}
        key = request.headers.get("x-goog-api-key", "")
        if request.path.startswith(SESSION):
            return self._received(request), facts
        if not key or (self._key is not None and key != self._key):
            return refusal(400, "API key not valid. Please pass a valid API key."), facts
        if request.method == "POST" and (found := GENERATE.fullmatch(request.path)):
            return await self._generate(found["model"], json.loads(request.body), facts), facts
        if request.method == "POST" and START.fullmatch(request.path):
            return self._begun(request, facts), facts
        if found := FILE.fullmatch(request.path):
            return self._file(request.method, found["name"]), facts
        return refusal(404, f"No such method: {request.method} {request.path}"), facts

    async def _generate(self, model: str, body: dict[str, Any], facts: dict[str, Any]) -> Response:
        parts = [part for content in body["contents"] for part in content["parts"]]
        system = "".join(p["text"] for p in body.get("systemInstruction", {}).get("parts", ()))
        user = "".join(part.get("text", "") for part in parts)
        config = body.get("generationConfig", {})
        schema = config.get("responseSchema") or config.get("responseJsonSchema")
        facts |= {"model": model, "system": system, "user": user}
        facts["temperature"] = config.get("temperature")
        if model == "no-such-model":
            return refusal(404, f"models/{model} is not found for API version v1")
        if len(system + user) > (TINY_CONTEXT if model.startswith("tiny") else CONTEXT):
            return refusal(400, "The input token count exceeds the maximum number of tokens.")
        if config.get("responseModalities") == ["AUDIO"]:
            facts["voice"] = _voice(config["speechConfig"])
            return json_response(await _aloud(model, user))
        audio = self._audio(parts)
        if isinstance(audio, Response):
            return audio
        if audio is not None:
            facts["bytes"] = len(audio)
            text = await asyncio.to_thread(_heard, audio)
            if text is None:
                return refusal(400, "Unable to process input audio.")
        else:
            text = language_mind.answer(schema, system, user)
        mood = language_mind.mood(user)
        answer = _answer(model, text, mood, len(system + user) // 4)
        facts["usage"] = answer["usageMetadata"]
        return json_response(answer)

    def _audio(self, parts: list[dict[str, Any]]) -> bytes | Response | None:
        for part in parts:
            if data := part.get("inlineData"):
                # As protobuf's JSON: either alphabet is taken.
                audio = base64.b64decode(data["data"].translate(str.maketrans("-_", "+/")))
                too_big = len(data["data"]) > LARGEST_INLINE
                return refusal(400, "Request payload size exceeds the limit") if too_big else audio
            if data := part.get("fileData"):
                # Likewise either spelling; the library sends this one.
                uri: str = data.get("file_uri") or data["fileUri"]
                name = f"files/{uri.rsplit('/', 1)[1]}"
                return self.files.get(name) or refusal(403, "No permission to access the File")
        return None

    def _begun(self, request: Request, facts: dict[str, Any]) -> Response:
        if request.headers.get("x-goog-upload-command") != "start":
            return refusal(400, "Upload command is not start")
        name = f"file-{len(self.files) + 1}"
        facts["length"] = request.headers.get("x-goog-upload-header-content-length")
        location = {"x-goog-upload-url": f"{self.url}{SESSION}{name}?upload_id=secret"}
        return Response(200, b'{"file": {}}', location | {"x-goog-upload-status": "active"})

    def _received(self, request: Request) -> Response:
        name = f"files/{request.path.removeprefix(SESSION)}"
        self.files[name] = request.body
        state = self.states.pop(0) if self.states else "ACTIVE"
        body = json.dumps({"file": self._described(name, state)}).encode()
        return Response(200, body, {"x-goog-upload-status": "final"})

    def _file(self, method: str, name: str) -> Response:
        if name not in self.files:
            return refusal(403, "You do not have permission to access the File or it may not exist")
        if method == "DELETE":
            del self.files[name]
            return json_response({})
        state = self.states.pop(0) if self.states else "ACTIVE"
        return json_response(self._described(name, state))

    def _described(self, name: str, state: str) -> dict[str, Any]:
        return {
            "name": name,
            "mimeType": "audio/wav",
            "sizeBytes": str(len(self.files[name])),
            "uri": f"{self.url}/v1/{name}",
            "state": state,
        }


def _voice(config: dict[str, Any]) -> str:
    """Name of the voice; the library sends the inner names as they were given to it."""
    inner = config.get("voiceConfig") or config["voice_config"]
    named = inner.get("prebuiltVoiceConfig") or inner["prebuilt_voice_config"]
    return str(named.get("voiceName") or named["voice_name"])


async def _aloud(model: str, user: str) -> dict[str, Any]:
    """What stands between the two marks, said."""
    text = user.partition("BEGIN ")[2].partition("\n")[2].rpartition("\nEND ")[0]
    pcm = (await said(text)).pcm
    sound = {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(pcm).decode()}
    answer = _answer(model, "", "", len(user) // 4)
    answer["candidates"][0]["content"]["parts"] = [{"inlineData": sound}]
    return answer


def _heard(audio: bytes) -> str | None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(audio)
        file.flush()
        try:
            seconds = measure(file.name).seconds
        except Failure:
            return None
    segments = [
        {
            "start": f"{int(each['start']) // 60:02}:{int(each['start']) % 60:02}",
            "end": f"{int(each['end']) // 60:02}:{int(each['end']) % 60:02}",
            "speaker": each["id"] % 2 + 1,
            "language": "en-US",
            "text": each["text"].strip(),
        }
        for each in segments_of(seconds)
    ]
    return json.dumps({"segments": segments})


def _answer(model: str, text: str, mood: str, tokens: int) -> dict[str, Any]:
    usage = {"promptTokenCount": tokens, "totalTokenCount": tokens + len(text) // 4}
    answer = {"modelVersion": model, "responseId": "r1", "usageMetadata": usage}
    if mood == "blocked":
        return answer | {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    usage["candidatesTokenCount"] = len(text) // 4
    reason = {"truncated": "MAX_TOKENS", "refused": "SAFETY"}.get(mood, "STOP")
    if mood == "truncated":
        text = text[: len(text) // 2]
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    if reason != "SAFETY":
        candidate["content"] = {"role": "model", "parts": [{"text": text}] if text else []}
    return answer | {"candidates": [candidate]}


if __name__ == "__main__":
    sys.exit(alone.main("A stand-in for Gemini's API", FakeGemini))
