"""A stand-in for the websocket of Azure's live recognition, for the real Speech SDK.

After what the Speech SDK 1.53 sends to ``/speech/universal/v2`` (seen on the wire): text frames of
``Header:value`` lines, an empty line and JSON; binary frames with the length of their headers in
two bytes before them, ``Path:audio``, first a WAV header, last an empty one. It is answered with
``turn.start``, ``speech.startDetected``, ``speech.phrase`` for each sentence, a phrase
``EndOfDictation`` and ``turn.end``; offsets are ticks of 100 ns from the beginning of the audio of
that connection. After a lost connection the SDK sends what was not answered, and tells in
``audioOffsetMS`` where that begins. It listens to nothing: the words follow from the length.

    python -m tests.fakes.azure_speech_ws --port 8125 [--key K]

``GET /__calls`` and ``POST /__faults`` (a `Fault` as JSON, for the next ``times`` connections) as
of the other stand-ins.
"""

import argparse
import asyncio
import json
import struct
import sys
from collections import deque
from typing import Any, Final

from aiohttp import WSMsgType, web
from pydantic import BaseModel

from tests.fakes.listening import Said, made_up

PATH: Final = "/speech/universal/v2"
TICKS: Final = 10_000
BYTES_A_SECOND: Final = 32_000


class Fault(BaseModel):
    """What goes wrong with a connection.

    Attributes:
        status: answered instead of a websocket.
        drop_after: bytes of audio after which the connection is cut.
        close: code with which it is closed then, instead of being cut.
        silent: takes the audio and never says anything.
        phrase: said instead of each phrase.
    """

    times: int = 1
    status: int | None = None
    drop_after: int | None = None
    close: int | None = None
    silent: bool = False
    phrase: str | None = None


class FakeSpeechSocket:
    """The vendor.

    Args:
        key: the only key that is taken; none takes any.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._runner: web.AppRunner | None = None
        self.faults: deque[Fault] = deque()
        self.calls: list[dict[str, Any]] = []
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        app = web.Application()
        app.router.add_get(PATH, self._connect)
        app.router.add_get("/__calls", self._show_calls)
        app.router.add_post("/__faults", self._take_fault)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"ws://{host}:{self._runner.addresses[0][1]}"
        return self.url

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def fault(self, **fields: Any) -> None:
        fault = Fault(**fields)
        self.faults.extend([fault] * fault.times)

    async def _show_calls(self, _: web.Request) -> web.Response:
        return web.json_response({"count": len(self.calls), "calls": self.calls})

    async def _take_fault(self, request: web.Request) -> web.Response:
        self.fault(**await request.json())
        return web.json_response({"faults": len(self.faults)})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else Fault()
        key = request.headers.get("ocp-apim-subscription-key")
        call: dict[str, Any] = {"key": key, "query": dict(request.query), "bytes": 0}
        self.calls.append(call)
        status = 401 if self._key is not None and key != self._key else fault.status
        if status is not None:
            return web.Response(status=status)
        socket = web.WebSocketResponse(protocols=("USP",))
        await socket.prepare(request)
        await _Turn(socket, call, fault).serve(request)
        return socket


class _Turn:
    """One connection: its audio, and what was said of it."""

    def __init__(self, socket: web.WebSocketResponse, call: dict[str, Any], fault: Fault) -> None:
        self._socket = socket
        self._call = call
        self._fault = fault
        self._request_id = ""
        self._context: dict[str, Any] = {}
        self._said = 0

    async def serve(self, request: web.Request) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                self._configure(message.data)
            elif message.type is WSMsgType.BINARY:
                await self._listen(message.data)
            if self._fault.drop_after is not None and self._call["bytes"] >= self._fault.drop_after:
                await self._break_off(request)
                return

    def _configure(self, text: str) -> None:
        head, _, body = text.partition("\r\n\r\n")
        headers = _headers(head)
        if headers.get("path") == "speech.context":
            self._context = self._call["context"] = json.loads(body)

    async def _listen(self, frame: bytes) -> None:
        (length,) = struct.unpack(">H", frame[:2])
        headers = _headers(frame[2 : 2 + length].decode())
        audio = frame[2 + length :]
        if not self._request_id:
            self._request_id = headers["x-requestid"]
            assert audio.startswith(b"RIFF"), "the stream begins with a WAV header"
            await self._send("turn.start", {"context": {"serviceTag": "stand-in"}})
            await self._send("speech.startDetected", {"Offset": 0})
            return
        self._call["bytes"] += len(audio)
        await self._speak(over=not audio)
        if not audio:
            end = self._call["bytes"] / BYTES_A_SECOND * 1000 * TICKS
            over = {"RecognitionStatus": "EndOfDictation", "Offset": int(end), "Duration": 0}
            await self._send("speech.endDetected", {"Offset": int(end)})
            await self._send("speech.phrase", over)
            await self._send("turn.end", {})

    async def _speak(self, *, over: bool) -> None:
        """Say every sentence that has been heard to its end."""
        heard = made_up(self._before / 1000 + self._call["bytes"] / BYTES_A_SECOND)
        for number, said in enumerate(heard if over else heard[:-1]):
            if number >= self._said and said.offset >= self._before:
                self._said = number + 1
                await self._send("speech.phrase", self._phrase(number, said))

    @property
    def _before(self) -> int:
        """Milliseconds that were answered on an earlier connection, and are not sent again."""
        session = self._context.get("phraseDetection", {}).get("speakerDiarization", {})
        return int(session.get("audioOffsetMS", 0))

    def _phrase(self, number: int, said: Said) -> dict[str, Any]:
        words = [
            {
                "DisplayText": word.text,
                "Offset": (word.offset - self._before) * TICKS,
                "Duration": word.duration * TICKS,
            }
            for word in said.words
        ]
        phrase: dict[str, Any] = {
            "Id": str(number),
            "RecognitionStatus": "Success",
            "Offset": (said.offset - self._before) * TICKS,
            "Duration": said.duration * TICKS,
            "DisplayText": said.text,
            "SpeakerId": f"Guest-{number % 2 + 1}",
            "NBest": [{"Confidence": 0.9, "Display": said.text, "DisplayWords": words}],
        }
        if languages := self._context.get("languageId", {}).get("languages"):
            phrase["PrimaryLanguage"] = {"Language": languages[-1], "Confidence": "High"}
        return phrase

    async def _send(self, path: str, body: dict[str, Any]) -> None:
        if self._fault.silent:
            return
        text = json.dumps(body)
        if path == "speech.phrase" and self._fault.phrase is not None:
            text = self._fault.phrase
        head = f"X-RequestId:{self._request_id}\r\nContent-Type:application/json\r\nPath:{path}"
        await self._socket.send_str(f"{head}\r\n\r\n{text}")

    async def _break_off(self, request: web.Request) -> None:
        if self._fault.close is not None:
            await self._socket.close(code=self._fault.close)
        elif isinstance(request.transport, asyncio.Transport):
            request.transport.abort()


def _headers(head: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.split("\r\n") if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _serve(options: argparse.Namespace) -> None:
    fake = FakeSpeechSocket(options.key)
    url = await fake.start(options.host, options.port)
    print(json.dumps({"event": "ready", "url": url}), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="A stand-in for Azure's live recognition")
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
