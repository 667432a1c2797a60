"""Whether a bearer token is believed, and whose it is.

The rules: asymmetric algorithms only, one per key; issuer, audience, expiry and subject required;
no other type, where one is named, than that of such tokens; the key found by ``kid`` in a set the
issuer publishes at a configured address. What a token says about where its key is (``jku``,
``x5u``, ``jwk``, ``x5c``) is never looked at.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
import jwt

from contracts.errors import Unauthenticated
from contracts.sessions import SESSION_AUDIENCE, SESSION_ISSUER
from contracts.values import Value
from runtime.issuer import AUDIENCE, ISSUER, EmbeddedIssuer
from runtime.key_sets import FETCH_SECONDS, FetchedKeys, FixedKeys, KeySet, VerifyingKey
from runtime.sessions import Sessions
from runtime.settings_groups import TokenSettings

MISSING: Final = "Missing authorization header"
INVALID: Final = "Invalid or expired token"
NO_SUBJECT: Final = "Token missing subject claim"

LONGEST_TOKEN: Final = 8192
"""Characters; more than any issuer makes, less than what costs anything to refuse."""

LONGEST_SUBJECT: Final = 255
"""Characters; what OpenID Connect allows."""

TYPES: Final = frozenset({"jwt", "at+jwt"})
"""What a token may say it is, when it says so: an issuer signs other things with the same keys, a
notice of signing out for one (RFC 8725, section 3.11)."""

MOST_SEEN: Final = 4096
"""Verified tokens that are remembered; the oldest goes first."""

_NOT_JSON: Final = (ValueError, TypeError, OverflowError, RecursionError)
"""What broken or hostile JSON makes a parser raise, beside the library's own errors."""


class Claims(Value):
    """Who a token says its bearer is.

    Attributes:
        user_id: a UUID: the subject, or one made of issuer and subject when it is none itself.
        email: as the issuer knows it, in lower case.
        issuer: who vouches for it.
        expires_at: seconds since 1970.
    """

    user_id: str
    email: str | None = None
    issuer: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer that is believed, the audience it must name, its keys."""

    issuer: str
    audience: str
    keys: KeySet


@dataclass(frozen=True, slots=True)
class _Seen:
    """A token whose signature was verified with this very key."""

    kid: str
    issuer: TrustedIssuer
    key: VerifyingKey
    claims: Claims


class TokenVerifier:
    """Verifies bearer tokens of several issuers, told apart by ``iss``.

    A client sends the same token with every request: its signature is verified once for each key,
    its key and its expiry every time.

    Args:
        issuers: those that are believed.
        client: the HTTP client behind their key sets, closed with the verifier.
    """

    def __init__(
        self, issuers: list[TrustedIssuer], *, client: httpx.AsyncClient | None = None
    ) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._client = client
        # By the token's digest: who can read this memory finds no token in it.
        self._seen: dict[bytes, _Seen] = {}

    @classmethod
    def build(
        cls, settings: TokenSettings, data_dir: Path, sessions: Sessions | None = None
    ) -> Self:
        """The verifier these settings ask for; makes the embedded issuer's key when need be.

        Args:
            sessions: are believed too.
        """
        client = httpx.AsyncClient(
            timeout=FETCH_SECONDS, follow_redirects=False, trust_env=False, max_redirects=0
        )
        issuers = [
            TrustedIssuer(known.issuer, known.audience, FetchedKeys(known.jwks_url, client))
            for known in settings.issuers()
        ]
        if settings.embedded_issuer:
            own = FixedKeys(EmbeddedIssuer.open(data_dir).key_set())
            issuers.append(TrustedIssuer(ISSUER, AUDIENCE, own))
        if sessions is not None:
            known_keys = FixedKeys(sessions.key_set())
            issuers.append(TrustedIssuer(SESSION_ISSUER, SESSION_AUDIENCE, known_keys))
        return cls(issuers, client=client)

    async def __aenter__(self) -> Self:
        """Begin to fetch the key sets; requests do not wait for one another's first token."""
        for issuer in self._issuers.values():
            if isinstance(issuer.keys, FetchedKeys):
                issuer.keys.refresh()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the HTTP client."""
        if self._client is not None:
            await self._client.aclose()

    async def verify_header(self, authorization: str | None) -> Claims:
        """Verify an ``Authorization`` header.

        Raises:
            Unauthenticated: there is no bearer token in it, or the token is not believed.
            Unavailable: the issuer's keys cannot be had now.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(MISSING)
        return await self.verify(token.strip())

    async def verify(self, token: str) -> Claims:
        """Verify a token.

        Raises:
            Unauthenticated: it is not believed, for whatever reason: the answer names none.
            Unavailable: the issuer's keys cannot be had now.
        """
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        seen = self._seen.get(digest)
        kid, issuer = (seen.kid, seen.issuer) if seen else self._look_into(token)
        key = await issuer.keys.find(kid)
        if key is None:
            _refuse()
        if seen and seen.key is key and int(seen.claims.expires_at) > time.time():
            return seen.claims
        claims = _verified(token, key, issuer)
        while len(self._seen) >= MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[digest] = _Seen(kid, issuer, key, claims)
        return claims

    def _look_into(self, token: str) -> tuple[str, TrustedIssuer]:
        """Key id and issuer as the token claims them: only to choose the key."""
        if len(token) > LONGEST_TOKEN:
            _refuse()
        try:
            head: Mapping[str, Any] = jwt.get_unverified_header(token)
            body: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, *_NOT_JSON):
            _refuse()
        kid, name = head.get("kid"), body.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None or not isinstance(kid, str) or "crit" in head:
            _refuse()
        if "typ" in head and not _is_type(head["typ"]):
            _refuse()
        return kid, issuer


def _is_type(said: Any) -> bool:
    """Whether it is one of `TYPES`: media types, in any capitals, ``application/`` left out."""
    return isinstance(said, str) and said.lower().removeprefix("application/") in TYPES


def _verified(token: str, key: VerifyingKey, issuer: TrustedIssuer) -> Claims:
    try:
        claims = jwt.decode(
            token,
            key.key,
            # The key's algorithm, whatever the token says of its own.
            algorithms=[key.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # An `iat` a second ahead of our clock is no reason to refuse; `exp`, `nbf` decide.
            options={
                "require": ["exp", "iss", "aud"],
                "verify_iat": False,
                "verify_sub": False,
            },
        )
    except (jwt.PyJWTError, *_NOT_JSON):
        raise Unauthenticated(INVALID) from None
    return _claims(claims, issuer)


def _claims(claims: Mapping[str, Any], issuer: TrustedIssuer) -> Claims:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip():
        raise Unauthenticated(NO_SUBJECT)
    if len(subject) > LONGEST_SUBJECT:
        _refuse()
    email = claims.get("email")
    return Claims(
        user_id=user_id_of(issuer.issuer, subject),
        email=email.lower() if isinstance(email, str) else None,
        issuer=issuer.issuer,
        expires_at=float(claims["exp"]),
    )


def user_id_of(issuer: str, subject: str) -> str:
    """The id a user has with us, for good.

    Users of every issuer we know of are UUIDs, and stay what they are. Any other subject is given
    one, so that it can stand in a key or a path whatever is in it.
    """
    try:
        return str(UUID(subject))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"{issuer}#{subject}"))


def _refuse() -> NoReturn:
    raise Unauthenticated(INVALID)
