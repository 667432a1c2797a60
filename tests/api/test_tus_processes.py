"""Uploads whose client or server is killed in the middle, and two servers on one disk."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from store.database import Database
from store.files_disk import DiskFiles
from store.invariants import violations
from store.resumable_disk import ResumableFiles
from tests.api.front import API, User, wav
from tests.api.processes import (
    ApiProcess,
    api_processes,
    grown,
    noise,
    tus_client,
    user_of,
)
from tests.api.uploading import PIECE, TUS

MEGABYTE = 1024 * 1024
SIZE = 48 * MEGABYTE


@pytest.fixture
def anna(data_dir: Path) -> User:
    return user_of(data_dir, str(uuid4()))


async def sent_bytes(api: ApiProcess) -> int:
    """Bytes of recordings this process has kept."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{api.url}/metrics")).text
    [line] = [line for line in text.split("\n") if line.startswith("voicekeep_uploaded_bytes_tot")]
    return int(float(line.split()[-1]))


async def nothing_is_left_over(data_dir: Path) -> None:
    database, root = Database(f"sqlite:///{data_dir / 'voicekeep.db'}"), data_dir / "files"
    found = [each async for each in violations(database, DiskFiles(root), ResumableFiles(root))]
    await database.close()
    assert found == []
    assert [path for path in (root / "resumable").iterdir() if path.is_file()] == []


async def test_another_process_of_the_client_goes_on_where_the_killed_one_was(
    data_dir: Path, anna: User, tmp_path: Path
) -> None:
    file, urls = noise(tmp_path / "long.wav", SIZE), tmp_path / "urls.json"
    async with api_processes(data_dir) as [api]:
        first = await tus_client(api.url, anna, file, urls)
        assert first.stdout is not None
        assert await first.stdout.readline() == b"0\n"
        await grown(data_dir / "files" / "resumable", 12 * MEGABYTE)
        first.kill()
        await first.wait()
        second = await tus_client(api.url, anna, file, urls)
        told, _ = await second.communicate()
        assert second.returncode == 0
        began, path = told.decode().split()
        assert 12 * MEGABYTE <= int(began) < SIZE
        # What the first one sent was not sent again.
        assert await sent_bytes(api) == SIZE
    stored = data_dir / "files" / "user-uploads" / path
    assert stored.read_bytes() == file.read_bytes()
    await nothing_is_left_over(data_dir)


async def test_a_client_outlives_the_server_that_is_killed_again_and_again(
    data_dir: Path, anna: User, tmp_path: Path
) -> None:
    file, urls = noise(tmp_path / "long.wav", SIZE), tmp_path / "urls.json"
    folder = data_dir / "files" / "resumable"
    async with api_processes(data_dir) as [api]:
        client = await tus_client(api.url, anna, file, urls, 20 * MEGABYTE, 100)
        for place in (10, 25, 40):
            await grown(folder, place * MEGABYTE)
            await api.kill()
            before = await kept(data_dir, anna, urls)
            # Eight megabytes at most were on the disk and not counted yet.
            [there] = [path.stat().st_size for path in folder.iterdir()]
            assert before <= there <= before + 9 * MEGABYTE
            await api.start()
        told, _ = await client.communicate()
        assert client.returncode == 0
    stored = data_dir / "files" / "user-uploads" / told.decode().split()[-1]
    assert stored.read_bytes() == file.read_bytes()
    await nothing_is_left_over(data_dir)


async def kept(data_dir: Path, user: User, urls: Path) -> int:
    """How far the only upload is, by its row."""
    upload_id = urls.read_text().partition("/uploads/tus/")[2][:36]
    database = Database(f"sqlite:///{data_dir / 'voicekeep.db'}")
    async with database.read() as tx:
        found = await tx.uploads.find(upload_id, user.id)
    await database.close()
    assert found is not None
    return found.received


async def test_a_large_upload_is_never_whole_in_the_servers_memory(
    data_dir: Path, anna: User
) -> None:
    size = 300 * MEGABYTE
    async with api_processes(data_dir) as [api]:
        client = httpx.AsyncClient(base_url=api.url, headers={**anna.headers, **TUS}, timeout=60)
        warm = await begun(client, 2 * MEGABYTE)
        headers = {"Content-Type": PIECE, "Upload-Offset": "0"}
        await client.patch(warm, content=wav() + bytes(MEGABYTE), headers=headers)
        server = psutil.Process(api.process.pid)
        before = peak = server.memory_info().rss

        async def body() -> AsyncIterator[bytes]:
            nonlocal peak
            head = wav()
            yield head
            for _ in range(size // MEGABYTE - 1):
                yield b"\1" * MEGABYTE
                peak = max(peak, server.memory_info().rss)
            yield b"\1" * (MEGABYTE - len(head))

        path = await begun(client, size)
        sent = await client.patch(path, content=body(), headers=headers)
        assert sent.headers["Upload-Offset"] == str(size)
        await client.aclose()
    assert peak - before < 24 * MEGABYTE


async def begun(client: httpx.AsyncClient, size: int) -> str:
    """Path of an upload that was begun."""
    body = {"filename": "a.wav", "mediaType": "audio/wav", "bytes": size}
    answer = await client.post(f"{API}/uploads", json=body)
    assert answer.status_code == 201
    return httpx.URL(answer.json()["url"]).path


async def test_two_servers_on_one_disk_take_the_pieces_of_one_upload_in_turn_and_at_once(
    data_dir: Path, anna: User, tmp_path: Path
) -> None:
    content = noise(tmp_path / "a.wav", 5 * MEGABYTE).read_bytes()
    chance = random.Random(7)
    async with api_processes(data_dir, 2) as apis:
        clients = [
            httpx.AsyncClient(base_url=api.url, headers={**anna.headers, **TUS}, timeout=30)
            for api in apis
        ]
        path = await begun(clients[0], len(content))

        async def send(client: httpx.AsyncClient, place: int, size: int) -> int:
            headers = {"Content-Type": PIECE, "Upload-Offset": str(place)}
            piece = content[place : place + size]
            try:
                return (await client.patch(path, content=piece, headers=headers)).status_code
            except httpx.TransportError:
                # Refused before all of it was sent.
                return 409

        place = 0
        while place < len(content):
            sizes = [chance.randrange(1, MEGABYTE) for _ in range(4)]
            told = await asyncio.gather(
                *(send(chance.choice(clients), place, size) for size in sizes)
            )
            assert set(told) <= {204, 409, 413, 423}
            reached = {
                int((await client.head(path)).headers["Upload-Offset"]) for client in clients
            }
            assert len(reached) == 1
            # One of them won, and no other moved it further.
            assert told.count(204) == 1
            assert reached.pop() == place + len(content[place:][: sizes[told.index(204)]])
            place += len(content[place:][: sizes[told.index(204)]])
        answer = await clients[1].head(path)
        stored = data_dir / "files" / "user-uploads" / answer.headers["X-File-Path"]
        assert stored.read_bytes() == content
        for client in clients:
            await client.aclose()
    await nothing_is_left_over(data_dir)


async def test_a_dead_lines_request_lets_go_when_another_server_is_asked_to_go_on(
    data_dir: Path, anna: User, tmp_path: Path
) -> None:
    content = noise(tmp_path / "a.wav", MEGABYTE).read_bytes()
    async with api_processes(data_dir, 2) as apis:
        client = httpx.AsyncClient(headers={**anna.headers, **TUS}, timeout=30)
        client.base_url = httpx.URL(apis[1].url)
        path = await begun(client, len(content))
        _, writer = await asyncio.open_connection("127.0.0.1", apis[0].port)
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Authorization: {anna.headers['Authorization']}\r\nContent-Type: {PIECE}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        # It never ends its body, and never closes: the phone has gone to another network.
        writer.write(head.encode() + content[:300_000])
        await writer.drain()
        await grown(data_dir / "files" / "resumable", 1)
        place = int((await client.head(path)).headers["Upload-Offset"])
        assert place == 300_000
        headers = {"Content-Type": PIECE, "Upload-Offset": str(place)}
        rest = await client.patch(path, content=content[place:], headers=headers)
        assert rest.status_code == 204
        stored = data_dir / "files" / "user-uploads" / rest.headers["X-File-Path"]
        assert stored.read_bytes() == content
        writer.close()
        await client.aclose()
    await nothing_is_left_over(data_dir)
