"""HTTP to addresses that strangers gave us: the only way out to a place no setting names.

A host is looked up, every address found is judged, and the connection goes to one of those very
addresses, while certificate and ``Host`` stay the name's: what a name resolves to a moment later
does not matter. Redirects are not followed, nothing is decompressed, and neither proxies, cookies
nor passwords of the environment exist here: ``httpcore`` has none of them. Every call connects
anew, so every attempt is judged anew.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import httpcore
import httpx

from contracts.egress import EgressRules, Resolve, Target, parse_target
from contracts.errors import TooLarge, Unreachable

CONNECT_SECONDS: Final = 10.0
MOST_ADDRESSES: Final = 4
"""Of one host that are tried in turn."""
_OWN_HEADERS: Final = (
    ("User-Agent", "Voicekeep"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)


class Bounds(NamedTuple):
    """What one call may take.

    Attributes:
        seconds: of the whole call, looking up and reading included.
        max_bytes: of the answer's body.
        idle_seconds: between two signs of life.
    """

    seconds: float
    max_bytes: int
    idle_seconds: float = 30.0


class Reply(NamedTuple):
    """An answer read whole; a refusal's body may be cut off at the bound."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def succeeded(self) -> bool:
        """Whether it is a 2xx; a redirect is none."""
        return succeeded(self.status)


def succeeded(status: int) -> bool:
    """Whether a status says so; nothing is followed, so a redirect is a failure."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


class Incoming:
    """An answer whose body has not been read.

    Attributes:
        headers: by name in lower case; of several the last.
    """

    def __init__(self, response: httpcore.Response, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }

    @property
    def length(self) -> int | None:
        """Bytes of the body as its server claims, when it does."""
        claim = self.headers.get("content-length", "")
        return int(claim[:20]) if claim.isascii() and claim.isdecimal() else None

    @property
    def compressed(self) -> bool:
        """Whether the body is not what it stands for; that was not asked for."""
        return self.headers.get("content-encoding", "identity").strip().lower() != "identity"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, undecoded.

        Raises:
            TooLarge: more bytes than allowed, claimed or sent.
            Unreachable: it stopped before its end.
        """
        if (self.length or 0) > self._max_bytes:
            raise _too_large(self._max_bytes)
        size = 0
        with _understood():
            async for chunk in self._response.aiter_stream():
                size += len(chunk)
                if size > self._max_bytes:
                    raise _too_large(self._max_bytes)
                yield chunk

    async def read(self) -> bytes:
        """The whole body; of a refusal as much as the bound lets through."""
        body = bytearray()
        try:
            async for chunk in self.chunks():
                body += chunk
        except (TooLarge, Unreachable):
            if succeeded(self.status):
                raise
        return bytes(body)


class Outside:
    """Calls to addresses of strangers.

    Args:
        rules: what may be reached beside https to public addresses.
        resolve: looks up hosts.
        trust: whose certificates are believed; else the usual authorities (SSL_CERT_FILE adds
            an operator's own).
        connect_seconds: how long one connection may take to open.
    """

    def __init__(
        self,
        rules: EgressRules,
        resolve: Resolve,
        *,
        trust: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._trust = trust
        self._connect_seconds = connect_seconds

    async def call(
        self,
        method: str,
        url: str,
        *,
        bounds: Bounds,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        """Send one request and read its answer whole, whatever its status.

        Raises:
            InvalidInput: ``url_not_allowed``; nothing was connected to.
            Unreachable: no answer, or none in time.
            TooLarge: a success of more bytes than allowed.
        """
        async with self.opened(
            method, url, bounds=bounds, headers=headers, content=content
        ) as incoming:
            return Reply(incoming.status, incoming.headers, await incoming.read())

    @asynccontextmanager
    async def opened(
        self,
        method: str,
        url: str,
        *,
        bounds: Bounds,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> AsyncIterator[Incoming]:
        """Send one request; the body is read in the block, which the bounds are about too.

        Raises:
            InvalidInput: ``url_not_allowed``; nothing was connected to.
            Unreachable: no answer, or none in time.
        """
        target = parse_target(url)
        self._rules.check(target)
        idle = min(bounds.idle_seconds, bounds.seconds)
        waits = {
            "connect": min(self._connect_seconds, bounds.seconds),
            "read": idle,
            "write": idle,
        }
        with _understood():
            async with (
                asyncio.timeout(bounds.seconds),
                httpcore.AsyncConnectionPool(
                    ssl_context=self._trusted() if target.scheme == "https" else None,
                    max_connections=1,
                    max_keepalive_connections=0,
                    network_backend=_Checked(target, self._rules, self._resolve),
                ) as pool,
                pool.stream(
                    method,
                    _as_sent(target),
                    headers=[("Host", target.authority), *_OWN_HEADERS, *(headers or {}).items()],
                    content=content,
                    extensions={"timeout": waits},
                ) as response,
            ):
                yield Incoming(response, bounds.max_bytes)

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = httpx.create_ssl_context()
        return self._trust


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, whatever name is asked for."""

    def __init__(self, target: Target, rules: EgressRules, resolve: Resolve) -> None:
        self._target = target
        self._rules = rules
        self._resolve = resolve
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the target's own
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's name for it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = Unreachable("The host of the address cannot be found")
        for address in (await self._judged())[:MOST_ADDRESSES]:
            try:
                return await self._sockets.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _judged(self) -> list[str]:
        target = self._target
        literal = target.literal is not None
        found = [target.host] if literal else await self._resolve(target.host, target.port)
        self._rules.permit(target, found)
        return list(found)

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


def _as_sent(target: Target) -> httpcore.URL:
    """The parts as they were read: nobody parses the address a second time."""
    return httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.host.encode(),
        port=target.port,
        target=target.path.encode(),
    )


@contextmanager
def _understood() -> Iterator[None]:
    """Turn what goes wrong on the way into Unreachable; no message repeats the address."""
    try:
        yield
    except (TimeoutError, httpcore.TimeoutException):
        raise Unreachable("The server did not answer in time", code="timed_out") from None
    except httpcore.ConnectError as error:
        if _about_certificate(error):
            message = "The server's certificate is not valid for its name"
            raise Unreachable(message, code="certificate_invalid") from None
        raise Unreachable("The server cannot be connected to") from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        message = "The server's answer was cut off or is none"
        raise Unreachable(message, code="answer_cut_off") from None


def _about_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The answer is larger than {max_bytes} bytes")
