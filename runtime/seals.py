"""Seals what is kept for the time of a job and is a secret: AES-256-GCM, with the payload keys.

Signed addresses and the like must not be read in a stolen copy of the database. The keys are those
of TEMPORAL_PAYLOAD_KEYS, each by way of HKDF, so that none is used for two things; without any,
texts are kept as they are, and say so by their first letters. Rotation is that of the payload keys:
the first one seals, all open.
"""

import base64
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretBytes

from contracts.errors import Rejected
from runtime.settings_values import AES_KEY_BYTES, PayloadKey

PLAIN: Final = "plain:"
SEALED: Final = "aesgcm:"
NONCE_BYTES: Final = 12
_PURPOSE: Final = b"voicekeep: secrets at rest"


class Seals:
    """Seals with the first key, opens with any.

    Args:
        keys: none at all leaves texts as they are.
    """

    def __init__(self, keys: Sequence[PayloadKey]) -> None:
        self._sealing = keys[0].id if keys else None
        self._ciphers = {key.id: _cipher(key.key.get_secret_value()) for key in keys}

    def seal(self, text: str, about: str) -> str:
        """The text, sealed.

        Args:
            about: what it belongs to, a job's id: sealed for one it cannot be opened for another.
        """
        if self._sealing is None:
            return PLAIN + text
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._sealing].encrypt(nonce, text.encode(), about.encode())
        return f"{SEALED}{self._sealing}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, about: str) -> str:
        """The text again.

        Raises:
            Rejected: ``seal_broken``, its key is not configured any more, or it was changed.
        """
        if sealed.startswith(PLAIN):
            return sealed.removeprefix(PLAIN)
        name, _, content = sealed.removeprefix(SEALED).partition(":")
        cipher = self._ciphers.get(name)
        broken = Rejected("What was sealed for this job cannot be opened", code="seal_broken")
        if cipher is None:
            raise broken
        try:
            data = base64.b64decode(content, validate=True)
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise broken from None


def passing_key() -> PayloadKey:
    """A key that is gone with the process, for what must never be kept as it is."""
    return PayloadKey(id="process", key=SecretBytes(os.urandom(AES_KEY_BYTES)))


def _cipher(key: bytes) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=AES_KEY_BYTES, salt=None, info=_PURPOSE)
    return AESGCM(derived.derive(key))
