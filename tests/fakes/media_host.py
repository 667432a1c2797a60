"""A stranger's web server with recordings on it, at ``http://host:port/<name>``.

What it assumes of such servers (RFC 9110): they send ``ETag`` and ``Accept-Ranges: bytes``, and
answer ``Range: bytes=N-`` with 206 and ``Content-Range`` while ``If-Range`` names the present tag,
else with 200 and all of it. Signed addresses have their secret in the query; a wrong one is 403.

    python -m tests.fakes.media_host --port 8090        (serves a second of silence as /memo.wav)
"""

import hashlib
import io
import sys
import wave
from pathlib import Path
from typing import Any, Final

from tests.fakes.alone import main
from tests.fakes.http_wire import Request, Response, Wire, json_response

SECRET: Final = "signature"
"""Parameter of the query that holds the secret of a signed address."""


class MediaHost:
    """The server.

    Args:
        ranges: whether downloads can be taken up where they ended.
    """

    def __init__(self, *, ranges: bool = True, log: Path | None = None) -> None:
        self.files: dict[str, tuple[bytes, str]] = {}
        self.secrets: dict[str, str] = {}
        self._ranges = ranges
        self.wire = Wire(self._answer, log)

    def put(
        self, name: str, content: bytes, media_type: str = "audio/wav", secret: str = ""
    ) -> str:
        """Place a recording; its path with the query."""
        self.files[name] = (content, media_type)
        if not secret:
            self.secrets.pop(name, None)
            return f"/{name}"
        self.secrets[name] = secret
        return f"/{name}?{SECRET}={secret}"

    async def _answer(self, request: Request) -> tuple[Response, dict[str, Any]]:
        name = request.path.removeprefix("/")
        facts = {"range": request.headers.get("range"), "host": request.headers.get("host")}
        if name not in self.files:
            return json_response({"error": "no such file"}, 404), facts
        if request.query.get(SECRET, [""])[-1] != self.secrets.get(name, ""):
            return json_response({"error": "wrong signature"}, 403), facts
        content, media_type = self.files[name]
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"content-type": media_type, "etag": tag}
        if not self._ranges:
            return Response(200, content, headers), facts
        headers["accept-ranges"] = "bytes"
        start = _start(request, tag)
        if start is None:
            return Response(200, content, headers), facts
        headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Response(206, content[start:], headers), facts


def _start(request: Request, tag: str) -> int | None:
    wanted = request.headers.get("range", "")
    if not wanted.startswith("bytes=") or request.headers.get("if-range", tag) != tag:
        return None
    return int(wanted.removeprefix("bytes=").partition("-")[0])


def _with_silence(_: str | None, log: Path | None) -> Wire:
    host, buffer = MediaHost(log=log), io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(32_000))
    host.put("memo.wav", buffer.getvalue())
    return host.wire


if __name__ == "__main__":
    sys.exit(main("A stranger's web server with a recording on it", _with_silence))
