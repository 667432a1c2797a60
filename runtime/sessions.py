"""Who a token of a vendor belongs to, without keeping it, and the sessions that are given for it.

Both hang on one secret: SESSION_KEY, or the key of the data folder. Whoever has the database alone
cannot tell whose a token is, nor try tokens against it.
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

from contracts.sessions import SESSION_AUDIENCE, SESSION_ISSUER, Session
from runtime.issuer import EmbeddedIssuer
from runtime.settings_sign_in import SignInSettings

KEY_BYTES: Final = 32
_SIGNING: Final = b"voicekeep: signing sessions"
_IDENTITY: Final = b"voicekeep: whose a vendor's token is"
_MEMORY: Final = b"voicekeep: tokens that were asked about"


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
        if settings.session_key is not None:
            secret = settings.session_key.get_secret_value().encode()
        else:
            secret = EmbeddedIssuer.open(data_dir).secret()
        return cls(secret, settings.session_seconds)

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


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """A key of its own for each purpose (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)
