"""Uploads that go to storage directly: what the client is told, and what is remembered of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from contracts.errors import Unavailable
from contracts.uploads import SignedUpload
from tests.api.front import Front, User, opened
from tests.api.uploading import TUS, announced, ask_to_begin, begin

KEY = {"Idempotency-Key": "k"}


class Signer:
    """Storage that signs; each signature is another one."""

    def __init__(self) -> None:
        self.signed: list[tuple[str, str, int, float]] = []
        self.away = False

    async def sign_upload(
        self, key: str, *, media_type: str, size: int, seconds: float
    ) -> SignedUpload:
        if self.away:
            raise Unavailable("Storage does not answer now", code="storage_unavailable")
        self.signed.append((key, media_type, size, seconds))
        return SignedUpload(
            url=f"https://storage.example/{key}?secret-{len(self.signed)}",
            headers={"Content-Type": media_type},
            expires_at=datetime.now(UTC) + timedelta(hours=30),
        )


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    async with opened(data_dir, MAX_OPEN_UPLOADS=2) as front:
        object.__setattr__(front.services, "signed_uploads", Signer())
        object.__setattr__(front.services, "resumable", None)
        yield front


def signer_of(front: Front) -> Signer:
    signer = front.services.signed_uploads
    assert isinstance(signer, Signer)
    return signer


async def test_the_answer_is_one_request_that_stores_the_file(front: Front, anna: User) -> None:
    upload = await begin(front, anna, 1000, mediaType="audio/webm; codecs=opus")
    [(key, media_type, size, seconds)] = signer_of(front).signed
    assert (key, media_type, size, seconds) == (upload["filePath"], "audio/webm", 1000, 86_400)
    assert (upload["method"], upload["headers"]) == ("PUT", {"Content-Type": "audio/webm"})
    assert upload["url"].endswith("secret-1")
    assert upload["tus"] is None
    memo = await front.new_memo(anna, filePath=upload["filePath"])
    assert memo["audioPath"] == upload["filePath"]


async def test_what_never_becomes_a_memo_is_swept_once_nobody_can_send_it_any_more(
    front: Front, anna: User
) -> None:
    upload = await begin(front, anna, 1000)
    assert await announced(front) == []
    async with front.database.write() as tx:
        [session] = await tx.uploads.expired(older_than_seconds=-31 * 3600, passing=(), limit=9)
        # The storage's own term is longer than ours: until then the file may still come.
        assert session.expires_at > datetime.now(UTC) + timedelta(hours=29)
        await tx.uploads.remove(session.id, anna.id)
    assert await announced(front) == [upload["filePath"]]


async def test_the_same_key_gets_the_same_path_with_a_signature_that_was_never_kept(
    front: Front, anna: User
) -> None:
    first = (await ask_to_begin(front, anna, 1000, headers=KEY)).json()
    again = await ask_to_begin(front, anna, 1000, headers=KEY)
    assert again.status_code == 201
    assert again.json()["filePath"] == first["filePath"]
    assert again.json()["url"].endswith("secret-2")
    kept = (front.settings.data_dir / "voicekeep.db").read_bytes()
    kept += (front.settings.data_dir / "voicekeep.db-wal").read_bytes()
    assert first["filePath"].encode() in kept
    assert b"secret-" not in kept


async def test_a_key_whose_upload_is_over_is_told_so(front: Front, anna: User) -> None:
    await ask_to_begin(front, anna, 1000, headers=KEY)
    async with front.database.write() as tx:
        [session] = await tx.uploads.expired(older_than_seconds=-31 * 3600, passing=(), limit=9)
        await tx.uploads.remove(session.id, anna.id)
    assert (await ask_to_begin(front, anna, 1000, headers=KEY)).status_code == 404


async def test_uploads_that_became_memos_do_not_count_as_under_way(
    front: Front, anna: User
) -> None:
    uploads = [await begin(front, anna, 1000) for _ in range(2)]
    refused = await ask_to_begin(front, anna, 1000)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
    await front.new_memo(anna, filePath=uploads[0]["filePath"])
    assert (await ask_to_begin(front, anna, 1000)).status_code == 201


async def test_nothing_is_begun_while_storage_is_away(front: Front, anna: User) -> None:
    signer_of(front).away = True
    for _ in range(3):
        answer = await ask_to_begin(front, anna, 1000, headers=KEY)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    signer_of(front).away = False
    assert (await ask_to_begin(front, anna, 1000, headers=KEY)).status_code == 201


async def test_pieces_are_not_taken_here(front: Front, anna: User) -> None:
    await begin(front, anna, 1000)
    async with front.database.read() as tx:
        [session] = await tx.uploads.expired(older_than_seconds=-31 * 3600, passing=(), limit=9)
    for upload_id in (session.id, str(uuid4())):
        answer = await front.ask("HEAD", f"uploads/tus/{upload_id}", anna, headers=TUS)
        assert answer.status_code == 404
