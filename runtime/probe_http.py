"""Asks an HTTP server of ours whether it is ready, without an HTTP library."""

import asyncio
from typing import Final

PAUSE_SECONDS: Final = 0.05
ANSWER_SECONDS: Final = 10.0


async def until_ok(host: str, port: int, path: str) -> None:
    """Return once a GET is answered with 200."""
    while not await answers_ok(host, port, path):  # noqa: ASYNC110 - another process's news
        await asyncio.sleep(PAUSE_SECONDS)


async def answers_ok(host: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200 within some seconds."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await _status_line(host, port, path) == b"200"
    except (OSError, TimeoutError):
        return False


async def _status_line(host: str, port: int, path: str) -> bytes:
    """The status code of the answer; empty when the connection closes without one."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        await writer.drain()
        words = (await reader.readline()).split()
        return words[1] if len(words) > 1 else b""
    finally:
        writer.close()
