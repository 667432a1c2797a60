"""Stands before a real server and cuts a connection after some bytes, as a broken line does.

    python -m tests.fakes.cutting --target http://HOST:PORT --after BYTES --times N

serves until it is ended; ``Forwarding`` is for what an HTTP server may do wrong.
"""

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

BLOCK: Final = 65_536


class Cutting:
    """Passes bytes on; the next connections end when so many were sent by the client.

    Args:
        target: address of the server.
    """

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.times = 0
        self.after = 0
        self.cuts = 0

    async def start(self, port: int = 0) -> str:
        """The address that stands for the server's."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        port = self._server.sockets[0].getsockname()[1]
        return self._target._replace(netloc=f"127.0.0.1:{port}").geturl()

    def cut(self, after: int, times: int = 1) -> None:
        """Let a connection end once its client has sent so many bytes, so many times."""
        self.after, self.times = after, times

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        answers = asyncio.create_task(self._pump(there, writer))
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._pass_on(reader, back)
        finally:
            self._open.discard(task)
            answers.cancel()
            writer.transport.abort()
            back.transport.abort()
            with suppress(asyncio.CancelledError, ConnectionError):
                await answers

    async def _pass_on(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        sent = 0
        while block := await reader.read(BLOCK):
            sent += len(block)
            if self.times and sent > self.after:
                self.times -= 1
                self.cuts += 1
                return
            back.write(block)
            await back.drain()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while block := await reader.read(BLOCK):
                writer.write(block)
                await writer.drain()
        writer.transport.abort()


async def _serve(target: str, port: int, after: int, times: int) -> None:
    cutting = Cutting(target)
    cutting.cut(after, times)
    print(json.dumps({"event": "ready", "url": await cutting.start(port)}), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="Cuts connections to a server")
    parser.add_argument("--target", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--times", type=int, default=0)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.target, options.port, options.after, options.times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
