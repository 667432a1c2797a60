"""The product's own issuer of user tokens, for a set-up without an identity provider."""

import base64
import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

ISSUER: Final = "urn:voicekeep:embedded"
AUDIENCE: Final = "mana"
KEY_FILE: Final = Path("keys") / "issuer.pem"
DAY_SECONDS: Final = 86_400


class NotAKey(Exception):
    """The key file holds no Ed25519 key; it is never written over."""


class EmbeddedIssuer:
    """Signs and publishes with one EdDSA key; ``open`` makes the key when there is none yet."""

    def __init__(self, key: Ed25519PrivateKey, *, issuer: str = ISSUER) -> None:
        self._key = key
        self._issuer = issuer
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
        self.kid = _thumbprint(self._jwk)

    @classmethod
    def open(cls, data_dir: Path) -> Self:
        """The issuer of a data folder. Several processes may do this at once: one key comes of it.

        Raises:
            OSError: the folder cannot be written, or the key cannot be read.
            NotAKey: the file holds something else.
        """
        path = data_dir / KEY_FILE
        if not path.exists():
            _create_key(path)
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise NotAKey(f"{path} holds no private key") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise NotAKey(f"{path} holds no Ed25519 key")
        return cls(key)

    def sign(
        self,
        user_id: str,
        *,
        email: str | None = None,
        audience: str = AUDIENCE,
        expires_in: float = DAY_SECONDS,
    ) -> str:
        """A token for one user.

        Args:
            expires_in: seconds from now; a negative one makes a token that has expired.
        """
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": audience,
            "sub": user_id,
            "iat": now,
            "exp": int(now + expires_in),
        }
        if email is not None:
            claims["email"] = email
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self.kid})

    def secret(self) -> bytes:
        """The key itself, for other keys to be derived from; never used as it is."""
        return self._key.private_bytes_raw()

    def key_set(self) -> dict[str, Any]:
        """The document of ``/.well-known/jwks.json``."""
        return {"keys": [self._jwk | {"kid": self.kid, "alg": "EdDSA", "use": "sig"}]}


def _create_key(path: Path) -> None:
    """Write a new key whole or not at all, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            # Another process was quicker: its key is the key.
            return
    finally:
        draft.unlink()


def _thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638: the same key has the same id, whoever computes it."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return _base64url(hashlib.sha256(canonical).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
