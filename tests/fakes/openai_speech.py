"""The part of the stand-in of OpenAI that speaks: ``POST /v1/audio/speech``.

After the types of openai 3.52 (`types/audio/speech_create_params.py`): 4096 characters, thirteen
voices, six formats, speed 0.25 to 4. It gives ``pcm`` and ``wav``, which is what is asked for.
"""

import hashlib
import json
import struct
from typing import Any, Final

from tests.fakes.http_wire import Request, Response
from tests.fakes.speaking import said

MODELS: Final = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
VOICES: Final = (
    *("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer"),
    *("verse", "marin", "cedar"),
)
FORMATS: Final = ("mp3", "opus", "aac", "flac", "wav", "pcm")
MAX_CHARACTERS: Final = 4096
RATE: Final = 24_000


class Refused(Exception):
    """What is wrong with a request: status, sentence, parameter."""


async def speech(request: Request, facts: dict[str, Any]) -> Response:
    """The answer; raises Refused."""
    try:
        asked = json.loads(request.body)
    except ValueError:
        raise Refused(400, "We could not parse the JSON body of your request.", None) from None
    text, model, voice = (asked.get(name) for name in ("input", "model", "voice"))
    form, speed = asked.get("response_format", "mp3"), asked.get("speed", 1.0)
    facts |= {
        "bearer": request.headers.get("authorization", "").removeprefix("Bearer "),
        "organization": request.headers.get("openai-organization"),
        "project": request.headers.get("openai-project"),
        "model": model,
        "voice": voice,
        "response_format": form,
        "speed": speed,
        "characters": len(text or ""),
        "sha256": hashlib.sha256((text or "").encode()).hexdigest(),
    }
    _check(text, model, voice, form, speed)
    pcm = (await said(text, speed=speed)).pcm
    if form == "wav":
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2,
            2, 16, b"data", 0xFFFFFFFF,
        )  # fmt: skip
        return Response(200, head + pcm, {"content-type": "audio/wav"})
    return Response(200, pcm, {"content-type": "audio/pcm"})


def _check(text: Any, model: Any, voice: Any, form: Any, speed: Any) -> None:
    if not isinstance(text, str) or not text:
        raise Refused(400, "'input' must have at least 1 character", "input")
    if len(text) > MAX_CHARACTERS:
        raise Refused(400, f"String should have at most {MAX_CHARACTERS} characters", "input")
    if model not in MODELS:
        raise Refused(404, f"The model `{model}` does not exist", "model")
    if voice not in VOICES:
        raise Refused(400, f"Invalid value: '{voice}'", "voice")
    if form not in FORMATS:
        raise Refused(400, f"Invalid value: '{form}'", "response_format")
    if not 0.25 <= speed <= 4:
        raise Refused(400, "speed must be between 0.25 and 4.0", "speed")
