"""What every storage promises; each kind of storage joins by its name in ``STORES``."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from activities.ports import Files
from contracts.errors import InvalidInput, NotFound
from tests.stores import STORES, open_store

OWNER = "7b1f1f6e-0000-4000-8000-000000000001"
KEY = f"{OWNER}/memo/audio_2026.m4a"

NO_KEYS = [
    "",
    "/",
    ".",
    "..",
    "no-owner",
    "/etc/passwd",
    f"/{KEY}",
    f"{OWNER}/",
    f"{OWNER}//audio",
    f"{OWNER}/./audio",
    f"{OWNER}/../other/audio",
    f"{OWNER}/memo/../../../etc/passwd",
    "../user-uploads/x",
    f"{OWNER}/%2e%2e%2fother",
    f"{OWNER}/%252e%252e/other",
    f"{OWNER}/..%5cother",
    f"{OWNER}/a%00b",
    f"{OWNER}/a\x00b",
    f"{OWNER}/a\nb",
    f"{OWNER}/a\x7fb",
    f"{OWNER}/a\u202eb",
    f"{OWNER}/a\\b",
    f"{OWNER}/..\\b",
    f"{OWNER}/\uff0e\uff0e/b",
    f"{OWNER}/a\uff0fb",
    f"{OWNER}/a\ud800b",
    f"{OWNER}/ .. /b",
    f"{OWNER}/" + "x" * 4096,
    f"{OWNER}/" + "x" * 256,
    f"{OWNER}/" + "ä" * 200,
    "/".join([OWNER, *["d" * 100] * 12]),
]


async def stream(content: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def content_of(files: Files, key: str, *where: int | None) -> bytes:
    start, end = (*where, 0, None)[:2] if len(where) < 2 else where
    return b"".join([chunk async for chunk in files.read(key, start or 0, end)])


async def keys(files: Files, prefix: str) -> list[str]:
    return sorted([file.key async for file in files.list(prefix)])


@pytest.fixture(params=STORES)
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Files]:
    azurite = request.getfixturevalue("azurite") if request.param == "azure" else None
    async with open_store(request.param, tmp_path / "storage", azurite) as store:
        yield store


async def test_a_stored_stream_comes_back_byte_by_byte(files: Files) -> None:
    content = random.Random(1).randbytes(3_000_017)
    stored = await files.put(KEY, stream(content, 70_001), media_type="audio/mp4")
    assert (stored.key, stored.size) == (KEY, len(content))
    assert stored.sha256 in {hashlib.sha256(content).hexdigest(), None}
    assert await content_of(files, KEY) == content
    found = await files.find(KEY)
    assert found is not None
    assert (found.key, found.size) == (KEY, len(content))
    assert found.modified_at > 0


async def test_a_local_file_is_stored_and_lent_out_again(files: Files, tmp_path: Path) -> None:
    source = tmp_path / "source.wav"
    source.write_bytes(b"RIFF" * 999_999)
    stored = await files.put_file(KEY, source, media_type="audio/wav")
    assert stored.size == source.stat().st_size
    async with files.local(KEY) as path:
        assert path.read_bytes() == source.read_bytes()
    assert source.exists()


async def test_an_empty_stream_is_an_empty_file(files: Files) -> None:
    assert (await files.put(KEY, stream(b""), media_type="audio/mp4")).size == 0
    assert await content_of(files, KEY) == b""


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 5, b"34"),
        (0, 0, b""),
        (9, 99, b"9"),
        (10, None, b""),
        (99, None, b""),
        (5, 3, b""),
    ],
)
async def test_a_range_holds_its_bytes_and_no_others(
    files: Files, start: int, end: int | None, expected: bytes
) -> None:
    await files.put(KEY, stream(b"0123456789"), media_type="audio/mp4")
    assert await content_of(files, KEY, start, end) == expected


async def test_ranges_of_a_large_file_join_to_the_whole(files: Files) -> None:
    content = random.Random(2).randbytes(2_500_000)
    await files.put(KEY, stream(content, 99_991), media_type="audio/mp4")
    cuts = [0, 1, 1_048_575, 1_048_576, 1_048_577, 2_500_000]
    parts = [await content_of(files, KEY, a, b) for a, b in pairwise(cuts)]
    assert b"".join(parts) == content


async def test_a_reader_that_stops_early_leaves_nothing_open(files: Files) -> None:
    await files.put(KEY, stream(b"x" * 3_000_000, 65_536), media_type="audio/mp4")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        async with aclosing(files.read(KEY)) as chunks:  # type: ignore[type-var]  # a generator
            async for _chunk in chunks:
                break
    while len(list(Path("/proc/self/fd").iterdir())) > before:
        await asyncio.sleep(0.01)


async def test_what_is_not_there_is_not_found(files: Files) -> None:
    assert await files.find(KEY) is None
    assert not await files.delete(KEY)
    with pytest.raises(NotFound):
        await content_of(files, KEY)
    with pytest.raises(NotFound):
        async with files.local(KEY):
            raise AssertionError
    assert await keys(files, "") == []
    assert await keys(files, f"{OWNER}/") == []


async def test_a_folder_is_no_file(files: Files) -> None:
    await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    assert await files.find(f"{OWNER}/memo") is None
    assert not await files.delete(f"{OWNER}/memo")
    with pytest.raises(NotFound):
        await content_of(files, f"{OWNER}/memo")
    assert await content_of(files, KEY) == b"x"


async def test_a_second_file_of_the_same_key_replaces_the_first_in_one_move(files: Files) -> None:
    await files.put(KEY, stream(b"first"), media_type="audio/mp4")
    reader = files.read(KEY)
    await files.put(KEY, stream(b"second"), media_type="audio/mp4")
    assert await content_of(files, KEY) == b"second"
    assert [chunk async for chunk in reader] in ([b"first"], [b"second"])
    assert await keys(files, "") == [KEY]


async def test_a_stream_that_breaks_leaves_no_file_and_the_one_before_as_it_was(
    files: Files,
) -> None:
    class Broken(Exception):
        pass

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise Broken

    with pytest.raises(Broken):
        await files.put(KEY, broken(), media_type="audio/mp4")
    assert await files.find(KEY) is None
    await files.put(KEY, stream(b"whole"), media_type="audio/mp4")
    with pytest.raises(Broken):
        await files.put(KEY, broken(), media_type="audio/mp4")
    assert await content_of(files, KEY) == b"whole"
    assert await keys(files, "") == [KEY]


async def test_a_writer_that_is_cancelled_leaves_no_file(files: Files) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 200_000
            await asyncio.sleep(0)

    for turns in (1, 2, 5, 20, 50):
        writer = asyncio.create_task(files.put(KEY, endless(), media_type="audio/mp4"))
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
    assert await keys(files, "") == []


async def test_a_deleted_file_is_gone(files: Files) -> None:
    await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    assert await files.delete(KEY)
    assert not await files.delete(KEY)
    assert await files.find(KEY) is None
    assert await keys(files, "") == []


async def test_a_listing_holds_what_begins_with_the_prefix(files: Files) -> None:
    stored = [f"{OWNER}/a/1", f"{OWNER}/a/work/2", f"{OWNER}/ab/3", "other/a/4"]
    for key in stored:
        await files.put(key, stream(b"x"), media_type="audio/mp4")
    assert await keys(files, "") == sorted(stored)
    assert await keys(files, f"{OWNER}/") == stored[:3]
    assert await keys(files, f"{OWNER}/a") == stored[:3]
    assert await keys(files, f"{OWNER}/a/") == stored[:2]
    assert await keys(files, f"{OWNER}/a/work/") == stored[1:2]
    assert await keys(files, f"{OWNER}/b") == []
    assert await keys(files, "nobody/") == []


async def test_a_long_listing_is_whole(files: Files) -> None:
    expected = [f"{OWNER}/m{number % 7}/{number:04}" for number in range(1100)]
    for start in range(0, len(expected), 50):
        await asyncio.gather(
            *(
                files.put(key, stream(b"x"), media_type="audio/mp4")
                for key in expected[start : start + 50]
            )
        )
    assert await keys(files, f"{OWNER}/") == sorted(expected)


@pytest.mark.parametrize("key", NO_KEYS)
async def test_what_only_looks_like_a_key_is_refused(
    files: Files, tmp_path: Path, key: str
) -> None:
    source = tmp_path / "source"
    source.touch()

    async def borrow() -> None:
        async with files.local(key):
            raise AssertionError

    calls = (
        files.put(key, stream(b"x"), media_type="audio/mp4"),
        files.put_file(key, source, media_type="audio/mp4"),
        files.find(key),
        content_of(files, key),
        borrow(),
        files.delete(key),
    )
    for call in calls:
        with pytest.raises(InvalidInput) as refused:
            await call
        assert refused.value.code == "invalid_path"
    assert await keys(files, "") == []


@pytest.mark.parametrize("prefix", ["../", "a/../", "/", "a//", "a/%2e%2e/", "a\\", "..", "a\x00"])
async def test_a_prefix_of_no_key_is_refused(files: Files, prefix: str) -> None:
    with pytest.raises(InvalidInput):
        await keys(files, prefix)


@pytest.mark.parametrize(
    "name",
    ["audio 1.m4a", "..hidden", "a..b", "x" * 255, "-rf", "(1)+2 & 3=4;@5,6:7'8!*$.wav"],
)
async def test_an_unusual_name_is_a_name(files: Files, name: str) -> None:
    await comes_back(files, f"{OWNER}/{name}")


@pytest.mark.parametrize("name", ["Grüße 🎧.wav", "ä" * 127, "~", "what?#.wav"])
async def test_a_name_beyond_plain_letters_is_a_name_or_refused_everywhere(
    files: Files, name: str, request: pytest.FixtureRequest
) -> None:
    key = f"{OWNER}/{name}"
    if "supabase" not in request.node.callspec.id:
        await comes_back(files, key)
        return
    with pytest.raises(InvalidInput):
        await files.put(key, stream(b"x"), media_type="audio/mp4")
    with pytest.raises(InvalidInput):
        await files.find(key)


async def comes_back(files: Files, key: str) -> None:
    await files.put(key, stream(b"x"), media_type="audio/mp4")
    assert await files.find(key) is not None
    assert await content_of(files, key) == b"x"
    assert await content_of(files, key, 0, 1) == b"x"
    assert await keys(files, "") == [key]
    assert await files.delete(key)


async def test_many_writers_and_readers_do_not_disturb_one_another(files: Files) -> None:
    contents = {f"{OWNER}/{n}/f": bytes([n]) * (n * 40_000) for n in range(1, 13)}

    async def round_trip(key: str, content: bytes) -> None:
        for _ in range(3):
            await files.put(key, stream(content, 30_011), media_type="audio/mp4")
            assert await content_of(files, key) == content
            assert await files.delete(key)

    await asyncio.gather(*(round_trip(key, content) for key, content in contents.items()))
    assert await keys(files, "") == []
