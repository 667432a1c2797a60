import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from contracts.errors import Unavailable
from runtime.key_sets import MOST_BYTES, FetchedKeys, NotAKeySet, read_key_set

KEY = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)


def document(*kids: str) -> bytes:
    return json.dumps({"keys": [KEY | {"kid": kid} for kid in kids]}).encode()


@dataclass
class Issuer:
    """A real HTTP server that publishes keys, and counts who asks."""

    answer: bytes = field(default_factory=lambda: document("first"))
    status: int = 200
    location: str = ""
    asked: int = 0
    hold: asyncio.Event | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.answer)}\r\n"
        head += f"Location: {self.location}\r\nConnection: close\r\n\r\n"
        try:
            writer.write(head.encode() + self.answer)
            await writer.drain()
        except ConnectionError:
            return  # the client had enough of it
        finally:
            writer.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running(issuer: Issuer) -> AsyncIterator[Issuer]:
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", issuer.port)
    issuer.port = server.sockets[0].getsockname()[1]
    async with server:
        yield issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running(Issuer()) as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=5) as found:
        yield found


async def settled(keys: FetchedKeys) -> None:
    await keys.refresh()


async def test_keys_are_fetched_once_and_kept(issuer: Issuer, client: httpx.AsyncClient) -> None:
    keys = FetchedKeys(issuer.url, client)
    for _ in range(5):
        assert await keys.find("first") is not None
    assert issuer.asked == 1


async def test_requests_that_come_at_once_share_one_fetch(
    issuer: Issuer, client: httpx.AsyncClient
) -> None:
    keys = FetchedKeys(issuer.url, client)
    found = await asyncio.gather(*(keys.find("first") for _ in range(50)))
    assert all(found)
    assert issuer.asked == 1


async def test_invented_key_ids_cause_one_fetch_a_minute(
    issuer: Issuer, client: httpx.AsyncClient
) -> None:
    clock = Clock()
    keys = FetchedKeys(issuer.url, client, clock=clock)
    await settled(keys)
    for number in range(30):
        assert await keys.find(f"invented-{number}") is None
    assert issuer.asked == 1
    clock.now += 59
    assert await keys.find("invented") is None
    assert issuer.asked == 1
    clock.now += 1
    assert await keys.find("invented") is None
    assert issuer.asked == 2


async def test_a_new_key_is_found_after_a_minute_at_most(
    issuer: Issuer, client: httpx.AsyncClient
) -> None:
    clock = Clock()
    keys = FetchedKeys(issuer.url, client, clock=clock)
    await settled(keys)
    issuer.answer = document("second")
    clock.now += 60
    assert await keys.find("second") is not None
    assert await keys.find("first") is None


async def test_old_keys_serve_at_once_while_new_ones_are_fetched_beside(
    issuer: Issuer, client: httpx.AsyncClient
) -> None:
    clock = Clock()
    keys = FetchedKeys(issuer.url, client, clock=clock)
    await settled(keys)
    issuer.answer, issuer.hold = document("second"), asyncio.Event()
    clock.now += 300
    assert await keys.find("first") is not None
    issuer.hold.set()
    await settled(keys)
    assert await keys.find("second") is not None


async def test_kept_keys_serve_while_the_issuer_is_away(client: httpx.AsyncClient) -> None:
    clock = Clock()
    async with running(Issuer()) as issuer:
        keys = FetchedKeys(issuer.url, client, clock=clock)
        await settled(keys)
    for _ in range(3):
        clock.now += 3600
        assert await keys.find("first") is not None
        await settled(keys)
    with pytest.raises(Unavailable) as raised:
        await keys.find("unknown")
    assert raised.value.code == "key_set_unavailable"


async def test_an_issuer_that_was_never_reached_is_unavailable_and_recovers(
    client: httpx.AsyncClient,
) -> None:
    clock = Clock()
    async with running(Issuer()) as issuer:
        pass
    keys = FetchedKeys(issuer.url, client, clock=clock)
    with pytest.raises(Unavailable) as raised:
        await keys.find("first")
    assert raised.value.retry_after == 5
    async with running(issuer):
        with pytest.raises(Unavailable):
            await keys.find("first")
        assert issuer.asked == 0
        clock.now += 5
        assert await keys.find("first") is not None


BROKEN: dict[str, Callable[[Issuer], None]] = {
    "an error": lambda issuer: setattr(issuer, "status", 500),
    "a page": lambda issuer: setattr(issuer, "answer", b"<html>"),
    "a list": lambda issuer: setattr(issuer, "answer", b"[]"),
    "no list of keys": lambda issuer: setattr(issuer, "answer", b'{"keys": {}}'),
    "JSON without end": lambda issuer: setattr(issuer, "answer", b"[" * 100_000),
    "no text": lambda issuer: setattr(issuer, "answer", b"\xff\xfe\x00"),
    "too much": lambda issuer: setattr(issuer, "answer", document("first") + b" " * MOST_BYTES),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_answer_leaves_the_kept_keys_in_force(
    issuer: Issuer, client: httpx.AsyncClient, case: str
) -> None:
    keys = FetchedKeys(issuer.url, client)
    await settled(keys)
    BROKEN[case](issuer)
    await settled(keys)
    assert await keys.find("first") is not None
    with pytest.raises(Unavailable):
        await keys.find("unknown")


async def test_a_redirect_is_not_followed(issuer: Issuer, client: httpx.AsyncClient) -> None:
    async with running(Issuer()) as elsewhere:
        issuer.status, issuer.location = 302, elsewhere.url
        with pytest.raises(Unavailable):
            await FetchedKeys(issuer.url, client).find("first")
        assert elsewhere.asked == 0


async def test_a_client_that_hangs_up_does_not_end_the_fetch_others_wait_for(
    issuer: Issuer, client: httpx.AsyncClient
) -> None:
    issuer.hold = asyncio.Event()
    keys = FetchedKeys(issuer.url, client)
    impatient = asyncio.create_task(keys.find("first"))
    patient = asyncio.create_task(keys.find("first"))
    while not issuer.asked:
        await asyncio.sleep(0)
    impatient.cancel()
    issuer.hold.set()
    assert await patient is not None
    assert issuer.asked == 1


@pytest.mark.parametrize("value", [None, [], {}, {"keys": None}, {"keys": "x"}])
def test_what_is_no_key_set_is_told_from_an_empty_one(value: Any) -> None:
    with pytest.raises(NotAKeySet):
        read_key_set(value)
    assert read_key_set({"keys": []}) == {}


def test_a_private_key_in_a_key_set_is_not_used() -> None:
    private = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True)
    assert read_key_set({"keys": [private | {"kid": "leaked"}]}) == {}


def test_of_two_keys_with_one_id_the_first_counts() -> None:
    other = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
    first = read_key_set({"keys": [KEY | {"kid": "k"}]})["k"].key.public_bytes_raw()
    both = read_key_set({"keys": [KEY | {"kid": "k"}, other | {"kid": "k"}]})
    assert both["k"].key.public_bytes_raw() == first


def test_no_more_keys_are_read_than_an_issuer_can_have() -> None:
    assert len(read_key_set({"keys": [KEY | {"kid": str(n)} for n in range(1000)]})) == 100
