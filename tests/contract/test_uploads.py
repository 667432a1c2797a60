"""The rows of uploads: they say what is kept for certain, whoever writes and however many."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from contracts.audio import MediaKind
from contracts.upload_sessions import UploadSession
from store.database import Database

Opened = Callable[..., Database]
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def new_upload(user: str, **fields: Any) -> UploadSession:
    upload_id = str(uuid4())
    told = {
        "key": f"{user}/{upload_id}/audio.m4a",
        "media_type": "audio/mp4",
        "length": 100,
        "expires_at": TOMORROW,
    }
    return UploadSession(id=upload_id, user_id=user, **(told | fields))


async def added(database: Database, upload: UploadSession) -> UploadSession:
    async with database.write() as tx:
        await tx.media.add(
            upload.key, upload.user_id, kind=MediaKind.UPLOAD, memo_id=None, job_id=None
        )
        await tx.uploads.add(upload)
    return upload


async def test_what_is_remembered_of_an_upload_is_found_again_by_its_owner_alone(
    database: Database, user: str
) -> None:
    upload = await added(database, new_upload(user, metadata="filename eA=="))
    async with database.read() as tx:
        assert await tx.uploads.find(upload.id, user) == upload
        assert await tx.uploads.find(upload.id, str(uuid4())) is None
        assert await tx.uploads.find(str(uuid4()), user) is None


async def test_an_expired_upload_is_not_found_and_is_listed_to_be_cleared(
    opened: Opened, user: str
) -> None:
    now = datetime.now(UTC)
    database = opened(clock=lambda: now)
    upload = await added(database, new_upload(user, expires_at=now + timedelta(hours=1)))
    later = opened(clock=lambda: now + timedelta(hours=2, seconds=1))
    async with later.read() as tx:
        assert await tx.uploads.find(upload.id, user) is None
        assert (await tx.uploads.open(user)).number == 0
        assert await tx.uploads.expired(older_than_seconds=3600, passing=(), limit=9) == [upload]
        assert await tx.uploads.expired(older_than_seconds=3700, passing=(), limit=9) == []
        passed = await tx.uploads.expired(older_than_seconds=3600, passing=[upload.id], limit=9)
    assert passed == []


async def test_of_two_processes_that_count_the_same_bytes_one_is_told_that_it_did_not(
    opened: Opened, user: str
) -> None:
    one, other = opened(), opened()
    upload = await added(one, new_upload(user))

    async def advance(database: Database, received: int) -> UploadSession | None:
        async with database.write() as tx:
            return await tx.uploads.advance(upload, received, sniffed=True)

    told = await asyncio.gather(advance(one, 40), advance(other, 60))
    [moved] = [each for each in told if each is not None]
    async with one.read() as tx:
        assert await tx.uploads.find(upload.id, user) == moved
    assert moved.received in {40, 60}


async def test_a_finished_upload_has_all_its_bytes_and_counts_no_more(
    database: Database, user: str
) -> None:
    upload = await added(database, new_upload(user))
    async with database.write() as tx:
        finished = await tx.uploads.finish(upload)
    assert finished is not None
    assert (finished.received, finished.finished) == (100, True)
    async with database.write() as tx:
        assert await tx.uploads.find(upload.id, user) == finished
        assert await tx.uploads.finish(finished) is None
        assert await tx.uploads.advance(finished, 100, sniffed=True) is None


async def test_open_uploads_are_counted_for_their_owner_until_finished_or_become_a_memo(
    database: Database, user: str
) -> None:
    first, second = [await added(database, new_upload(user)) for _ in range(2)]
    signed = await added(database, new_upload(user, signed=True))
    await added(database, new_upload(str(uuid4())))
    async with database.write() as tx:
        assert await tx.uploads.open(user) == (3, TOMORROW)
        await tx.uploads.finish(first)
        # A memo over it says that a signed upload has come; bytes through here are still to come.
        for upload in (second, signed):
            await tx.media.claim(upload.key, user, str(uuid4()))
        assert (await tx.uploads.open(user)).number == 1


async def test_users_who_begin_uploads_at_once_are_counted_one_after_another(
    opened: Opened, user: str
) -> None:
    databases = [opened() for _ in range(4)]

    async def begin(database: Database) -> bool:
        async with database.write() as tx:
            if (await tx.uploads.open(user)).number >= 2:
                return False
            await asyncio.sleep(0.02)
            upload = new_upload(user)
            await tx.media.add(upload.key, user, kind=MediaKind.UPLOAD, memo_id=None, job_id=None)
            await tx.uploads.add(upload)
            return True

    begun = await asyncio.gather(*(begin(database) for database in databases))
    assert sorted(begun) == [False, False, True, True]


async def test_a_file_that_is_being_uploaded_is_not_abandoned_however_long_it_takes(
    opened: Opened, user: str
) -> None:
    now = datetime.now(UTC)
    database = opened(clock=lambda: now)
    upload = await added(database, new_upload(user))
    five, six, seven = (
        opened(clock=lambda hours=hours: now + timedelta(hours=hours)) for hours in (5, 6.5, 7.5)
    )
    async with five.write() as tx:
        assert await tx.media.abandoned(older_than_seconds=3600, limit=9) == []
        await tx.uploads.advance(upload, 50, sniffed=True)
        assert await tx.uploads.quiet_seconds(upload.key, user) == 0
        assert await tx.uploads.quiet_seconds(upload.key, str(uuid4())) is None
    async with six.write() as tx:
        assert await tx.uploads.quiet_seconds(upload.key, user) == 1.5 * 3600
        moved = await tx.uploads.find(upload.id, user)
        assert moved is not None
        await tx.uploads.finish(moved)
        # It has just come: its client still has to make a memo of it.
        assert await tx.media.abandoned(older_than_seconds=3600, limit=9) == []
        assert await tx.uploads.quiet_seconds(upload.key, user) is None
    async with seven.read() as tx:
        # An hour and more later, with nothing standing on it.
        abandoned = await tx.media.abandoned(older_than_seconds=3599, limit=9)
    assert [each.key for each in abandoned] == [upload.key]


async def test_who_waits_for_an_upload_is_seen_by_who_writes_it(
    database: Database, user: str
) -> None:
    upload = await added(database, new_upload(user))
    for wanted in (True, False):
        async with database.write() as tx:
            await tx.uploads.want(upload, wanted=wanted)
        async with database.read() as tx:
            found = await tx.uploads.find(upload.id, user)
        assert found is not None
        assert found.wanted is wanted


async def test_ids_of_bytes_without_an_upload_are_told_from_the_others(
    database: Database, user: str
) -> None:
    upload = await added(database, new_upload(user))
    async with database.write() as tx:
        assert await tx.uploads.known([upload.id, str(uuid4())]) == {upload.id}
        await tx.uploads.remove(upload.id, str(uuid4()))
        assert await tx.uploads.known([upload.id]) == {upload.id}
        await tx.uploads.remove(upload.id, user)
        assert await tx.uploads.known([upload.id]) == frozenset()
