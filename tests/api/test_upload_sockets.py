"""Uploads over a real socket: what a client that hangs up leaves, and what a large file costs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil

from tests.api.front import API, Front, User, wav
from tests.api.sockets import served

MEGABYTE = 1024 * 1024
LARGE = 150 * MEGABYTE


def head_of(user: User, length: int) -> bytes:
    """The head of a request, and of the file's part in its body."""
    return (
        f"POST {API}/memos/upload HTTP/1.1\r\nHost: x\r\nAuthorization: "
        f"{user.headers['Authorization']}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {length}\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    ).encode()


async def test_an_upload_whose_client_hangs_up_leaves_nothing(data_dir: Path) -> None:
    async with served(data_dir) as (front, address):
        port = httpx.URL(address).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head_of(front.user(), 50 * MEGABYTE) + wav(120.0))
        await writer.drain()
        while not front.stored:
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        while front.stored or await announced(front):
            await asyncio.sleep(0.01)
        assert front.starter.started == []
        assert await reader.read() == b""
        async with httpx.AsyncClient(base_url=address) as client:
            assert (await client.get("/health/live")).status_code == 200


async def announced(front: Front) -> int:
    async with front.database.read() as tx:
        return len(await tx.media.abandoned(older_than_seconds=-60, limit=10))


async def test_a_large_file_is_never_whole_in_memory(data_dir: Path) -> None:
    process, peak = psutil.Process(), 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal peak
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + wav()
        for _ in range(LARGE // MEGABYTE):
            yield b"\1" * MEGABYTE
            peak = max(peak, process.memory_info().rss)
        yield b"\r\n--b--\r\n"

    async with served(data_dir) as (front, address), httpx.AsyncClient(base_url=address) as client:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        before = process.memory_info().rss
        answer = await client.post(
            f"{API}/memos/upload",
            content=body(),
            headers={**front.user().headers, **kind},
            timeout=60,
        )
        assert answer.status_code == 201
        [stored] = front.stored
        size = (front.settings.files_dir / stored).stat().st_size
    assert size == LARGE + len(wav())
    assert peak - before < LARGE / 3
