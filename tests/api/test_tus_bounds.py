"""Uploads in pieces: how they end, whose they are, how many and how often, and from where."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.api.front import API, Front, User, opened, wav
from tests.api.uploading import (
    PIECE,
    TUS,
    announced,
    ask_to_begin,
    begin,
    create,
    create_with,
    patch,
    path_of,
    stored_at,
    where,
)


async def test_an_upload_that_is_given_up_leaves_nothing(front: Front, anna: User) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    await patch(front, anna, upload["url"], 0, content[:1000])
    assert len(front.stored) == 1
    ended = await front.ask("DELETE", path_of(upload["url"]), anna, headers=TUS)
    assert ended.status_code == 204
    assert front.stored == []
    assert await announced(front) == []
    for method in ("HEAD", "DELETE"):
        answer = await front.ask(method, path_of(upload["url"]), anna, headers=TUS)
        assert answer.status_code == 404
    assert (await patch(front, anna, upload["url"], 1000, b"x")).status_code == 404


async def test_ending_a_whole_upload_takes_no_file_from_its_memo(front: Front, anna: User) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    await patch(front, anna, upload["url"], 0, content)
    await front.new_memo(anna, filePath=upload["filePath"])
    ended = await front.ask("DELETE", path_of(upload["url"]), anna, headers=TUS)
    assert ended.status_code == 204
    assert stored_at(front, upload["filePath"]).read_bytes() == content


async def test_after_its_time_an_upload_is_not_there(data_dir: Path) -> None:
    async with opened(data_dir, UPLOAD_EXPIRY_HOURS=0.00005) as front:  # 180 ms
        anna = front.user()
        upload = await begin(front, anna, 1000)
        await asyncio.sleep(0.2)
        for method in ("HEAD", "DELETE"):
            answer = await front.ask(method, path_of(upload["url"]), anna, headers=TUS)
            assert answer.status_code == 404
        assert (await patch(front, anna, upload["url"], 0, wav()[:9])).status_code == 404


# --- Who, how often, how many ------------------------------------------------------------------

ON_ONE = [
    ("HEAD", {}),
    ("PATCH", {"Content-Type": PIECE, "Upload-Offset": "0"}),
    ("DELETE", {}),
    ("POST", {"X-HTTP-Method-Override": "DELETE"}),
    ("POST", {"X-HTTP-Method-Override": "PATCH", "Content-Type": PIECE, "Upload-Offset": "0"}),
]


@pytest.mark.parametrize(("method", "headers"), ON_ONE)
async def test_anothers_upload_answers_exactly_like_one_that_is_not_there(
    front: Front, anna: User, ben: User, method: str, headers: dict[str, str]
) -> None:
    content = wav()
    upload = await begin(front, anna, len(content))
    await patch(front, anna, upload["url"], 0, content[:100])
    piece = content[:9] if "Content-Type" in headers else b""
    asked: dict[str, Any] = {"headers": {**TUS, **headers}, "content": piece}
    theirs = await front.ask(method, path_of(upload["url"]), ben, **asked)
    for absent_id in (str(uuid4()), "x", "..%5c..%5cetc", "0" * 5000):
        absent = await front.ask(method, f"uploads/tus/{absent_id}", ben, **asked)
        assert theirs.status_code == absent.status_code == 404
        assert set(theirs.headers) == set(absent.headers)
        if method != "HEAD":
            ignored = {"requestId": None}
            assert theirs.json() | ignored == absent.json() | ignored
    assert await where(front, anna, upload["url"]) == 100


@pytest.mark.parametrize(("method", "headers"), ON_ONE)
async def test_without_a_token_nothing_is_told(
    front: Front, anna: User, method: str, headers: dict[str, str]
) -> None:
    upload = await begin(front, anna, 1000)
    for given in (headers, {**TUS, **headers}, {**TUS, **headers, "Authorization": "Bearer x"}):
        answer = await front.ask(method, path_of(upload["url"]), headers=given)
        assert answer.status_code == 401


async def test_the_number_of_uploads_under_way_is_bounded_for_each_user(data_dir: Path) -> None:
    async with opened(data_dir, MAX_OPEN_UPLOADS=3) as front:
        anna, ben = front.user(), front.user()
        content = wav()
        begun = [await begin(front, anna, len(content)) for _ in range(3)]
        refused = await ask_to_begin(front, anna, 100)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
        assert "3 uploads" in refused.json()["error"]
        assert int(refused.headers["Retry-After"]) > 80_000
        assert (await create(front, anna)).status_code == 429
        assert (await ask_to_begin(front, ben, 100)).status_code == 201
        await patch(front, anna, begun[0]["url"], 0, content)
        assert (await ask_to_begin(front, anna, 100)).status_code == 201
        await front.ask("DELETE", path_of(begun[1]["url"]), anna, headers=TUS)
        assert (await ask_to_begin(front, anna, 100)).status_code == 201
        assert (await ask_to_begin(front, anna, 100)).status_code == 429


async def test_beginning_is_counted_against_the_rate_and_the_pieces_are_not(
    data_dir: Path,
) -> None:
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=2) as front:
        anna = front.user()
        content = wav()
        upload = await begin(front, anna, len(content))
        for start in range(0, 1000, 100):
            sent = await patch(front, anna, upload["url"], start, content[start : start + 100])
            assert sent.status_code == 204
        assert (await ask_to_begin(front, anna, 100)).status_code == 201
        assert (await ask_to_begin(front, anna, 100)).json()["code"] == "rate_limited"


async def test_the_same_key_begins_one_upload(front: Front, anna: User) -> None:
    key = {"Idempotency-Key": "k"}
    first = await ask_to_begin(front, anna, 1000, headers=key)
    await patch(front, anna, first.json()["url"], 0, wav()[:100])
    again = await ask_to_begin(front, anna, 1000, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await ask_to_begin(front, anna, 1001, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    at_once = await asyncio.gather(
        *(ask_to_begin(front, anna, 5, headers={"Idempotency-Key": "many"}) for _ in range(8))
    )
    accepted = {each.json()["url"] for each in at_once if each.status_code == 201}
    assert len(accepted) == 1
    assert {each.status_code for each in at_once} <= {201, 409}
    async with front.database.read() as tx:
        assert (await tx.uploads.open(anna.id)).number == 2


async def test_a_creation_that_comes_again_with_its_key_and_bytes_goes_on_where_it_is(
    front: Front, anna: User
) -> None:
    content = wav()
    given = {"Idempotency-Key": "k", "Content-Type": PIECE, "Upload-Length": str(len(content))}
    first = await create_with(front, anna, content[:500], **given)
    again = await create_with(front, anna, content[:500], **given)
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Upload-Offset"] == "500"


async def test_links_name_the_address_clients_know(data_dir: Path) -> None:
    async with opened(data_dir, PUBLIC_URL="https://voice.example/") as front:
        upload = await begin(front, front.user(), 9)
    assert upload["url"].startswith(f"https://voice.example{API}/uploads/tus/")


async def test_pages_of_other_origins_may_use_it(data_dir: Path) -> None:
    async with opened(data_dir, CORS_ORIGINS="https://app.example") as front:
        anna = front.user()
        upload = await begin(front, anna, 1000)
        asked = (
            "authorization,content-type,tus-resumable,upload-length,upload-metadata,upload-offset"
        )
        for method in ("POST", "HEAD", "PATCH", "DELETE"):
            preflight = await front.client.options(
                path_of(upload["url"]),
                headers={
                    "Origin": "https://app.example",
                    "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": asked,
                },
            )
            assert preflight.status_code == 200, preflight.text
        answer = await front.ask(
            "HEAD", path_of(upload["url"]), anna, headers={**TUS, "Origin": "https://app.example"}
        )
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert exposed >= {"Location", "Upload-Offset", "Upload-Length", "Tus-Resumable"}
