"""A stand-in for Azure text to speech: REST, and the websocket of the Speech SDK.

REST after Microsoft's reference of text to speech: ``POST /cognitiveservices/v1`` with SSML, an
output format and a ``User-Agent``; 400 for SSML that is none and for unknown voices; audio is cut
off after ten minutes. The websocket (``/cognitiveservices/websocket/v1``, as Speech SDK 1.53 speaks
it): text frames of ``Header:value`` lines, an empty line and JSON, ``speech.config``,
``synthesis.context`` and ``ssml``; answered with ``turn.start``, ``response``, ``audio.metadata``
with word boundaries, binary frames of ``audio`` behind two bytes with the length of their headers,
and ``turn.end``.

    python -m tests.fakes.azure_tts --port 8126 [--key K]
"""

import argparse
import asyncio
import hashlib
import json
import struct
import sys
import xml.etree.ElementTree as ET
from collections import deque
from typing import Any, Final, NamedTuple

from aiohttp import WSMsgType, web
from pydantic import BaseModel

from tests.fakes.http_wire import Request, Response, Wire, json_response
from tests.fakes.speaking import said

SPEAK: Final = "{http://www.w3.org/2001/10/synthesis}"
LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
RAW: Final = "raw-24khz-16bit-mono-pcm"
VOICE_END: Final = "Neural"
LONGEST_BYTES: Final = 600 * 48_000
TICKS: Final = 10_000_000


class Spoken(NamedTuple):
    """What SSML says."""

    text: str
    voice: str
    language: str
    speed: float


def understood(markup: bytes | str) -> Spoken | None:
    """What is to be said; none for what is no SSML of one voice."""
    try:
        root = ET.fromstring(markup)  # noqa: S314 - a stand-in, which reads what we wrote
    except ET.ParseError:
        return None
    voice = root.find(f"{SPEAK}voice")
    if root.tag != f"{SPEAK}speak" or voice is None or not root.get(LANG):
        return None
    lang, prosody = voice.find(f".//{SPEAK}lang"), voice.find(f".//{SPEAK}prosody")
    language = (lang.get(LANG) if lang is not None else None) or root.get(LANG) or ""
    rate = prosody.get("rate", "+0%") if prosody is not None else "+0%"
    text = "".join(voice.itertext())
    return Spoken(text, voice.get("name", ""), language, 1 + float(rate.rstrip("%")) / 100)


class FakeAzureSpeaking(Wire):
    """REST.

    Args:
        key: the only key that is taken; none takes any.
    """

    def __init__(self, key: str | None = None) -> None:
        super().__init__(self._vendor)
        self._key = key

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        facts: dict[str, Any] = {"key": request.headers.get("ocp-apim-subscription-key")}
        if self._key is not None and facts["key"] != self._key:
            return json_response({"error": {"code": "401", "message": "denied"}}, 401), facts
        if (request.method, request.path) != ("POST", "/cognitiveservices/v1"):
            return json_response({}, 404), facts
        spoken = understood(request.body)
        if spoken is None or not _well_asked(request.headers):
            return Response(400, b"", {}), facts
        facts |= spoken._asdict() | {"sha256": hashlib.sha256(spoken.text.encode()).hexdigest()}
        if not spoken.voice.endswith(VOICE_END):
            return Response(400, b"Unsupported voice", {"content-type": "text/plain"}), facts
        pcm = (await said(spoken.text, spoken.language, spoken.speed)).pcm[:LONGEST_BYTES]
        return Response(200, pcm, {"content-type": "audio/basic"}), facts


def _well_asked(headers: dict[str, str]) -> bool:
    ssml = headers.get("content-type", "").startswith("application/ssml+xml")
    return ssml and headers.get("x-microsoft-outputformat") == RAW and "user-agent" in headers


class Fault(BaseModel):
    """What goes wrong with a connection.

    Attributes:
        status: answered instead of a websocket.
        drop: the connection is cut when the SSML has come.
        silent: takes the SSML and never says anything.
    """

    times: int = 1
    status: int | None = None
    drop: bool = False
    silent: bool = False


class FakeSpeakingSocket:
    """The websocket."""

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._runner: web.AppRunner | None = None
        self.faults: deque[Fault] = deque()
        self.calls: list[dict[str, Any]] = []
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        app = web.Application()
        app.router.add_get("/cognitiveservices/websocket/v1", self._connect)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = f"ws://{host}:{self._runner.addresses[0][1]}"
        return self.url

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def fault(self, **fields: Any) -> None:
        fault = Fault(**fields)
        self.faults.extend([fault] * fault.times)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else Fault()
        key = request.headers.get("ocp-apim-subscription-key")
        call: dict[str, Any] = {"key": key}
        self.calls.append(call)
        status = 401 if self._key is not None and key != self._key else fault.status
        if status is not None:
            return web.Response(status=status)
        socket = web.WebSocketResponse(protocols=("USP", "synthesize"))
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            head, _, body = message.data.partition("\r\n\r\n")
            headers = dict(line.lower().split(":", 1) for line in head.split("\r\n") if ":" in line)
            if headers.get("path", "").strip() == "ssml":
                if fault.drop:
                    break
                if not fault.silent:
                    await _answer(socket, headers.get("x-requestid", "").strip(), body, call)
        return socket


async def _answer(socket: Any, request_id: str, markup: str, call: dict[str, Any]) -> None:
    async def tell(path: str, body: Any) -> None:
        head = f"X-RequestId:{request_id}\r\nContent-Type:application/json\r\nPath:{path}\r\n\r\n"
        await socket.send_str(head + json.dumps(body))

    spoken = understood(markup)
    if spoken is None or not spoken.voice.endswith(VOICE_END):
        await socket.close(code=1007, message=b"Unsupported voice")
        return
    call |= spoken._asdict()
    stream = f"{request_id[:31]}0"
    await tell("turn.start", {"context": {"serviceTag": "stand-in"}})
    await tell("response", {"context": {}, "audio": {"type": "inline", "streamId": stream}})
    heard = await said(spoken.text, spoken.language, spoken.speed)
    for word, begins, ends in heard.words:
        data = {
            "Offset": round(begins * TICKS),
            "Duration": round((ends - begins) * TICKS),
            "text": {"Text": word, "Length": len(word), "BoundaryType": "WordBoundary"},
        }
        await tell("audio.metadata", {"Metadata": [{"Type": "WordBoundary", "Data": data}]})
    end = f"X-RequestId:{request_id}\r\nX-StreamId:{stream}\r\nPath:audio\r\n"
    head = f"{end}Content-Type:audio/raw\r\n"
    for at in range(0, len(heard.pcm), 16_000):
        piece = heard.pcm[at : at + 16_000]
        await socket.send_bytes(struct.pack(">H", len(head)) + head.encode() + piece)
    await socket.send_bytes(struct.pack(">H", len(end)) + end.encode())
    await tell("turn.end", {})


async def _serve(options: argparse.Namespace) -> None:
    fake, socket = FakeAzureSpeaking(options.key), FakeSpeakingSocket(options.key)
    ready = {
        "event": "ready",
        "url": await fake.start(options.host, options.port),
        "websocket": await socket.start(options.host),
    }
    print(json.dumps(ready), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="A stand-in for Azure text to speech")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="the only key that is taken")
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
