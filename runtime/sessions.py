"""Who a token of a vendor belongs to, without keeping it, and the sessions that are given for it.

Both, and the seal of a token that a job needs, hang on one secret: SESSION_KEY, or the key of the
data folder. Whoever has the database alone cannot tell whose a token is, nor try tokens against it,
nor open what is sealed.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretBytes

from contracts.sessions import SESSION_AUDIENCE, SESSION_ISSUER, Session
from runtime.issuer import EmbeddedIssuer
from runtime.seals import Seals
from runtime.settings_sign_in import SignInSettings
from runtime.settings_values import PayloadKey

KEY_BYTES: Final = 32
_SIGNING: Final = b"voicekeep: signing sessions"
_IDENTITY: Final = b"voicekeep: whose a vendor's token is"
_MEMORY: Final = b"voicekeep: tokens that were asked about"
_SEALING: Final = b"voicekeep: tokens that speak for their users"


class Sessions:
    """Names users by their tokens and signs sessions.

    Args:
        secret: the same in every process of an installation, for ever.
        seconds: how long a session lasts.
    """

    def __init__(self, secret: bytes, seconds: float) -> None:
        key = Ed25519PrivateKey.from_private_bytes(_derived(secret, _SIGNING))
        self._issuer = EmbeddedIssuer(key, issuer=SESSION_ISSUER)
        self._identity = _derived(secret, _IDENTITY)
        self._memory = _derived(secret, _MEMORY)
        self._seconds = seconds

    @classmethod
    def open(cls, settings: SignInSettings, data_dir: Path) -> Self:
        """Those of an installation.

        Raises:
            OSError: there is no SESSION_KEY, and the data folder cannot be read or written.
            NotAKey: likewise, and its key file holds something else.
        """
        return cls(_secret(settings, data_dir), settings.session_seconds)

    def user_id(self, token: str) -> str:
        """Whose the token is: the same for ever, and told by nothing but the token."""
        digest = hmac.digest(self._identity, token.encode(), hashlib.sha256)
        return str(UUID(bytes=digest[:16], version=5))

    def digest(self, token: str) -> bytes:
        """By which a token is known again in memory; it is nobody's id."""
        return hmac.digest(self._memory, token.encode(), hashlib.sha256)

    def sign(self, user_id: str) -> Session:
        """A new session of a user."""
        now = datetime.now(UTC)
        token = self._issuer.sign(user_id, audience=SESSION_AUDIENCE, expires_in=self._seconds)
        return Session(
            user_id=user_id, token=token, expires_at=now + timedelta(seconds=self._seconds)
        )

    def key_set(self) -> Mapping[str, Any]:
        """What sessions are verified with."""
        return self._issuer.key_set()


def own_token_seals(settings: SignInSettings, data_dir: Path) -> Seals:
    """What seals tokens of users while a job needs them; never without a key.

    Raises:
        OSError: as ``Sessions.open``.
        NotAKey: likewise.
    """
    key = SecretBytes(_derived(_secret(settings, data_dir), _SEALING))
    return Seals([PayloadKey(id="session", key=key)])


def _secret(settings: SignInSettings, data_dir: Path) -> bytes:
    if settings.session_key is not None:
        return settings.session_key.get_secret_value().encode()
    return EmbeddedIssuer.open(data_dir).secret()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """A key of its own for each purpose (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)
