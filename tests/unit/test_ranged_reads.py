"""Reading by ranges, against servers that keep to HTTP in other ways than most, or not at all."""

from collections.abc import Callable

import httpx
import pytest

from contracts.errors import Failure, Unavailable
from store.ranged_reads import OutOfRange, RangedReads, Refusal
from store.remote_failures import Words

CONTENT = b"0123456789"
Serve = Callable[[httpx.Request], httpx.Response]


async def sign(key: str) -> str:
    return f"https://storage.example/{key}?token=t"


def meaning(refusal: Refusal) -> Failure | OutOfRange:
    return OutOfRange() if refusal.status == 416 else Unavailable(f"answered {refusal.status}")


async def read(serve: Serve, start: int = 0, end: int | None = None) -> bytes:
    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as client:
        reads = RangedReads(client, Words("It", "its settings"), sign=sign, meaning=meaning)
        return b"".join([chunk async for chunk in reads.read("key", start, end)])


def whole(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(CONTENT))


def few(request: httpx.Request) -> httpx.Response:
    """Two bytes at a time, whatever is asked for."""
    wanted = request.headers.get("range", "bytes=0-")
    start = int(wanted.removeprefix("bytes=").partition("-")[0])
    if start >= len(CONTENT):
        return httpx.Response(416, stream=httpx.ByteStream(b""))
    part = CONTENT[start : start + 2]
    told = {"content-range": f"bytes {start}-{start + len(part) - 1}/{len(CONTENT)}", "etag": "1"}
    return httpx.Response(206, stream=httpx.ByteStream(part), headers=told)


@pytest.mark.parametrize(("start", "end"), [(0, None), (3, None), (3, 5), (9, 99), (99, None)])
@pytest.mark.parametrize("serve", [whole, few])
async def test_a_server_may_give_more_or_less_than_it_is_asked_for(
    serve: Serve, start: int, end: int | None
) -> None:
    assert await read(serve, start, end) == CONTENT[start:end]


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (206, {}),
        (206, {"content-range": "bytes 0-9/10"}),
        (206, {"content-range": "bytes x"}),
        (206, {"content-range": "bytes 3-9/10", "content-encoding": "br"}),
        (200, {"content-encoding": "compress"}),
        (204, {}),
        (302, {"location": "https://elsewhere.example/"}),
    ],
)
async def test_what_is_not_the_range_is_no_content(answer: int, headers: dict[str, str]) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(answer, headers=headers, stream=httpx.ByteStream(CONTENT))

    with pytest.raises(Unavailable):
        await read(serve, 3)


async def test_a_file_that_became_shorter_meanwhile_is_not_given_as_whole() -> None:
    asked, gone = 0, httpx.Response(416, stream=httpx.ByteStream(b""))

    def serve(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return few(request) if asked == 1 else gone

    with pytest.raises(Unavailable, match="another file"):
        await read(serve)


async def test_a_signed_address_is_in_no_failure() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    with pytest.raises(Unavailable) as failed:
        await read(serve)
    assert "token" not in repr(failed.value)
