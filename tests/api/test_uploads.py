"""Uploads: a stream into storage, and nothing left of one that does not become a memo."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.audio import StoredFile
from contracts.errors import Unavailable
from store.files_disk import DiskFiles
from tests.api.front import API, Front, User, opened, wav

KEY = {"Idempotency-Key": "k-1"}
DISGUISES = {
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n/etc/passwd\n",
    "playlist behind a mark": b"\xef\xbb\xbf \r\n#EXTM3U\n",
    "concat": b"ffconcat version 1.0\nfile other.wav\n",
    "dash": b'<?xml version="1.0"?><MPD></MPD>',
    "html": b"<!doctype html><p>hello",
    "zip": b"PK\x03\x04" + bytes(100),
    "program": b"\x7fELF" + bytes(100),
    "empty": b"",
    "zeros": bytes(5000),
}


def stored_at(front: Front, key: str) -> Path:
    return front.settings.files_dir / "user-uploads" / key


async def test_a_recording_goes_up_whole_and_its_memo_begins(front: Front, anna: User) -> None:
    content = wav(2.0)
    answer = await front.upload(anna, content, title="Shopping", duration="61.5")

    assert answer.status_code == 201
    body = answer.json()
    assert body["audioPath"].startswith(f"{anna.id}/")
    assert stored_at(front, body["audioPath"]).read_bytes() == content
    assert body["memo"]["title"] == "Shopping"
    assert body["memo"]["source"] == {
        "audio_path": body["audioPath"], "duration": 61.5, "media_type": "audio/wav",
    }  # fmt: skip
    assert [job_id for _, job_id, _, _ in front.starter.started] == [body["jobId"]]


@pytest.mark.parametrize(
    "sent", [["de-DE", "en-US"], ['["de-DE", "en-US"]'], ["de-DE, en-US"], ["de-DE", "", "en-US"]]
)
async def test_languages_are_a_repeated_field_a_json_array_or_a_comma_list(
    front: Front, anna: User, sent: list[str]
) -> None:
    answer = await front.upload(anna, recordingLanguages=sent)
    assert answer.json()["memo"]["metadata"]["recordingLanguages"] == ["de-DE", "en-US"]


async def test_fields_may_stand_behind_the_file_and_in_any_spelling_of_a_form(
    front: Front, anna: User
) -> None:
    parts = [
        ("file", ("x.bin", wav(), "application/octet-stream")),
        ("enableDiarization", (None, "false")),
        ("location", (None, '{"city": "Konstanz"}')),
        ("title", (None, "")),
        ("filePath", (None, "/etc/passwd")),
        ("unknown", ("other.bin", b"\xff\xfe")),
    ]
    answer = await front.ask("POST", "memos/upload", anna, files=parts[:-1])
    assert answer.status_code == 201, answer.text
    metadata = answer.json()["memo"]["metadata"]
    assert metadata["enableDiarization"] is False
    assert metadata["location"] == {"city": "Konstanz"}
    assert answer.json()["memo"]["title"] == "New recording"


@pytest.mark.parametrize("name", DISGUISES)
async def test_what_is_no_audio_is_refused_by_its_first_bytes(
    front: Front, anna: User, name: str
) -> None:
    answer = await front.upload(anna, DISGUISES[name])
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert front.stored == []
    assert front.starter.started == []


async def test_a_file_beyond_the_limit_is_refused_whether_it_says_its_size_or_not(
    data_dir: Path,
) -> None:
    async with opened(data_dir, MAX_UPLOAD_MB=1) as front:
        anna = front.user()
        big = wav() + bytes(3 * 1024 * 1024)
        said = await front.upload(anna, big)
        assert (said.status_code, said.json()["code"]) == (413, "too_large")

        body, kind = encoded(big)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 65_536):
                yield body[start : start + 65_536]

        unsaid = await front.ask(
            "POST", "memos/upload", anna, content=chunks(), headers={"Content-Type": kind}
        )
        assert (unsaid.status_code, unsaid.json()["code"]) == (413, "too_large")
        assert front.stored == []
        fits = await front.upload(anna, wav() + bytes(900_000))
        assert fits.status_code == 201


def encoded(content: bytes) -> tuple[bytes, str]:
    """A multipart body and its content type."""
    request = httpx.Request("POST", "http://x", files={"file": ("a.wav", content)})
    return request.read(), request.headers["Content-Type"]


BROKEN: dict[str, tuple[bytes, str]] = {
    "no multipart": (b"{}", "application/json"),
    "no boundary": (b"x", "multipart/form-data"),
    "no file": (b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--b--\r\n',
                "multipart/form-data; boundary=b"),
    "no name": (b"--b\r\nContent-Type: x\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    "not what it says": (b"hello", "multipart/form-data; boundary=b"),
    "nothing": (b"", "multipart/form-data; boundary=b"),
    "long header": (b"--b\r\nX: " + b"x" * 20_000 + b"\r\n\r\n\r\n--b--\r\n",
                    "multipart/form-data; boundary=b"),
    "many headers": (b"--b\r\n" + b"X: x\r\n" * 100 + b"\r\n\r\n--b--\r\n",
                     "multipart/form-data; boundary=b"),
    "many fields": (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 60 + b"--b--",
                    "multipart/form-data; boundary=b"),
    "long boundary": (b"", "multipart/form-data; boundary=" + "b" * 300),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_a_body_that_is_no_upload_is_refused(front: Front, anna: User, name: str) -> None:
    content, kind = BROKEN[name]
    answer = await front.ask(
        "POST", "memos/upload", anna, content=content, headers={"Content-Type": kind}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert front.stored == []


async def test_an_upload_that_is_cut_short_leaves_nothing(front: Front, anna: User) -> None:
    body, kind = encoded(wav(3.0))
    answer = await front.ask(
        "POST", "memos/upload", anna, content=body[:-20], headers={"Content-Type": kind}
    )
    assert answer.status_code == 400
    assert front.stored == []
    assert await announced(front) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", "NaN"),
        ("duration", "-1"),
        ("duration", "1e999"),
        ("memoId", "not-a-uuid"),
        ("title", "a\0b"),
        ("title", b"\xff\xfe"),
        ("title", "x" * 301),
        ("location", "{"),
        ("location", "[" * 100_000),
        ("recordingLanguages", "../../etc"),
        ("enableDiarization", "perhaps"),
    ],
)
async def test_unfit_fields_are_refused_and_the_file_is_removed(
    front: Front, anna: User, field: str, value: str | bytes
) -> None:
    parts: list[Any] = [("file", ("a.wav", wav())), (field, (None, value))]
    answer = await front.ask("POST", "memos/upload", anna, files=parts)
    assert answer.status_code in {400, 413}, answer.text
    assert front.stored == []
    assert await announced(front) == []


@pytest.mark.parametrize("status", [402, 403, 404, 503])
async def test_the_file_of_a_refused_memo_is_removed(
    front: Front, anna: User, ben: User, status: int
) -> None:
    fields: dict[str, Any] = {}
    if status == 402:
        fields["duration"] = "100000"
    if status == 403:
        fields["spaceId"] = "1c0de2a4-7b1e-4f5c-9d0e-0a1b2c3d4e5f"
    if status == 404:
        fields["memoId"] = (await front.new_memo(ben))["memoId"]
    if status == 503:
        front.starter.failure = Unavailable("Temporal does not answer")
    answer = await front.upload(anna, **fields)
    assert answer.status_code == status
    assert front.stored == []
    assert await announced(front) == []


async def test_a_retry_with_its_key_gets_the_first_answer_and_leaves_one_file(
    front: Front, anna: User
) -> None:
    first = await front.upload(anna, headers=KEY, title="One")
    again = await front.upload(anna, headers=KEY, title="One")
    assert first.request.headers["Content-Type"] != again.request.headers["Content-Type"]
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(front.stored) == 1
    assert len(front.starter.started) == 1


async def test_a_key_with_another_file_or_field_is_refused_and_leaves_one_file(
    front: Front, anna: User
) -> None:
    await front.upload(anna, headers=KEY, title="One")
    other_file = await front.upload(anna, wav(0.2), headers=KEY, title="One")
    other_field = await front.upload(anna, headers=KEY, title="Two")
    assert [other_file.status_code, other_field.status_code] == [422, 422]
    assert len(front.stored) == 1


async def test_without_a_database_nothing_is_stored(front: Front, anna: User) -> None:
    (front.settings.data_dir / "voicekeep.db").unlink()
    await front.database.close()
    (front.settings.data_dir / "voicekeep.db").mkdir()
    answer = await front.upload(anna)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers
    assert front.stored == []


class FullDisk(DiskFiles):
    """A disk that is full after the first bytes."""

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        async def some() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                yield chunk
                raise Unavailable("The disk is full", code="storage_full", retry_after=60)

        return await super().put(key, some(), media_type=media_type)


async def test_a_full_disk_is_said_and_leaves_nothing(front: Front, anna: User) -> None:
    files = FullDisk(front.settings.files_dir)
    object.__setattr__(front.services, "files", files)
    answer = await front.upload(anna)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_full")
    assert answer.headers["Retry-After"] == "60"
    assert front.stored == []
    assert await announced(front) == []


async def test_the_digest_of_the_file_makes_the_request(front: Front, anna: User) -> None:
    content = wav()
    await front.upload(anna, content, headers=KEY)
    async with front.database.write() as tx:
        kept = await tx.idempotency.find(anna.id, "k-1", busy_seconds=1)
    assert kept is not None
    canonical = ["POST", f"{API}/memos/upload", {}, hashlib.sha256(content).hexdigest()]
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    assert kept.fingerprint == hashlib.sha256(text.encode()).hexdigest()


async def announced(front: Front) -> list[str]:
    """Keys of files that are announced or stored, as ``reconcile`` would find them."""
    async with front.database.read() as tx:
        loose = await tx.media.abandoned(older_than_seconds=-60, limit=100)
    return [file.key for file in loose]


async def test_many_uploads_at_once_each_get_their_own_memo(front: Front, anna: User) -> None:
    answers = await asyncio.gather(*(front.upload(anna, wav(n / 100)) for n in range(1, 9)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["memoId"] for answer in answers}) == len(front.stored) == 8
