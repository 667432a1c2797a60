"""What storage on a disk promises beside what every storage does."""

import asyncio
import errno
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.errors import InvalidInput, NotFound, Unavailable
from store.files_disk import DiskFiles

ROOT = Path(__file__).resolve().parents[2]
KEY = "owner/memo/audio.m4a"

WRITER = """
import asyncio, sys
from pathlib import Path
from store.files_disk import DiskFiles

async def chunks():
    for number in range(10_000):
        yield b"x" * 1_000_000
        print(number, flush=True)

asyncio.run(DiskFiles(Path(sys.argv[1]), reserve_bytes=0).put(sys.argv[2], chunks(), media_type=""))
"""


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def files(root: Path) -> DiskFiles:
    return DiskFiles(root, reserve_bytes=0)


async def test_files_lie_under_their_key_and_are_nobody_elses_to_read(
    files: DiskFiles, root: Path
) -> None:
    await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    path = root / "user-uploads" / KEY
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list((root / "incoming").iterdir()) == []


async def test_a_killed_writer_leaves_no_visible_file_and_a_leftover_that_is_swept(
    files: DiskFiles, root: Path
) -> None:
    await files.put(KEY, stream(b"before"), media_type="audio/mp4")
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(root), KEY, cwd=ROOT, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    for _ in range(4):
        assert await writer.stdout.readline()
    writer.kill()
    await writer.communicate()
    assert b"".join([chunk async for chunk in files.read(KEY)]) == b"before"
    assert [file.key async for file in files.list("")] == [KEY]
    assert await files.unfinished(older_than_seconds=0) == 1
    assert await files.sweep(older_than_seconds=3600) == 0
    assert await files.sweep(older_than_seconds=0) == 1
    assert await files.unfinished(older_than_seconds=0) == 0
    assert list((root / "incoming").iterdir()) == []


async def test_a_sweep_leaves_what_is_being_written(files: DiskFiles, root: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        assert await files.sweep(older_than_seconds=60) == 0
        yield b"y"

    await files.put(KEY, slow(), media_type="audio/mp4")
    old = root / "incoming" / "0.part"
    old.touch()
    os.utime(old, (time.time() - 100, time.time() - 100))
    (root / "incoming" / "not-ours").touch()
    assert await files.sweep(older_than_seconds=60) == 1
    assert [path.name for path in (root / "incoming").iterdir()] == ["not-ours"]


@pytest.mark.parametrize("place", ["folder", "file"])
async def test_a_link_out_of_the_folder_is_not_followed(
    files: DiskFiles, root: Path, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "memo").mkdir(parents=True)
    secret = outside / "memo" / "audio.m4a"
    secret.write_bytes(b"secret")
    bucket = root / "user-uploads"
    await files.put("other/memo/x", stream(b"x"), media_type="audio/mp4")
    if place == "folder":
        (bucket / "owner").symlink_to(outside)
    else:
        (bucket / "owner" / "memo").mkdir(parents=True)
        (bucket / "owner" / "memo" / "audio.m4a").symlink_to(secret)
    for read in (files.read(KEY).__anext__(), files.local(KEY).__aenter__()):
        with pytest.raises(NotFound):
            await read
    if place == "folder":
        assert await files.find(KEY) is None
        assert not await files.delete(KEY)
        with pytest.raises(InvalidInput):
            await files.put(KEY, stream(b"mine"), media_type="audio/mp4")
    else:
        assert await files.find(KEY) is None
        await files.put(KEY, stream(b"mine"), media_type="audio/mp4")
        assert b"".join([chunk async for chunk in files.read(KEY)]) == b"mine"
    assert secret.read_bytes() == b"secret"
    assert [file.key async for file in files.list("")] == (
        ["other/memo/x"] if place == "folder" else sorted([KEY, "other/memo/x"])
    )


async def test_a_link_is_not_listed(files: DiskFiles, root: Path, tmp_path: Path) -> None:
    await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    (root / "user-uploads" / "owner" / "loop").symlink_to(root / "user-uploads")
    (root / "user-uploads" / "owner" / "file").symlink_to(tmp_path)
    assert [file.key async for file in files.list("")] == [KEY]


async def test_a_file_in_the_place_of_a_folder_is_no_key(files: DiskFiles) -> None:
    await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    below = f"{KEY}/below"
    with pytest.raises(NotFound):
        await files.read(below).__anext__()
    assert await files.find(below) is None
    assert not await files.delete(below)
    with pytest.raises(InvalidInput):
        await files.put(below, stream(b"x"), media_type="audio/mp4")
    with pytest.raises(InvalidInput):
        await files.put("owner/memo", stream(b"x"), media_type="audio/mp4")
    assert [file.key async for file in files.list("")] == [KEY]


async def test_a_deleted_file_takes_the_folders_it_leaves_empty_with_it(
    files: DiskFiles, root: Path
) -> None:
    await files.put("owner/a/b/c", stream(b"x"), media_type="audio/mp4")
    await files.put("owner/kept", stream(b"x"), media_type="audio/mp4")
    await files.delete("owner/a/b/c")
    assert [path.name for path in (root / "user-uploads" / "owner").iterdir()] == ["kept"]


async def test_writers_and_deleters_of_one_folder_do_not_disturb_one_another(
    files: DiskFiles,
) -> None:
    async def come_and_go(name: str) -> None:
        for _ in range(40):
            await files.put(f"owner/memo/{name}", stream(b"x"), media_type="audio/mp4")
            assert await files.delete(f"owner/memo/{name}")

    await asyncio.gather(*(come_and_go(name) for name in "abcd"))


async def test_a_disk_without_room_is_unavailable_before_anything_is_written(
    root: Path,
) -> None:
    files = DiskFiles(root, reserve_bytes=2**62)
    with pytest.raises(Unavailable) as full:
        await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    assert full.value.code == "storage_full"
    assert full.value.retry_after
    assert list((root / "incoming").iterdir()) == []
    with pytest.raises(Unavailable):
        await files.ping()


async def test_a_disk_that_runs_full_ends_the_writing(files: DiskFiles, root: Path) -> None:
    async def until_full() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        files._reserve_bytes = 2**62
        for _ in range(40):
            yield b"x" * 1_000_000

    with pytest.raises(Unavailable) as full:
        await files.put(KEY, until_full(), media_type="audio/mp4")
    assert full.value.code == "storage_full"
    assert await files.find(KEY) is None
    assert list((root / "incoming").iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files = DiskFiles(tmp_path / "file" / "storage", reserve_bytes=0)
    for call in (files.ping(), files.put(KEY, stream(b"x"), media_type="audio/mp4")):
        with pytest.raises(Unavailable):
            await call


async def test_a_disk_that_fails_is_unavailable(files: DiskFiles) -> None:
    class Failing:
        def __call__(self) -> None:
            raise OSError(errno.EIO, "I/O error")

    files._check_room = Failing()  # type: ignore[method-assign]  # a disk that fails
    with pytest.raises(Unavailable) as away:
        await files.put(KEY, stream(b"x"), media_type="audio/mp4")
    assert away.value.code == "storage_unavailable"


async def test_a_healthy_folder_answers(files: DiskFiles) -> None:
    await files.ping()
    await files.ping()
