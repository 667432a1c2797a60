"""A vendor that hears a hundred times as fast as people speak; in a process of its own.

It speaks OpenAI's ``POST /v1/audio/transcriptions`` for 16 kHz mono WAV. A recording takes it its
length divided by a hundred from the moment all of it has arrived: sending it is ours to pay. What
is sent is counted and dropped. One JSON line is written for each call, with the moments (seconds
since 1970) it began, had arrived and was answered.

    python -m benchmarks.hearing_vendor PORT LOG
"""

import asyncio
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import IO, Final

from contracts.audio import CONVERTED_BYTES_PER_SECOND
from tests.fakes.openai import segments_of, text_of, words_of

SPEED: Final = 100
BLOCK: Final = 1 << 18


@cache
def answer(seconds: int) -> bytes:
    """A ``verbose_json`` answer to so much audio, head and body."""
    body = json.dumps(
        {
            "task": "transcribe",
            "language": "english",
            "duration": seconds,
            "text": text_of(seconds),
            "words": words_of(seconds),
            "segments": list(segments_of(seconds)),
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class Vendor:
    """Answers every call with words that follow from the length of what was sent."""

    def __init__(self, log: IO[str]) -> None:
        self._log = log

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        try:
            while head := await _head(reader):
                await self._call(head, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _call(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        began = time.time()
        size = await _drop_body(head, reader)
        arrived = time.time()
        seconds = size / CONVERTED_BYTES_PER_SECOND
        said = answer(int(seconds))
        await asyncio.sleep(arrived + seconds / SPEED - time.time())
        writer.write(said)
        await writer.drain()
        call = {"began": began, "arrived": arrived, "answered": time.time(), "seconds": seconds}
        print(json.dumps(call), file=self._log, flush=True)


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    except asyncio.IncompleteReadError:
        return ""


async def _drop_body(head: str, reader: asyncio.StreamReader) -> int:
    """Read what was sent and keep nothing of it; its length."""
    if "transfer-encoding: chunked" not in head:
        return await _drop(reader, int(head.partition("content-length:")[2].partition("\r\n")[0]))
    total = 0
    while size := int(await reader.readline(), 16):
        total += await _drop(reader, size)
        await reader.readline()
    await reader.readline()
    return total


async def _drop(reader: asyncio.StreamReader, size: int) -> int:
    left = size
    while left:
        block = await reader.read(min(BLOCK, left))
        if not block:
            raise ConnectionResetError
        left -= len(block)
    return size


async def main(port: int, log: Path) -> None:
    """Serve until killed."""
    with log.open("a") as file:
        server = await asyncio.start_server(Vendor(file).accept, "127.0.0.1", port, limit=BLOCK * 4)
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
