"""The TUS protocol, request by request: what is kept, what is refused, what a client is told."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.api.front import Front, User, wav
from tests.api.test_uploads import DISGUISES
from tests.api.uploading import (
    PIECE,
    TUS,
    announced,
    ask_to_begin,
    b64,
    begin,
    create,
    create_with,
    patch,
    path_of,
    stored_at,
    where,
)


async def test_a_recording_in_pieces_is_at_its_path_with_the_last_byte_and_becomes_a_memo(
    front: Front, anna: User
) -> None:
    content = wav(2.0)
    upload = await begin(front, anna, len(content))
    assert upload["method"] == "PATCH"
    for start in range(0, len(content), 20_000):
        assert not stored_at(front, upload["filePath"]).exists()
        piece = content[start : start + 20_000]
        answer = await patch(front, anna, upload["url"], start, piece)
        assert (answer.status_code, answer.content) == (204, b"")
        assert int(answer.headers["Upload-Offset"]) == start + len(piece)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert stored_at(front, upload["filePath"]).read_bytes() == content
    assert front.stored == [f"user-uploads/{upload['filePath']}"]
    memo = await front.new_memo(anna, filePath=upload["filePath"], duration=2)
    assert memo["audioPath"] == upload["filePath"]
    assert await announced(front) == []


async def test_one_request_with_the_answers_own_headers_is_enough(front: Front, anna: User) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    sent = await front.ask(
        upload["method"], path_of(upload["url"]), anna, content=content, headers=upload["headers"]
    )
    assert sent.status_code == 204
    assert stored_at(front, upload["filePath"]).read_bytes() == content


async def test_the_path_is_under_the_user_and_holds_nothing_the_client_said(
    front: Front, anna: User
) -> None:
    names = ["../../etc/passwd", "a/b\\c.WAV", "%2e%2e%2fx.mp3", "ü" * 200, "x.exe", ".m4a", "…"]
    for name in names:
        upload = await begin(front, anna, 100, filename=name)
        user_id, memo_id, file = upload["filePath"].split("/")
        assert user_id == anna.id
        assert len(memo_id) == 36
        assert file.startswith("audio_")
        assert file.rpartition(".")[2] in {"wav", "mp3"}
        assert f"/api/v1/uploads/tus/{memo_id}" not in upload["url"]


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({"bytes": 0}, 400),
    "less than nothing": ({"bytes": -1}, 400),
    "half a byte": ({"bytes": 1.5}, 400),
    "a text": ({"bytes": "100"}, 400),
    "no number": ({"bytes": None}, 400),
    "too large": ({"bytes": 2048 * 1024 * 1024 + 1}, 413),
    "beyond every number": ({"bytes": 10**30}, 400),
    "a picture": ({"mediaType": "image/png"}, 415),
    "a page": ({"mediaType": "text/html"}, 415),
    "a playlist": ({"mediaType": "audio/mpegurl"}, 415),
    "no type": ({"mediaType": ""}, 400),
    "a broken line in the type": ({"mediaType": "audio/wav\r\nX: y"}, 415),
    "a broken line in the name": ({"filename": "a\r\nX-Evil: 1"}, 400),
    "no name": ({"filename": ""}, 400),
    "a long name": ({"filename": "x" * 256}, 400),
    "nul": ({"filename": "a\0b"}, 400),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_taken_is_refused_before_a_byte_is_sent(
    front: Front, anna: User, name: str
) -> None:
    fields, status = REFUSED[name]
    answer = await ask_to_begin(front, anna, 100, **fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"]
    assert await announced(front) == []


@pytest.mark.parametrize(
    ("media_type", "filename", "extension"),
    [
        ("audio/webm;codecs=opus", "blob", "webm"),
        ("AUDIO/MP4", "x.MP4", "mp4"),
        ("application/octet-stream", "x.opus", "opus"),
        ("application/octet-stream", "x", "bin"),
        ("audio/x-m4a", "x.txt", "m4a"),
    ],
)
async def test_what_a_phone_or_a_browser_says_is_understood(
    front: Front, anna: User, media_type: str, filename: str, extension: str
) -> None:
    upload = await begin(front, anna, 9, mediaType=media_type, filename=filename)
    assert upload["filePath"].endswith(f".{extension}")


# --- Created as any TUS client does ------------------------------------------------------------


async def test_a_tus_client_creates_an_upload_by_headers_alone(front: Front, anna: User) -> None:
    answer = await create(front, anna)
    assert answer.status_code == 201
    assert answer.headers["Location"] == answer.json()["url"]
    assert answer.headers["Upload-Offset"] == "0"
    assert answer.headers["X-File-Path"] == answer.json()["filePath"]
    assert answer.json()["filePath"].endswith(".m4a")
    told = await front.ask("HEAD", path_of(answer.headers["Location"]), anna, headers=TUS)
    assert told.headers["Upload-Metadata"] == answer.request.headers["Upload-Metadata"]
    assert told.headers["Upload-Length"] == "1000"
    assert told.headers["Cache-Control"] == "no-store"
    assert parsedate_to_datetime(told.headers["Upload-Expires"]) > datetime.now(UTC)


async def test_the_first_bytes_may_come_with_the_creation(front: Front, anna: User) -> None:
    content = wav()
    first = await create_with(
        front, anna, content[:500], Upload_Length=str(len(content)), Content_Type=PIECE
    )
    assert (first.status_code, first.headers["Upload-Offset"]) == (201, "500")
    rest = await patch(front, anna, first.headers["Location"], 500, content[500:])
    assert rest.status_code == 204
    assert stored_at(front, first.json()["filePath"]).read_bytes() == content


MISSPELT: dict[str, tuple[dict[str, str], int]] = {
    "no length": ({"Upload_Length": "absent"}, 400),
    "no number": ({"Upload_Length": "many"}, 400),
    "negative": ({"Upload_Length": "-1"}, 400),
    "other digits": ({"Upload_Length": "1_000"}, 400),
    "nothing": ({"Upload_Length": "0"}, 400),
    "too large": ({"Upload_Length": str(2**40)}, 413),
    "beyond every number": ({"Upload_Length": "9" * 400}, 400),
    "deferred": ({"Upload_Length": "absent", "Upload_Defer_Length": "1"}, 400),
    "concatenated": ({"Upload_Concat": "partial"}, 400),
    "no base64": ({"Upload_Metadata": "filename ***"}, 400),
    "half of base64": ({"Upload_Metadata": "filename YQ"}, 400),
    "no text": ({"Upload_Metadata": f"filename {b64(bytes([255, 254]))}"}, 400),
    "a broken line": ({"Upload_Metadata": f"filename {b64(chr(13) + chr(10) + 'X: y')}"}, 400),
    "a name twice": ({"Upload_Metadata": f"a {b64('x')},a {b64('y')}"}, 400),
    "no name": ({"Upload_Metadata": f",filename {b64('x')}"}, 400),
    "too many": ({"Upload_Metadata": ",".join(f"k{n} eA==" for n in range(33))}, 400),
    "too long": ({"Upload_Metadata": f"filename {b64('x' * 5000)}"}, 400),
    "a picture": ({"Upload_Metadata": f"filetype {b64('image/png')}"}, 415),
    "no version": ({"Tus_Resumable": "absent"}, 412),
    "another version": ({"Tus_Resumable": "0.2.2"}, 412),
}


@pytest.mark.parametrize("name", MISSPELT)
async def test_a_creation_that_is_misspelt_is_refused_and_begins_nothing(
    front: Front, anna: User, name: str
) -> None:
    headers, status = MISSPELT[name]
    answer = await create(front, anna, **headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"]
    assert (answer.headers.get("Tus-Version") == "1.0.0") == (status == 412)
    async with front.database.read() as tx:
        assert (await tx.uploads.open(anna.id)).number == 0


async def test_metadata_may_be_left_out_or_hold_names_without_values(
    front: Front, anna: User
) -> None:
    for spelling in ("absent", "", "private", f"private , filename {b64('x.mp3')}"):
        answer = await create(front, anna, Upload_Metadata=spelling)
        assert answer.status_code == 201, answer.text


async def test_it_is_told_what_is_spoken(front: Front, anna: User) -> None:
    for path in ("uploads/tus", f"uploads/tus/{uuid4()}"):
        answer = await front.ask("OPTIONS", path, anna)
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(2048 * 1024 * 1024)
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            "creation", "creation-with-upload", "expiration", "termination", "checksum",
        }  # fmt: skip
    assert (await front.ask("OPTIONS", "uploads/tus")).status_code == 401


# --- Bytes -------------------------------------------------------------------------------------


async def test_bytes_that_do_not_follow_those_that_are_there_are_refused_and_nothing_moves(
    front: Front, anna: User
) -> None:
    content = wav()
    url = (await begin(front, anna, len(content)))["url"]
    assert (await patch(front, anna, url, 0, content[:1000])).status_code == 204
    for offset in (0, 999, 1001, len(content)):
        answer = await patch(front, anna, url, offset, content[offset : offset + 10])
        assert (answer.status_code, answer.json()["code"]) == (409, "offset_mismatch")
        assert answer.json()["offset"] == await where(front, anna, url) == 1000


@pytest.mark.parametrize("offset", ["", "x", "-1", "1e3", "0x0", "٣", "9" * 40, "1 2"])
async def test_an_offset_that_is_no_number_is_refused(
    front: Front, anna: User, offset: str
) -> None:
    url = (await begin(front, anna, 1000))["url"]
    headers = [
        (b"Tus-Resumable", b"1.0.0"),
        (b"Content-Type", PIECE.encode()),
        (b"Upload-Offset", offset.encode()),
        (b"Authorization", anna.headers["Authorization"].encode()),
    ]
    answer = await front.client.patch(path_of(url), content=b"RIFF", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_bytes_of_another_content_type_are_refused(front: Front, anna: User) -> None:
    url = (await begin(front, anna, 1000))["url"]
    answer = await patch(front, anna, url, 0, wav()[:10], Content_Type="application/octet-stream")
    assert answer.status_code == 415
    assert await where(front, anna, url) == 0


@pytest.mark.parametrize("said", [True, False])
async def test_more_bytes_than_the_upload_is_long_are_refused_and_do_not_finish_it(
    front: Front, anna: User, *, said: bool
) -> None:
    content = wav()
    upload = await begin(front, anna, 1000)

    async def chunks() -> AsyncIterator[bytes]:
        yield content[:990]
        yield content[990:1010]

    body = content[:1010] if said else chunks()
    answer = await patch(front, anna, upload["url"], 0, body)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await where(front, anna, upload["url"]) == 0
    assert not stored_at(front, upload["filePath"]).exists()
    assert (await patch(front, anna, upload["url"], 0, content[:1000])).status_code == 204


@pytest.mark.parametrize("name", [name for name in DISGUISES if name != "empty"])
async def test_what_is_no_audio_is_refused_by_its_first_bytes_and_its_upload_is_over(
    front: Front, anna: User, name: str
) -> None:
    content = DISGUISES[name] * 2
    upload = await begin(front, anna, len(content))
    answer = await patch(front, anna, upload["url"], 0, content)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    gone = await front.ask("HEAD", path_of(upload["url"]), anna, headers=TUS)
    assert gone.status_code == 404
    assert front.stored == []
    assert await announced(front) == []


async def test_a_disguise_that_comes_byte_by_byte_is_refused_before_much_of_it_is_there(
    front: Front, anna: User
) -> None:
    upload = await begin(front, anna, 50_000)
    page = (b"<!doctype html>" + b"x" * 50_000)[:50_000]
    place, status = 0, 204
    while status == 204:
        answer = await patch(front, anna, upload["url"], place, page[place : place + 700])
        place, status = place + 700, answer.status_code
    assert status == 415
    assert place <= 4096 + 2 * 700


async def test_a_stream_that_is_no_audio_is_cut_off_early(front: Front, anna: User) -> None:
    upload = await begin(front, anna, 100_000_000)
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1500):
            yield b"x" * 65_536
            taken += 65_536

    answer = await patch(front, anna, upload["url"], 0, endless())
    assert answer.status_code == 415
    assert taken < 1_000_000


async def test_nothing_sent_changes_nothing(front: Front, anna: User) -> None:
    content = wav()
    url = (await begin(front, anna, len(content)))["url"]
    assert (await patch(front, anna, url, 0, b"")).status_code == 204
    assert (await patch(front, anna, url, 0, content)).status_code == 204
    again = await patch(front, anna, url, len(content), b"")
    assert (again.status_code, again.headers["Upload-Offset"]) == (204, str(len(content)))
    assert await where(front, anna, url) == len(content)


async def test_bytes_for_an_upload_that_is_whole_are_refused(front: Front, anna: User) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    await patch(front, anna, upload["url"], 0, content)
    for offset, status in ((0, 409), (len(content), 413)):
        answer = await patch(front, anna, upload["url"], offset, b"RIFF")
        assert answer.status_code == status
    assert stored_at(front, upload["filePath"]).read_bytes() == content
    assert len(front.stored) == 1


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {b64(hashlib.new(algorithm, content).digest())}"


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
async def test_bytes_that_do_not_come_to_their_checksum_are_not_kept(
    front: Front, anna: User, algorithm: str
) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    broken = bytes([content[0] ^ 1]) + content[1:]
    said = checksum(content, algorithm)
    answer = await patch(front, anna, upload["url"], 0, broken, Upload_Checksum=said)
    assert (answer.status_code, answer.json()["code"]) == (460, "checksum_mismatch")
    assert await where(front, anna, upload["url"]) == 0
    right = await patch(front, anna, upload["url"], 0, content, Upload_Checksum=said)
    assert right.status_code == 204
    assert stored_at(front, upload["filePath"]).read_bytes() == content


@pytest.mark.parametrize(
    "said", ["md5 YQ==", "sha256", "sha256 !!", "sha256 YQ==", "sha1 ", "", "sha256  YQ=="]
)
async def test_a_checksum_that_is_none_is_refused(front: Front, anna: User, said: str) -> None:
    url = (await begin(front, anna, 1000))["url"]
    answer = await patch(front, anna, url, 0, wav()[:10], Upload_Checksum=said)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_a_proxy_that_lets_only_post_through_is_no_hindrance(
    front: Front, anna: User
) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    headers = {**TUS, "Content-Type": PIECE, "Upload-Offset": "0"}
    for method, status in (("PATCH", 204), ("PUT", 400), ("DELETE", 204)):
        given = {**headers, "X-HTTP-Method-Override": method}
        answer = await front.ask(
            "POST", path_of(upload["url"]), anna, content=content[:100], headers=given
        )
        assert answer.status_code == status, answer.text
    assert (await front.ask("HEAD", path_of(upload["url"]), anna, headers=TUS)).status_code == 404
