"""Calls to addresses of strangers, over real sockets: where the connection goes, and where never.

The trap is a server on the loopback interface. Whatever reaches it has got inside.
"""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from contracts.egress import EgressRules, parse_rules
from contracts.errors import Failure, InvalidInput, TooLarge, Unreachable
from providers.egress import Bounds, Outside
from runtime.names import Names
from tests.certificates import Authority
from tests.special_addresses import V4_BLOCKS, V6_BLOCKS
from tests.spellings import SPELLINGS

BOUNDS: Final = Bounds(seconds=5, max_bytes=10_000, idle_seconds=2)
GOOD: Final = "127.0.0.2"
"""Stands for a public address: rules of the tests allow it, and nothing else here."""
INSIDE: Final = "127.0.0.1"
RULES: Final = parse_rules([f"{GOOD}/32"])

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts who comes and says what it is told to say."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._open: set[asyncio.Task[None] | None] = set()
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(asyncio.current_task())
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._open.discard(asyncio.current_task())

    def end(self) -> None:
        for task in self._open:
            if task is not None:
                task.cancel()


@asynccontextmanager
async def serving(
    talk: Talk, *, host: str = GOOD, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(talk)
    listening = await asyncio.start_server(server.serve, host, port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        server.end()


def saying(*pieces: bytes, pause: float = 0.0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"content-length: {size}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


HELLO: Final = saying(answer(b"hello"))


class Lookups:
    """Answers for names, given one after the other; the last one is repeated."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture(scope="module")
async def trap() -> AsyncIterator[Server]:
    """Listens on every interface there is, IPv6 too where the machine has it."""
    server = Server(HELLO)
    async with AsyncExitStack() as stack:
        listening = await asyncio.start_server(server.serve, "0.0.0.0", 0)
        stack.callback(listening.close)
        server.port = listening.sockets[0].getsockname()[1]
        try:
            six = await asyncio.start_server(server.serve, "::1", server.port)
        except OSError:
            pass  # a machine without IPv6: nobody gets in that way
        else:
            stack.callback(six.close)
        yield server


@pytest.fixture(scope="module")
async def names() -> AsyncIterator[Names]:
    """The system's own resolver."""
    names = Names()
    yield names
    names.close()


def test_there_are_many_spellings_and_no_two_are_one() -> None:
    assert len(SPELLINGS) == len(set(SPELLINGS)) >= 170


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ascii)
async def test_no_spelling_of_a_place_inside_is_connected_to(
    spelling: str, trap: Server, names: Names
) -> None:
    outside, before = Outside(EgressRules(), names), trap.connections
    with pytest.raises(InvalidInput) as refused:
        await outside.call("GET", spelling.replace("{port}", str(trap.port)), bounds=BOUNDS)
    assert refused.value.code == "url_not_allowed"
    assert trap.connections == before


INSIDES: Final = sorted(
    {str(block[1]) for block in V4_BLOCKS}
    | {str(block[1]) for block in V6_BLOCKS}
    | {"::", "0.0.0.0", "127.0.0.1", "::ffff:127.0.0.1", "fe80::1%lo", "2606:4700::1%lo"}
)


@pytest.mark.parametrize("found", INSIDES)
async def test_a_harmless_name_that_leads_inside_is_refused(found: str, trap: Server) -> None:
    before = trap.connections
    for answers in ([found], ["1.1.1.1", found], [found, "2606:4700::1111"], [GOOD, found]):
        outside = Outside(RULES, Lookups(answers))
        with pytest.raises(InvalidInput) as refused:
            await outside.call("GET", f"https://example.com:{trap.port}/", bounds=BOUNDS)
        assert refused.value.code == "url_not_allowed"
    assert trap.connections == before


async def test_a_name_that_turns_bad_between_two_calls_is_judged_anew() -> None:
    lookups = Lookups([GOOD], [INSIDE])
    async with (
        serving(HELLO) as good,
        serving(HELLO, host=INSIDE, port=good.port) as inside,
    ):
        outside = Outside(RULES, lookups)
        url = f"http://rebinding.example:{good.port}/x?y"
        reply = await outside.call("GET", url, bounds=BOUNDS)
        assert (reply.status, reply.body) == (200, b"hello")
        # One look-up for one call: what was judged is what was connected to.
        assert lookups.asked == [("rebinding.example", good.port)]
        with pytest.raises(InvalidInput):
            await outside.call("GET", url, bounds=BOUNDS)
        assert (good.connections, inside.connections) == (1, 0)


async def test_the_host_of_the_name_is_asked_for_at_the_judged_address() -> None:
    async with serving(HELLO) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        url = f"http://Media.example:{good.port}/a%20b?c=d"
        await outside.call("GET", url, bounds=BOUNDS, headers={"X-One": "1"})
    head = good.heads[0].decode().lower()
    assert head.startswith("get /a%20b?c=d http/1.1\r\n")
    assert f"\r\nhost: media.example:{good.port}\r\n" in head
    assert "\r\naccept-encoding: identity\r\n" in head
    assert "\r\nx-one: 1\r\n" in head
    assert head.count("\r\nhost:") == 1


async def test_a_body_is_posted_and_its_answer_read() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readexactly(7), status="202 Accepted"))

    async with serving(talk) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        reply = await outside.call(
            "POST", f"http://hook.example:{good.port}/", bounds=BOUNDS, content=b'{"a":1}'
        )
    assert (reply.status, reply.succeeded, reply.body) == (202, True, b'{"a":1}')
    assert b"content-length: 7\r\n" in good.heads[0].lower()


async def test_an_address_that_does_not_answer_leaves_the_next_one() -> None:
    rules = parse_rules(["127.0.0.0/8"])
    async with serving(HELLO) as good:
        outside = Outside(rules, Lookups(["127.0.0.3", GOOD]))
        reply = await outside.call("GET", f"http://two.example:{good.port}/", bounds=BOUNDS)
    assert reply.body == b"hello"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 P"])
async def test_a_redirect_to_a_place_inside_is_followed_by_nobody(
    trap: Server, status: str
) -> None:
    before = trap.connections
    location = f"location: http://127.0.0.1:{trap.port}/latest/meta-data"
    async with serving(saying(answer(b"", location, status=status))) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        reply = await outside.call("GET", f"http://a.example:{good.port}/", bounds=BOUNDS)
    assert not reply.succeeded
    assert (good.connections, trap.connections) == (1, before)


async def test_neither_a_proxy_nor_a_password_file_of_the_environment_is_used(
    trap: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = trap.connections
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
    (tmp_path / "netrc").write_text("machine a.example login me password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serving(saying(answer(b"x", "set-cookie: a=b; path=/"))) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        for _ in range(2):
            await outside.call("GET", f"http://a.example:{good.port}/", bounds=BOUNDS)
    sent = b"".join(good.heads).lower()
    assert b"authorization" not in sent
    assert b"cookie" not in sent
    assert trap.connections == before


CHUNKED: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ENDLESS: Final = saying(CHUNKED, *[b"3e8\r\n" + bytes(1000) + b"\r\n"] * 5_000)
BOMB: Final = gzip.compress(bytes(5_000_000), 9)

WRONG: Final[dict[str, tuple[Talk, type[Failure], str]]] = {
    "one byte at a time": (
        saying(answer(b"", length=1000), *[b"x"] * 1000, pause=0.1), Unreachable, "timed_out"
    ),
    "one byte of the head at a time": (
        saying(*(bytes([each]) for each in answer(b"")), pause=0.2), Unreachable, "timed_out"
    ),
    "an endless head": (
        saying(b"HTTP/1.1 200 OK\r\n", *[b"x-more: " + b"y" * 990 + b"\r\n"] * 500),
        Unreachable, "answer_cut_off",
    ),
    "endless early hints": (
        saying(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 200, pause=0.05), Unreachable, "timed_out"
    ),
    "silence": (saying(b"", pause=30), Unreachable, "timed_out"),
    "an endless body": (ENDLESS, TooLarge, "too_large"),
    "a claim of too much": (saying(answer(b"x", length=10_001)), TooLarge, "too_large"),
    "a claim beyond numbers": (
        saying(answer(b"x", "content-length: " + "9" * 40)), Unreachable, "answer_cut_off"
    ),
    "less than claimed": (saying(answer(b"x" * 50, length=100)), Unreachable, "answer_cut_off"),
    "a chunk cut off": (saying(CHUNKED, b"10\r\nabc"), Unreachable, "answer_cut_off"),
    "two lengths": (
        saying(answer(b"xx", "content-length: 1")), Unreachable, "answer_cut_off"
    ),
    "no HTTP": (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), Unreachable, "answer_cut_off"),
    "nothing": (saying(), Unreachable, "answer_cut_off"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_answer_that_goes_wrong_ends_in_time_and_in_little_room(wrong: str) -> None:
    talk, kind, code = WRONG[wrong]
    bounds = Bounds(seconds=1.5, max_bytes=10_000, idle_seconds=1)
    async with serving(talk) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        url = f"http://a.example:{good.port}/planted"
        with pytest.raises(kind) as failed:
            await asyncio.wait_for(outside.call("GET", url, bounds=bounds), 20)
    assert failed.value.code == code
    assert "planted" not in failed.value.message


async def test_more_than_was_claimed_is_not_read() -> None:
    async with serving(saying(answer(b"hello, and more", length=5))) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        reply = await outside.call("GET", f"http://a.example:{good.port}/", bounds=BOUNDS)
    assert reply.body == b"hello"


async def test_a_bomb_stays_packed() -> None:
    async with serving(saying(answer(BOMB, "content-encoding: gzip"))) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        reply = await outside.call("GET", f"http://a.example:{good.port}/", bounds=BOUNDS)
    assert reply.body == BOMB


async def test_of_a_refusal_the_status_is_known_however_long_it_is() -> None:
    talk = saying(answer(b"x" * 20_000, status="503 Busy"))
    async with serving(talk) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        reply = await outside.call("GET", f"http://a.example:{good.port}/", bounds=BOUNDS)
    assert (reply.status, reply.succeeded) == (503, False)
    assert len(reply.body) <= BOUNDS.max_bytes


async def test_a_host_nobody_knows_and_a_port_nobody_serves_may_answer_later(
    names: Names,
) -> None:
    with pytest.raises(Unreachable) as unknown:
        await Outside(RULES, names).call("GET", "https://nobody.invalid/", bounds=BOUNDS)
    assert unknown.value.code == "name_not_resolved"
    async with serving(HELLO) as good:
        pass
    outside = Outside(RULES, Lookups([GOOD]))
    with pytest.raises(Unreachable) as gone:
        await outside.call("GET", f"http://a.example:{good.port}/", bounds=BOUNDS)
    assert gone.value.code == "connection_failed"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def test_the_name_is_asked_for_and_its_certificate_is_taken(authority: Authority) -> None:
    asked: list[str | None] = []
    tls = authority.server("good.example")
    tls.sni_callback = lambda _, name, __: asked.append(name)
    async with serving(HELLO, tls=tls) as good:
        outside = Outside(RULES, Lookups([GOOD]), trust=authority.trust())
        reply = await outside.call("GET", f"https://good.example:{good.port}/", bounds=BOUNDS)
    assert reply.body == b"hello"
    assert asked == ["good.example"]


@pytest.mark.parametrize("case", ["another name", "expired", "unknown authority"])
async def test_a_certificate_that_is_not_valid_ends_the_call(
    authority: Authority, tmp_path: Path, case: str
) -> None:
    name = "other.example" if case == "another name" else "good.example"
    signer, days = authority, (-1 if case == "expired" else 1)
    if case == "unknown authority":
        signer = Authority(tmp_path)
    async with serving(HELLO, tls=signer.server(name, days=days)) as good:
        outside = Outside(RULES, Lookups([GOOD]), trust=authority.trust())
        with pytest.raises(Unreachable) as failed:
            await outside.call("GET", f"https://good.example:{good.port}/", bounds=BOUNDS)
    assert failed.value.code == "certificate_invalid"
    assert good.heads == []


async def test_the_usual_authorities_are_believed_when_no_others_are_named(
    authority: Authority,
) -> None:
    async with serving(HELLO, tls=authority.server("good.example")) as good:
        outside = Outside(RULES, Lookups([GOOD]))
        with pytest.raises(Unreachable) as failed:
            await outside.call("GET", f"https://good.example:{good.port}/", bounds=BOUNDS)
    assert failed.value.code == "certificate_invalid"
