"""Public keys of issuers: read from a document (RFC 7517), fetched and kept."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from contracts.errors import Unavailable

ALGORITHMS: Final[Mapping[tuple[str, str | None], str]] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
"""The one algorithm each kind of key is good for. Symmetric ones are not among them."""

SMALLEST_RSA_BITS: Final = 2048
MOST_KEYS: Final = 100
MOST_BYTES: Final = 256 * 1024
FETCH_SECONDS: Final = 5.0

FRESH_SECONDS: Final = 300.0
"""Older keys still serve, while newer ones are fetched beside the request."""

UNKNOWN_KEY_SECONDS: Final = 60.0
"""Tokens with invented key ids cause one fetch a minute, not one each."""

FAILED_SECONDS: Final = 5.0
"""Pause after a fetch that failed, so that an issuer that comes back is believed again soon."""

log = structlog.get_logger()


class NotAKeySet(ValueError):
    """A document that is of another form than RFC 7517 says."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the only algorithm it is used with."""

    key: Any
    algorithm: str


class KeySet(Protocol):
    """The public keys of one issuer, by key id."""

    async def find(self, kid: str) -> VerifyingKey | None:
        """The key of that id, or none; raises Unavailable when that cannot be known now."""


class FixedKeys:
    """Keys that are at hand: those of the embedded issuer."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._keys = read_key_set(document)

    async def find(self, kid: str) -> VerifyingKey | None:
        """The key of that id, or none."""
        return self._keys.get(kid)


class FetchedKeys:
    """Keys behind an address, kept while the address is away.

    Args:
        url: of the key set document.
        client: follows no redirects and no proxy settings of the environment.
        clock: monotonic seconds.
    """

    def __init__(
        self, url: str, client: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._keys: Mapping[str, VerifyingKey] = {}
        self._tried_at: float | None = None
        self._answered = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> VerifyingKey | None:
        """The key of that id, or none.

        Raises:
            Unavailable: it is not among the kept ones, and the address does not answer.
        """
        found = self._keys.get(kid)
        if found is not None:
            if self._due(FRESH_SECONDS):
                self.refresh()
            return found
        if self._fetching is not None or self._due(UNKNOWN_KEY_SECONDS):
            # Shielded: a client that hangs up does not end the fetch others wait for.
            await asyncio.shield(self.refresh())
        found = self._keys.get(kid)
        if found is None and not self._answered:
            raise Unavailable(
                "The key set of the token's issuer does not answer",
                code="key_set_unavailable",
                retry_after=FAILED_SECONDS,
            )
        return found

    def refresh(self) -> asyncio.Task[None]:
        """Fetch in the background; a fetch that is under way is joined."""
        if self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    def _due(self, after: float) -> bool:
        if self._tried_at is None:
            return True
        pause = after if self._answered else min(after, FAILED_SECONDS)
        return self._clock() - self._tried_at >= pause

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = read_key_set(json.loads(await self._body()))
            self._answered = True
        except (httpx.HTTPError, OSError, ValueError, RecursionError, TimeoutError) as error:
            self._answered = False
            kept = len(self._keys)
            log.warning("keys.unavailable", url=self._url, error=type(error).__name__, kept=kept)
        finally:
            self._fetching = None

    async def _body(self) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", self._url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise NotAKeySet(f"status {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise NotAKeySet("too long")
        return bytes(body)


def read_key_set(document: Any) -> Mapping[str, VerifyingKey]:
    """The usable keys of a key set document by their ids; others are passed over.

    Raises:
        NotAKeySet: it is none.
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise NotAKeySet("there is no list of keys in it")
    found: dict[str, VerifyingKey] = {}
    for entry in entries[:MOST_KEYS]:
        kid = entry.get("kid") if isinstance(entry, Mapping) else None
        key = _verifying_key(entry) if isinstance(kid, str) else None
        if isinstance(kid, str) and key is not None:
            found.setdefault(kid, key)
    return found


def _verifying_key(entry: Mapping[str, Any]) -> VerifyingKey | None:
    kind = str(entry.get("kty"))
    curve = None if kind == "RSA" else str(entry.get("crv"))
    algorithm = ALGORITHMS.get((kind, curve))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    if entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < SMALLEST_RSA_BITS:
        return None
    return VerifyingKey(key, algorithm)
