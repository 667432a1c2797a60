"""What is left of uploads whose client never came back is removed, and nothing else."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.uploads import UploadSweep
from contracts.audio import MediaKind
from contracts.upload_sessions import UploadSession
from store.database import Database
from store.files_disk import DiskFiles
from store.invariants import violations
from store.resumable_disk import ResumableFiles

HOUR = 3600.0


class Bench:
    """A disk with uploads on it that were begun."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.root = root
        self.files = DiskFiles(root)
        self.resumable = ResumableFiles(root)

    async def sweep(self) -> int:
        sweep = UploadSweep(self.database, self.files, self.resumable)
        return await ActivityEnvironment().run(sweep.sweep, HOUR)

    async def upload(self, *, over_for: float, content: bytes = b"RIFF", **fields: Any) -> str:
        """Begin one whose time was over so many seconds ago; its id."""
        user, upload_id = str(uuid4()), str(uuid4())
        upload = UploadSession(
            id=upload_id,
            user_id=user,
            key=f"{user}/{upload_id}/audio.wav",
            media_type="audio/wav",
            length=100,
            expires_at=datetime.now(UTC) - timedelta(seconds=over_for),
            **fields,
        )
        async with self.database.write() as tx:
            await tx.media.add(upload.key, user, kind=MediaKind.UPLOAD, memo_id=None, job_id=None)
            await tx.uploads.add(upload)
        if content:
            async with self.resumable.writing(upload_id, wait_seconds=0) as file:
                await file.write([content])
        return upload_id

    async def key(self, upload_id: str) -> str:
        async with self.database.read() as tx:
            [found] = [
                each
                for each in await tx.uploads.expired(older_than_seconds=-1e6, passing=(), limit=100)
                if each.id == upload_id
            ]
        return found.key

    @property
    def there(self) -> set[str]:
        """Ids of uploads of which there are bytes."""
        return {path.name for path in (self.root / "resumable").iterdir()}

    async def known(self, *upload_ids: str) -> set[str]:
        async with self.database.read() as tx:
            return set(await tx.uploads.known(upload_ids))

    async def loose(self) -> int:
        async with self.database.read() as tx:
            return len(await tx.media.abandoned(older_than_seconds=-HOUR, limit=100))


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    return Bench(database, tmp_path / "files")


async def test_an_upload_that_is_over_for_long_goes_with_its_bytes_and_one_that_is_not_stays(
    bench: Bench,
) -> None:
    over = await bench.upload(over_for=HOUR + 10)
    nothing_came = await bench.upload(over_for=HOUR + 10, content=b"")
    just_over = await bench.upload(over_for=10)
    under_way = await bench.upload(over_for=-HOUR)
    assert await bench.sweep() == 1
    assert bench.there == {just_over, under_way}
    assert await bench.known(over, nothing_came, just_over, under_way) == {just_over, under_way}
    assert await bench.sweep() == 0
    # Nothing else is left of those two: what is still announced is on its way.
    assert await bench.loose() == 0


async def test_an_upload_whose_last_request_is_still_open_is_left_to_the_next_sweep(
    bench: Bench,
) -> None:
    over = await bench.upload(over_for=HOUR + 10)
    other = await bench.upload(over_for=HOUR + 5)
    async with bench.resumable.writing(over, wait_seconds=0):
        assert await bench.sweep() == 1
        assert await bench.known(over, other) == {over}
    assert await bench.sweep() == 1
    assert await bench.known(over) == set()


@pytest.mark.parametrize("signed", [True, False])
async def test_a_file_that_came_whole_is_left_to_its_memo_or_to_be_swept_as_any_other(
    bench: Bench, *, signed: bool
) -> None:
    over = await bench.upload(over_for=HOUR + 10, content=b"", signed=signed)
    key = await bench.key(over)

    async def content() -> Any:
        yield b"R" * 100

    await bench.files.put(key, content(), media_type="audio/wav")
    assert await bench.loose() == 0
    await bench.sweep()
    assert await bench.known(over) == set()
    assert await bench.files.find(key) is not None
    assert await bench.loose() == 1


async def test_a_signed_upload_that_never_came_leaves_no_row(bench: Bench) -> None:
    await bench.upload(over_for=HOUR + 10, content=b"", signed=True)
    without_disk = UploadSweep(bench.database, bench.files)
    assert await ActivityEnvironment().run(without_disk.sweep, HOUR) == 0
    assert await bench.loose() == 0


async def test_bytes_without_an_upload_are_told_of_and_removed_when_they_are_old(
    bench: Bench,
) -> None:
    under_way = await bench.upload(over_for=-HOUR)
    lost, young = str(uuid4()), str(uuid4())
    for upload_id in (lost, young):
        async with bench.resumable.writing(upload_id, wait_seconds=0) as file:
            await file.write([b"x"])
    old = time.time() - HOUR - 60
    for upload_id in (lost, under_way):
        os.utime(bench.root / "resumable" / upload_id, (old, old))
    (bench.root / "resumable" / "no upload").write_text("somebody's")
    found = [each async for each in violations(bench.database, bench.files, bench.resumable)]
    assert [(each.subject, each.invariant) for each in found] == [(lost, "no_orphans")]
    assert await bench.sweep() == 1
    assert bench.there == {under_way, young, "no upload"}
    assert [each async for each in violations(bench.database, bench.files, bench.resumable)] == []
