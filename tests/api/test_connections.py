"""Our own front against slow, long and many clients, over raw sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from api.patience import MAX_HEADER_BYTES, MAX_HEADERS, MAX_QUERY_BYTES
from tests.api.front import API, Front
from tests.api.sockets import served
from tests.api.test_upload_sockets import head_of

HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
SOON = 0.3
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Address:
    """Of a front; opens raw connections to it."""

    def __init__(self, url: str) -> None:
        self.place = ("127.0.0.1", int(url.rpartition(":")[2]))

    async def connect(self) -> Streams:
        return await asyncio.open_connection(*self.place)

    async def told(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a request."""
        reader, writer = await self.connect()
        writer.write(request)
        return await last_answer(reader, writer)


async def last_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[int, dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].split()[0])
    said: dict[str, Any] = json.loads(await reader.readexactly(length))
    writer.close()
    assert said["success"] is False
    assert said["requestId"]
    return int(head.split()[1]), said


@asynccontextmanager
async def bounded(data_dir: Path, **bounds: Any) -> AsyncIterator[tuple[Front, Address]]:
    async with served(data_dir, **bounds) as (front, address):
        yield front, Address(address)


async def test_a_head_that_drips_is_cut_off_however_often_it_drips(data_dir: Path) -> None:
    async with bounded(data_dir, HEADER_TIMEOUT_SECONDS=SOON) as (_, address):
        reader, writer = await address.connect()

        async def drip() -> None:
            while not (reader.at_eof() or writer.is_closing()):
                writer.write(b"X")
                await asyncio.sleep(0.02)

        writer.write(HEAD)
        dripping = asyncio.create_task(drip())
        status, said = await last_answer(reader, writer)
        await dripping
    assert (status, said["code"]) == (408, "timed_out")


async def test_a_connection_that_says_nothing_is_closed(data_dir: Path) -> None:
    async with bounded(data_dir, HEADER_TIMEOUT_SECONDS=SOON) as (_, address):
        reader, writer = await address.connect()
        assert await reader.read() == b""
        writer.close()


async def test_a_second_head_that_drips_is_cut_off_too(data_dir: Path) -> None:
    async with bounded(data_dir, HEADER_TIMEOUT_SECONDS=SOON) as (_, address):
        reader, writer = await address.connect()
        writer.write(HEAD + b"\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n")
        await reader.readuntil(b"}")
        writer.write(HEAD)
        status, _ = await last_answer(reader, writer)
    assert status == 408


async def test_a_connection_nothing_more_is_asked_on_is_closed(data_dir: Path) -> None:
    async with bounded(data_dir, KEEP_ALIVE_SECONDS=1) as (_, address):
        reader, writer = await address.connect()
        writer.write(HEAD + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize("part", [b"", b'{"filePath": "'])
async def test_a_body_that_does_not_come_is_not_waited_for(data_dir: Path, part: bytes) -> None:
    async with bounded(data_dir, BODY_TIMEOUT_SECONDS=SOON) as (front, address):
        token = front.user().headers["Authorization"].encode()
        status, said = await address.told(
            b"POST %s/memos HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: "
            b"application/json\r\nContent-Length: 900\r\n\r\n%s" % (API.encode(), token, part)
        )
    assert (status, said["code"]) == (408, "timed_out")


async def test_an_upload_that_drips_is_cut_off_and_leaves_nothing(data_dir: Path) -> None:
    async with bounded(data_dir, BODY_TIMEOUT_SECONDS=SOON) as (front, address):
        reader, writer = await address.connect()
        writer.write(head_of(front.user(), 1 << 20))

        async def drip() -> None:
            while not (reader.at_eof() or writer.is_closing()):
                writer.write(b"\0")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        status, said = await last_answer(reader, writer)
        await dripping
        assert front.stored == []
    assert (status, said["code"]) == (408, "timed_out")


async def test_what_is_sent_after_the_answer_is_not_read_for_ever(data_dir: Path) -> None:
    async with bounded(data_dir, HEADER_TIMEOUT_SECONDS=SOON) as (_, address):
        reader, writer = await address.connect()
        writer.write(
            b"POST %s/memos HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" % API.encode()
        )
        assert b" 401 " in await reader.readuntil(b"\r\n")

        async def drip() -> None:
            while not (reader.at_eof() or writer.is_closing()):
                writer.write(b"\0")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await reader.read()
        await dripping
        writer.close()


async def test_a_client_that_does_not_read_is_cut_off(data_dir: Path) -> None:
    async with bounded(data_dir, SLOW_READER_SECONDS=SOON) as (front, address):

        @front.app.get("/large")
        async def large() -> PlainTextResponse:
            return PlainTextResponse("a" * (1 << 20))

        with socket.create_connection(address.place) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            page = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
            cut = False
            while not cut:
                try:
                    # It asks and asks, and reads nothing.
                    await asyncio.wait_for(loop.sock_sendall(client, page * 20), 0.1)
                except TimeoutError:
                    continue
                except ConnectionError:
                    cut = True


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"X-A: %s\r\n" % (b"a" * MAX_HEADER_BYTES), 431, "headers_too_large"),
        (b"X-A: %s\r\n" % (b"a" * 10 * MAX_HEADER_BYTES), 431, "headers_too_large"),
        (b"".join(b"X-%d: a\r\n" % at for at in range(MAX_HEADERS)), 431, "headers_too_large"),
        (b"a b\r\n", 400, "invalid_request"),
    ],
    ids=["long", "very long", "many", "no header"],
)
async def test_heads_that_say_too_much_are_refused_in_the_form_of_all_errors(
    data_dir: Path, request_: bytes, status: int, code: str
) -> None:
    async with bounded(data_dir) as (_, address):
        told, said = await address.told(HEAD + request_ + b"\r\n")
        assert (told, said["code"]) == (status, code)
        query = b"GET /health/live?%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"q" * (MAX_QUERY_BYTES + 1))
        told, said = await address.told(query)
        assert (told, said["code"]) == (414, "address_too_long")


async def test_connections_beyond_the_bound_are_told_to_come_again(data_dir: Path) -> None:
    async with bounded(data_dir, MAX_CONNECTIONS=2) as (_, address):
        open_ones = [await address.connect() for _ in range(2)]
        for _, writer in open_ones:
            writer.write(HEAD)
        status, said = await address.told(b"")
        assert (status, said["code"]) == (503, "overloaded")
        # Those that are in are served.
        for reader, writer in open_ones:
            writer.write(b"\r\n")
            assert b" 200 " in await reader.readuntil(b"\r\n")
        open_ones[0][1].close()
        await open_ones[0][1].wait_closed()
        status = 503
        while status == 503:
            reader, writer = await address.connect()
            writer.write(HEAD + b"Connection: close\r\n\r\n")
            status = int((await reader.read()).split()[1])
            writer.close()
        assert status == 200
        open_ones[1][1].close()


async def test_a_request_that_takes_too_long_is_answered(data_dir: Path) -> None:
    async with bounded(data_dir, REQUEST_TIMEOUT_SECONDS=SOON) as (front, address):
        asked = asyncio.Event()

        async def never() -> None:
            asked.set()
            await asyncio.Event().wait()

        @front.app.get("/slow")
        async def slow() -> None:
            await never()

        status, said = await address.told(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.is_set()
    assert (status, said["code"]) == (503, "timed_out")
