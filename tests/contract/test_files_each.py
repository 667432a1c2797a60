"""What one kind of storage does its own way: memory, refusals, names, terms of signed uploads."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.errors import Conflict, InvalidInput, TooLarge, Unavailable
from store.files import Elsewhere
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes import supabase_storage
from tests.fakes.alone import started
from tests.media.memory import MEGABYTE, at_most
from tests.stores import (
    AWAY,
    KEY,
    LARGE,
    REFUSED,
    SMALL,
    TYPE,
    content_of,
    found_at,
    on_azure,
    on_supabase,
    stream,
    supabase,
)

SAID = '{"statusCode": "%s", "error": "%s", "message": "no"}'


async def ping(files: Elsewhere) -> None:
    await files.ping()


async def find(files: Elsewhere) -> None:
    await files.find(KEY)


async def read(files: Elsewhere) -> None:
    await content_of(files, KEY)


@pytest.mark.parametrize(
    "size", [48 * MEGABYTE, pytest.param(200 * MEGABYTE, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", ["supabase", "azure"])
async def test_a_window_of_a_file_is_in_memory_never_the_file(
    kind: str, size: int, azurite: Azurite, tmp_path: Path
) -> None:
    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(size // MEGABYTE):
            yield b"\0" * MEGABYTE

    async with AsyncExitStack() as stack:
        opening: Any = on_azure(azurite.url, tmp_path)
        if kind == "supabase":
            url = await stack.enter_async_context(started("tests.fakes.supabase_storage"))
            opening = on_supabase(url, tmp_path)
        files: Elsewhere = await stack.enter_async_context(opening)
        await files.put(f"{KEY}.warm", stream(LARGE), media_type=TYPE)
        with at_most(24 * MEGABYTE):
            await files.put(KEY, zeros(), media_type=TYPE)
            async with files.local(KEY) as path:
                assert path.stat().st_size == size
                await files.put_file(f"{KEY}.copy", path, media_type=TYPE)
            assert (await found_at(files, f"{KEY}.copy")).size == size
            got = 0
            async for chunk in files.read(KEY):
                got += len(chunk)
        assert got == size


async def test_supabase_is_told_the_media_type_and_goes_on_after_a_lost_answer(
    tmp_path: Path,
) -> None:
    async with supabase() as fake, on_supabase(fake.url, tmp_path) as files:
        await files.put(KEY, stream(SMALL), media_type=TYPE)
        assert fake.files[KEY].media_type == TYPE
        fake.wire.fault(cut="answer", call="PATCH")
        await files.put(KEY, stream(LARGE), media_type="audio/wav")
        assert (fake.files[KEY].content, fake.files[KEY].media_type) == (LARGE, "audio/wav")
        sent = [call["bytes"] for call in fake.wire.calls if call["method"] == "PATCH"]
        assert sent == [6_291_456, 6_291_456, len(LARGE) - 2 * 6_291_456]
        fake.wire.fault(status=409, call="PATCH", undone=True)
        await files.put(KEY, stream(LARGE[::-1]), media_type="audio/wav")
        assert fake.files[KEY].content == LARGE[::-1]
        fake.wire.fault(status=423, call="PATCH|HEAD", undone=True, times=50)
        with pytest.raises(Unavailable):
            await files.put(KEY, stream(LARGE), media_type="audio/wav")
        assert fake.files[KEY].content == LARGE[::-1]
        assert fake.sent == {}


async def test_supabase_refusals_have_their_real_status_in_the_body(tmp_path: Path) -> None:
    async with supabase() as fake:
        fake.largest = 1000
        async with on_supabase(fake.url, tmp_path) as files:
            for content in (SMALL, LARGE):
                with pytest.raises(TooLarge):
                    await files.put(KEY, stream(content), media_type=TYPE)
            await files.put(KEY, stream(b"x"), media_type=TYPE)
            with pytest.raises(Conflict):
                await files.sign_upload(KEY, media_type=TYPE, size=1, seconds=60)
            for status, error, code in (
                ("403", "Unauthorized", REFUSED),
                ("400", "InvalidJWT", REFUSED),
                ("503", "SlowDown", AWAY),
                ("404", "Bucket not found", REFUSED),
            ):
                fake.wire.fault(status=400, body=SAID % (status, error))
                with pytest.raises(Unavailable) as failed:
                    await files.find(KEY)
                assert failed.value.code == code
            fake.public = True
            with pytest.raises(Unavailable, match="make it private"):
                await files.examine()
        for wrong in ({"key": "other"}, {"bucket": "other"}):
            async with on_supabase(fake.url, tmp_path, **wrong) as files:
                with pytest.raises(Unavailable, match="MEMORO_SUPABASE_SERVICE_KEY"):
                    await files.examine()
                with pytest.raises(Unavailable) as failed:
                    await files.put(KEY, stream(b"x"), media_type=TYPE)
                assert failed.value.code == REFUSED


async def test_a_signed_upload_ends_when_it_says(tmp_path: Path, azurite: Azurite) -> None:
    async with (
        supabase() as fake,
        on_supabase(fake.url, tmp_path) as first,
        on_azure(azurite.url, tmp_path) as second,
        httpx.AsyncClient(trust_env=False) as outsider,
    ):
        fake.upload_seconds = -1
        for files in (first, second):
            signed = await files.sign_upload(KEY, media_type=TYPE, size=1, seconds=-1)
            answer = await outsider.put(signed.url, headers=signed.headers, content=b"x")
            assert answer.status_code >= 400
            assert await files.find(KEY) is None


async def test_a_wrong_key_of_azure_is_said_and_shown_to_nobody(
    tmp_path: Path, azurite: Azurite
) -> None:
    for wrong in ("c2VjcmV0LWJ1dC13cm9uZw==", "no base64!"):
        async with on_azure(azurite.url, tmp_path, key=wrong) as files:
            for call in (ping, find, read):
                with pytest.raises(Unavailable, match="AZURE_STORAGE_ACCOUNT_KEY") as failed:
                    await call(files)
                assert failed.value.code == REFUSED
                assert wrong not in str(failed.value)


@pytest.mark.parametrize("key", ["a/b.", "a./b", "a/..b."])
async def test_azure_takes_no_name_that_ends_with_a_dot(
    tmp_path: Path, azurite: Azurite, key: str
) -> None:
    async with on_azure(azurite.url, tmp_path) as files:
        with pytest.raises(InvalidInput):
            await files.put(key, stream(b"x"), media_type=TYPE)


SPEAKING = """
import asyncio, sys
from pathlib import Path
from contracts.errors import Failure
from runtime.logs import configure
from runtime.settings import load
from store.files import open_files
from contextlib import AsyncExitStack

async def chunks():
    yield b"x" * 7_000_000

async def main():
    settings = load(None)
    configure(settings.logs)
    async with AsyncExitStack() as stack:
        files = open_files(settings.storage_setup, stack).elsewhere
        await files.ping()
        for call in (
            lambda: files.put("u/m/audio", chunks(), media_type="audio/mp4"),
            lambda: read(files, "u/m/audio"),
            lambda: read(files, "u/m/none"),
            lambda: files.sign_upload("u/m/more", media_type="audio/mp4", size=1, seconds=60),
            files.examine,
        ):
            try:
                print(repr(await call()))
            except Failure as failure:
                print(failure, repr(failure), failure.extra)

async def read(files, key):
    return sum([len(chunk) async for chunk in files.read(key)])

asyncio.run(main())
"""


@pytest.mark.parametrize("key_is", ["right", "wrong"])
@pytest.mark.parametrize("kind", ["supabase", "azure"])
async def test_neither_key_nor_signed_address_is_said(
    kind: str, key_is: str, azurite: Azurite, tmp_path: Path
) -> None:
    right = published.KEY if kind == "azure" else supabase_storage.KEY
    key = right if key_is == "right" else "d3JvbmcgYnV0IHNlY3JldA=="
    async with supabase() as fake:
        given = {
            "STORAGE": kind,
            "MEMORO_SUPABASE_URL": fake.url,
            "MEMORO_SUPABASE_SERVICE_KEY": key,
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": key,
            "AZURE_BLOB_ENDPOINT": azurite.url,
            "DATA_DIR": str(tmp_path),
            "LOG_LEVEL": "debug",
            "PATH": os.environ["PATH"],
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SPEAKING),
            cwd=Path(__file__).resolve().parents[2],
            env=given,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
    if key_is == "right":
        assert process.returncode == 0, said
        assert "7000000" in said
        assert "Not found" in said
    else:
        assert "storage.refused" in said
    for secret in (key, "sig=", "token=", "eyJ", "Bearer"):
        assert secret not in said
