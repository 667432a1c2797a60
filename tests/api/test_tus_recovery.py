"""Row and disk after a death or a failure between any two steps: nothing counted is lost."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

import api.tus_receiver
from contracts.errors import Unavailable
from store.uploads import Uploads
from tests.api.front import Front, User, opened, wav
from tests.api.sockets import served
from tests.api.uploading import PIECE, TUS, begin, patch, path_of, stored_at, where


class DatabaseGoes(Uploads):
    """Away in the very moment bytes are counted."""

    async def finish(self, *_: Any) -> NoReturn:
        raise Unavailable("The database does not answer")

    async def advance(self, *_: Any, **__: Any) -> NoReturn:
        raise Unavailable("The database does not answer")


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the database go away and come back."""

    class Switch:
        def on(self) -> None:
            monkeypatch.setattr(Uploads, "finish", DatabaseGoes.finish)
            monkeypatch.setattr(Uploads, "advance", DatabaseGoes.advance)

        def off(self) -> None:
            monkeypatch.undo()

    return Switch()


@pytest.mark.parametrize("counted", [0, 1000])
async def test_a_file_that_was_moved_and_not_counted_is_found_whole_by_the_next_try(
    front: Front, anna: User, losing: Any, counted: int
) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    if counted:
        await patch(front, anna, upload["url"], 0, content[:counted])
    losing.on()
    lost = await patch(front, anna, upload["url"], counted, content[counted:])
    assert lost.status_code == 503
    losing.off()
    assert await where(front, anna, upload["url"]) == counted
    again = await patch(front, anna, upload["url"], counted, content[counted:])
    assert (again.status_code, again.json()["offset"]) == (409, len(content))
    assert await where(front, anna, upload["url"]) == len(content)
    assert stored_at(front, upload["filePath"]).read_bytes() == content
    assert len(front.stored) == 1


async def test_bytes_that_were_not_counted_are_cut_off_before_others_come(
    front: Front, anna: User, losing: Any
) -> None:
    content = wav(1.0)
    upload = await begin(front, anna, len(content))
    await patch(front, anna, upload["url"], 0, content[:1000])
    losing.on()
    assert (await patch(front, anna, upload["url"], 1000, b"x" * 9000)).status_code == 503
    losing.off()
    assert await where(front, anna, upload["url"]) == 1000
    rest = await patch(front, anna, upload["url"], 1000, content[1000:])
    assert rest.status_code == 204
    assert stored_at(front, upload["filePath"]).read_bytes() == content


async def test_a_disk_that_has_fewer_bytes_than_were_counted_is_not_the_right_one(
    front: Front, anna: User
) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    await patch(front, anna, upload["url"], 0, content[:1000])
    [there] = front.stored
    os.truncate(front.settings.files_dir / there, 999)
    answer = await patch(front, anna, upload["url"], 1000, content[1000:])
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert await where(front, anna, upload["url"]) == 1000


async def test_what_came_before_a_client_hung_up_is_kept_to_the_byte_but_for_what_it_would_check(
    data_dir: Path,
) -> None:
    async with served(data_dir) as (front, address):
        anna = front.user()
        content = wav(30.0)
        port = int(address.rpartition(":")[2])
        for checksum, kept in (("", 500_000), ("Upload-Checksum: sha1 " + "A" * 27 + "=\r\n", 0)):
            upload = await begin(front, anna, len(content))
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = (
                f"PATCH {path_of(upload['url'])} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n"
                f"Upload-Offset: 0\r\nAuthorization: {anna.headers['Authorization']}\r\n{checksum}"
                f"Content-Type: {PIECE}\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            writer.write(head.encode() + content[:500_000])
            await writer.drain()
            await asyncio.sleep(0.3)
            writer.close()
            await writer.wait_closed()
            assert await where(front, anna, upload["url"]) == kept


async def test_of_two_requests_at_once_one_is_told_to_wait_and_an_end_too(
    front: Front, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.tus_receiver, "LOCK_WAIT_SECONDS", 0.1)
    content = wav()
    upload = await begin(front, anna, len(content))
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield content[:1000]
        await go_on.wait()
        yield content[1000:]

    first = asyncio.create_task(patch(front, anna, upload["url"], 0, slow()))
    while not front.stored:
        await asyncio.sleep(0.01)
    second = await patch(front, anna, upload["url"], 0, content)
    assert (second.status_code, second.json()["code"]) == (423, "locked")
    assert "Retry-After" in second.headers
    ended = await front.ask("DELETE", path_of(upload["url"]), anna, headers=TUS)
    assert ended.status_code == 423
    go_on.set()
    assert (await first).status_code == 204
    assert stored_at(front, upload["filePath"]).read_bytes() == content


async def test_a_body_that_falls_silent_is_taken_for_cut(
    front: Front, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.tus_receiver, "STALLED_SECONDS", 0.05)
    monkeypatch.setattr(api.tus_receiver, "KEEP_SECONDS", 0.05)
    content = wav()
    upload = await begin(front, anna, len(content))

    async def silent() -> AsyncIterator[bytes]:
        yield content[:1000]
        await asyncio.sleep(30)

    answer = await patch(front, anna, upload["url"], 0, silent())
    assert (answer.status_code, answer.json()["code"]) == (423, "upload_stalled")
    assert await where(front, anna, upload["url"]) == 1000


async def test_a_full_disk_is_said_before_and_while_bytes_come(data_dir: Path) -> None:
    async with opened(data_dir) as front:
        anna = front.user()
        content = wav()
        upload = await begin(front, anna, len(content))
        disk = front.services.resumable
        assert disk is not None
        object.__setattr__(disk._disk, "_reserve_bytes", 2**60)
        begun = await front.ask(
            "POST", "uploads", anna,
            json={"filename": "a", "mediaType": "audio/wav", "bytes": 100},
        )  # fmt: skip
        sent = await patch(front, anna, upload["url"], 0, content)
        for answer in (begun, sent):
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_full")
        assert await where(front, anna, upload["url"]) == 0
