"""Downloads that are cut off, taken up again, or answered with something else."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import pytest

from contracts.egress import parse_rules
from contracts.errors import Failure, MediaRejected, NotFound, TooLarge, Unreachable
from providers.egress import Outside
from providers.media_download import RESUMES, MediaDownloads
from runtime.names import Names
from tests.fakes.media_host import MediaHost

CONTENT: Final = bytes(range(256)) * 400
ENOUGH: Final = 1_000_000


@pytest.fixture
async def host() -> AsyncIterator[MediaHost]:
    host = MediaHost()
    await host.wire.start()
    host.put("memo.wav", CONTENT)
    yield host
    await host.wire.aclose()


async def fetch(host: MediaHost, *, max_bytes: int = ENOUGH, seconds: float = 20) -> bytes:
    names = Names()
    outside = Outside(parse_rules([host.wire.url.removeprefix("http://")]), names)
    downloads = MediaDownloads(outside, seconds=seconds)
    got = bytearray()
    try:
        async with (
            downloads.opened(f"{host.wire.url}/memo.wav", max_bytes=max_bytes) as download,
            aclosing(download.chunks()) as chunks,
        ):
            async for chunk in chunks:
                got += chunk
    finally:
        names.close()
    return bytes(got)


async def test_a_recording_comes_whole(host: MediaHost) -> None:
    assert await fetch(host) == CONTENT


async def test_a_recording_that_is_cut_off_again_and_again_comes_whole(host: MediaHost) -> None:
    host.wire.fault(cut="body", times=RESUMES)
    assert await fetch(host) == CONTENT
    half = len(CONTENT) // 2
    asked = [call["range"] for call in host.wire.calls]
    assert asked[:3] == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert len(asked) == RESUMES + 1


async def test_it_is_taken_up_so_often_and_no_oftener(host: MediaHost) -> None:
    host.wire.fault(cut="body", times=RESUMES + 1)
    with pytest.raises(Unreachable):
        await fetch(host)
    assert len(host.wire.calls) == RESUMES + 1


async def test_a_recording_that_changed_meanwhile_is_not_patched_together(
    host: MediaHost,
) -> None:
    host.wire.fault(cut="body")
    host.wire.fault(headers={"etag": '"another"'}, times=RESUMES)
    with pytest.raises(Unreachable) as failed:
        await fetch(host)
    assert failed.value.code == "answer_cut_off"


@pytest.mark.parametrize(
    "wrong",
    [
        {"content-range": "bytes 0-9/10"},
        {"content-range": "bytes */10"},
        {"content-range": "nonsense"},
        {"content-encoding": "gzip"},
    ],
    ids=str,
)
async def test_a_continuation_of_something_else_is_refused(
    host: MediaHost, wrong: dict[str, str]
) -> None:
    host.wire.fault(cut="body")
    host.wire.fault(headers=wrong, times=RESUMES)
    with pytest.raises(Unreachable):
        await fetch(host)


@pytest.mark.parametrize("tag", ['W/"weak"', "bare", ""])
async def test_without_a_strong_tag_it_is_not_taken_up(host: MediaHost, tag: str) -> None:
    host.wire.fault(cut="body", headers={"etag": tag})
    with pytest.raises(Unreachable):
        await fetch(host)
    assert len(host.wire.calls) == 1


async def test_the_bound_is_about_all_parts_together(host: MediaHost) -> None:
    # Its length is not told beforehand.
    host.wire.fault(cut="chunk")
    with pytest.raises(TooLarge):
        await fetch(host, max_bytes=len(CONTENT) - 1)
    assert await fetch(host, max_bytes=len(CONTENT)) == CONTENT


async def test_a_drip_ends_in_time_however_often_it_is_taken_up(host: MediaHost) -> None:
    host.wire.fault(drip=0.05, times=RESUMES)
    with pytest.raises(Unreachable) as failed:
        await fetch(host, seconds=1)
    assert failed.value.code == "timed_out"


ANSWERS: Final[list[tuple[dict[str, Any], type[Failure], str, float | None]]] = [
    ({"status": 404}, NotFound, "media_not_found", None),
    ({"status": 410}, NotFound, "media_not_found", None),
    ({"status": 401}, MediaRejected, "media_fetch_failed", None),
    ({"status": 403}, MediaRejected, "media_fetch_failed", None),
    ({"status": 204}, MediaRejected, "media_fetch_failed", None),
    ({"status": 206}, MediaRejected, "media_fetch_failed", None),
    ({"status": 301}, MediaRejected, "media_fetch_failed", None),
    ({"status": 408}, Unreachable, "media_unavailable", None),
    (
        {"status": 429, "headers": {"retry-after": "7"}}, Unreachable, "media_unavailable", 7
    ),
    (
        {"status": 503, "headers": {"retry-after": "99999"}},
        Unreachable, "media_unavailable", 300,
    ),
    ({"status": 500}, Unreachable, "media_unavailable", None),
    ({"headers": {"content-encoding": "br"}}, MediaRejected, "media_fetch_failed", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "kind", "code", "wait"), ANSWERS, ids=[str(fault) for fault, *_ in ANSWERS]
)
async def test_an_answer_means_what_its_status_says(
    host: MediaHost, fault: dict[str, Any], kind: type[Failure], code: str, wait: float | None
) -> None:
    host.wire.fault(**fault)
    with pytest.raises(kind) as failed:
        await fetch(host)
    assert (failed.value.code, failed.value.retry_after) == (code, wait)
    assert "memo.wav" not in failed.value.message
