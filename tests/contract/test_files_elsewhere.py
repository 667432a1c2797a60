"""Storage that is a service of its own: what its faults mean, and what is left after them.

Over Azurite, behind a stand-in for the way there, and over the stand-in for Supabase Storage.
"""

import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.errors import InvalidInput, NotFound, Unavailable
from store.files import Elsewhere
from tests.azurite import Azurite
from tests.fakes.cutting import Cutting
from tests.fakes.forwarding import Forwarding
from tests.fakes.http_wire import Wire
from tests.stores import (
    AWAY,
    KEY,
    LARGE,
    REFUSED,
    SMALL,
    TYPE,
    content_of,
    found_at,
    on_azure,
    on_supabase,
    stream,
    supabase,
)

IMPATIENT = 0.3
"""Seconds of silence that are borne where silence is what is tested."""


@dataclass
class Place:
    """A storage and the way there.

    Attributes:
        wire: where faults are planted; it sees every request.
        line: cuts connections, before the wire.
    """

    kind: str
    files: Elsewhere
    wire: Wire
    line: Cutting
    folder: Path
    url: str

    def opened(self, **options: Any) -> AbstractAsyncContextManager[Elsewhere]:
        """Another one on the same way."""
        opened: Any = on_supabase if self.kind == "supabase" else on_azure
        opening: AbstractAsyncContextManager[Elsewhere] = opened(self.url, self.folder, **options)
        return opening

    def requests(self, method: str) -> int:
        return sum(call["method"] == method for call in self.wire.calls)

    @property
    def on_this_host(self) -> list[Path]:
        return list(self.folder.glob("*"))


@pytest.fixture(params=["supabase", "azure"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    folder = tmp_path / "spool"
    async with AsyncExitStack() as stack:
        wire: Wire
        if request.param == "supabase":
            wire = (await stack.enter_async_context(supabase())).wire
            url = wire.url
        else:
            server: Azurite = request.getfixturevalue("azurite")
            base, _, account = server.url.rpartition("/")
            wire = Forwarding(base)
            url = f"{await wire.start()}/{account}"
            stack.push_async_callback(wire.aclose)
        line = Cutting(url)
        stack.push_async_callback(line.aclose)
        container = {"azure": {"container": f"c-{uuid4().hex}"}}.get(request.param, {})
        opened: Any = on_supabase if request.param == "supabase" else on_azure
        url = await line.start()
        files: Elsewhere = await stack.enter_async_context(opened(url, folder, **container))
        await files.put(f"{KEY}.first", stream(SMALL), media_type=TYPE)
        yield Place(request.param, files, wire, line, folder, url)


async def gather(chunks: AsyncIterator[bytes], got: bytearray) -> None:
    async for chunk in chunks:
        got += chunk


async def keys(files: Elsewhere) -> list[str]:
    return sorted([file.key async for file in files.list("")])


async def local(files: Elsewhere) -> None:
    async with files.local(f"{KEY}.first"):
        raise AssertionError


CALLS: dict[str, Callable[[Elsewhere], Awaitable[object]]] = {
    "ping": lambda files: files.ping(),
    "put": lambda files: files.put(KEY, stream(SMALL), media_type=TYPE),
    "put large": lambda files: files.put(KEY, stream(LARGE), media_type=TYPE),
    "find": lambda files: files.find(f"{KEY}.first"),
    "read": lambda files: content_of(files, f"{KEY}.first"),
    "local": local,
    "delete": lambda files: files.delete(f"{KEY}.first"),
    "list": keys,
    "examine": lambda files: files.examine(),
}
FAULTS: dict[str, tuple[dict[str, Any], str, float | None]] = {
    "500": ({"status": 500, "body": "<html>oh</html>"}, AWAY, 5),
    "502 html": ({"status": 502, "body": "<html>oh</html>"}, AWAY, 5),
    "503 seconds": ({"status": 503, "headers": {"retry-after": "7"}}, AWAY, 7),
    "429": ({"status": 429, "headers": {"retry-after": "11"}}, AWAY, 11),
    "401": ({"status": 401, "body": '{"message": "Invalid API key"}'}, REFUSED, 60),
    "403": ({"status": 403}, REFUSED, 60),
    "404 of a gateway": ({"status": 404, "body": "no route"}, REFUSED, 60),
    "redirect": ({"status": 302, "headers": {"location": "http://127.0.0.1:1/"}}, AWAY, 5),
    "hangs up": ({"cut": "answer"}, AWAY, 5),
    "breaks off in its head": ({"cut": "head"}, AWAY, 5),
}
CELLS = [(fault, call) for fault in FAULTS for call in CALLS]
SAMPLE = random.Random(4).sample(CELLS, 12)


@pytest.mark.parametrize(
    ("fault", "call"),
    [pytest.param(*cell, marks=() if cell in SAMPLE else pytest.mark.slow) for cell in CELLS],
)
async def test_a_fault_is_said_as_what_it_is_and_leaves_nothing(
    place: Place, call: str, fault: str
) -> None:
    fields, code, wait = FAULTS[fault]
    place.wire.fault(**fields, undone=True, times=40)
    with pytest.raises(Unavailable) as failed:
        await CALLS[call](place.files)
    assert (failed.value.code, call != "examine" and failed.value.retry_after) in {
        (code, wait),
        (code, False),
        ("unavailable", False),
    }
    place.wire.faults.clear()
    assert await keys(place.files) == [f"{KEY}.first"]
    assert place.on_this_host == []


@pytest.mark.parametrize("call", CALLS)
async def test_silence_has_an_end(place: Place, call: str) -> None:
    place.wire.fault(hang=True, times=40)
    async with place.opened(seconds=IMPATIENT) as files:
        with pytest.raises(Unavailable):
            await CALLS[call](files)
    place.wire.faults.clear()
    place.wire.release()
    assert place.on_this_host == []


@pytest.mark.parametrize("call", ["ping", "put", "find", "read", "delete", "list", "examine"])
async def test_nobody_there_is_unavailable(place: Place, call: str, tmp_path: Path) -> None:
    nowhere = replace(place, url="http://127.0.0.1:1/account", folder=tmp_path / "other")
    async with nowhere.opened() as nobody:
        with pytest.raises(Unavailable):
            await CALLS[call](nobody)


@pytest.mark.parametrize("body", ["", "null", "[]", "<html>", '{"a": NaN', "\udcff"])
@pytest.mark.parametrize("call", ["put", "find", "delete", "list"])
async def test_an_answer_of_another_shape_is_unavailable(
    place: Place, call: str, body: str
) -> None:
    raw = body.encode(errors="surrogateescape")
    sent = base64.b64encode(raw).decode()
    place.wire.fault(status=200, body_base64=sent, undone=True, times=40)
    fits = body == "[]" and call != "put" and place.kind == "supabase"
    with nullcontext() if fits else pytest.raises(Unavailable):
        await CALLS[call](place.files)


async def test_a_line_that_breaks_in_mid_upload_leaves_nothing_or_goes_on(place: Place) -> None:
    place.line.cut(after=9_000_000, times=1)
    with suppress(Unavailable):
        await place.files.put(KEY, stream(LARGE), media_type=TYPE)
    assert place.line.cuts == 1
    found = await place.files.find(KEY)
    # By TUS it goes on from where it was; a block of Azure's may be sent again, or it fails.
    assert found is not None or place.kind == "azure"
    assert found is None or await content_of(place.files, KEY) == LARGE
    assert place.on_this_host == []


async def test_a_line_that_stays_broken_leaves_the_file_before_as_it_was(place: Place) -> None:
    await place.files.put(KEY, stream(SMALL), media_type=TYPE)
    place.line.cut(after=100_000, times=50)
    with pytest.raises(Unavailable):
        await place.files.put(KEY, stream(LARGE), media_type=TYPE)
    place.line.cut(after=0, times=0)
    assert await content_of(place.files, KEY) == SMALL
    assert (await found_at(place.files, KEY)).size == len(SMALL)
    assert place.on_this_host == []


async def test_a_reading_that_is_cut_goes_on_where_it_was(place: Place) -> None:
    await place.files.put(KEY, stream(LARGE), media_type=TYPE)
    before = place.requests("GET")
    place.wire.fault(cut="body", call="GET", times=3)
    assert await content_of(place.files, KEY, 1000) == LARGE[1000:]
    assert place.requests("GET") - before == 4
    place.wire.fault(cut="body", call="GET")
    async with place.files.local(KEY) as path:
        assert path.read_bytes() == LARGE
    place.wire.fault(cut="chunk", call="GET")
    assert await content_of(place.files, KEY, 5, 9_000_000) == LARGE[5:9_000_000]


async def test_a_reading_that_cannot_go_on_fails_and_gives_no_short_file(place: Place) -> None:
    await place.files.put(KEY, stream(LARGE), media_type=TYPE)
    place.wire.fault(cut="body", call="GET")
    place.wire.fault(cut="answer", call="GET", times=20)
    with pytest.raises(Unavailable, match="broke off"):
        await content_of(place.files, KEY)
    place.wire.faults.clear()
    place.wire.fault(cut="body", call="GET")
    place.wire.fault(status=503, call="GET", headers={"retry-after": "9"})
    with pytest.raises(Unavailable) as failed:
        await content_of(place.files, KEY)
    assert failed.value.retry_after == 9
    place.wire.fault(cut="body", call="GET")
    place.wire.fault(cut="answer", call="GET", times=20)
    with pytest.raises(Unavailable):
        async with place.files.local(KEY):
            raise AssertionError
    assert place.on_this_host == []


async def test_a_reading_never_joins_two_files(place: Place) -> None:
    await place.files.put(KEY, stream(LARGE), media_type=TYPE)
    place.wire.fault(cut="body", call="GET")
    chunks = place.files.read(KEY)
    got = bytearray(await anext(chunks))
    await place.files.put(KEY, stream(LARGE[::-1]), media_type=TYPE)
    with pytest.raises(Unavailable, match="another file"):
        await gather(chunks, got)
    assert LARGE.startswith(got)


async def test_a_file_goes_while_it_is_read_and_its_reader_is_told(place: Place) -> None:
    await place.files.put(KEY, stream(LARGE), media_type=TYPE)
    place.wire.fault(cut="body", call="GET")
    chunks = place.files.read(KEY)
    await anext(chunks)
    assert await place.files.delete(KEY)
    with pytest.raises(NotFound):
        await gather(chunks, bytearray())


async def test_a_signed_upload_stores_one_file_once(place: Place) -> None:
    signed = await place.files.sign_upload(KEY, media_type=TYPE, size=5, seconds=60)
    async with httpx.AsyncClient(trust_env=False) as outsider:

        async def send(content: bytes, url: str = signed.url) -> int:
            answer = await outsider.request(
                signed.method, url, headers=signed.headers, content=content
            )
            return answer.status_code

        assert await send(b"first", signed.url.replace("audio_2026", "audio_2027")) >= 400
        assert await send(b"first") in {200, 201}
        assert await send(b"other") >= 400
        assert (await outsider.get(signed.url)).status_code >= 400
    assert await content_of(place.files, KEY) == b"first"
    assert signed.url not in repr(signed)
    with pytest.raises(InvalidInput):
        await place.files.sign_upload("../x", media_type=TYPE, size=5, seconds=60)


async def test_what_killed_processes_left_on_this_host_is_counted_and_swept(place: Place) -> None:
    place.folder.mkdir(exist_ok=True)
    (place.folder / "left.part").write_bytes(b"x")
    await place.files.put(KEY, stream(SMALL), media_type=TYPE)
    assert await place.files.unfinished(0) == 1
    async with place.files.local(KEY) as path:
        assert await place.files.unfinished(0) == 1
        assert await place.files.sweep(0) == 1
        assert path.read_bytes() == SMALL
    assert await place.files.unfinished(3600) == 0
    assert place.on_this_host == []
