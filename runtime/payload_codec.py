"""Seals what Temporal stores of a job (arguments, results, failures) with AES-256-GCM.

Each payload names the key it was sealed with, so keys can be rotated: put the new one first in
TEMPORAL_PAYLOAD_KEYS and leave the older ones behind it until the histories sealed with them are
past the namespace's retention.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from runtime.settings_values import PayloadKey

ENCODING: Final = b"binary/encrypted"
NONCE_BYTES: Final = 12
"""Random 96-bit nonces, as NIST SP 800-38D asks for; fine up to 2^32 payloads a key."""


class PayloadNotReadable(Exception):
    """A stored payload is sealed with a key that is not configured, or was changed."""


class AesGcmCodec(PayloadCodec):
    """Seals with the first key, opens with any.

    Payloads that are not sealed pass through when read: histories from before sealing was switched
    on stay readable.

    Args:
        keys: at least one; the first one seals.
    """

    def __init__(self, keys: Sequence[PayloadKey]) -> None:
        self._sealing = keys[0].id
        self._ciphers = {key.id: AESGCM(key.key.get_secret_value()) for key in keys}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload, its metadata included."""
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each sealed payload.

        Raises:
            PayloadNotReadable: its key is not configured, or it was changed.
        """
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        key_id = self._sealing.encode()
        sealed = self._ciphers[self._sealing].encrypt(nonce, payload.SerializeToString(), key_id)
        metadata = {"encoding": ENCODING, "encryption-key-id": key_id}
        return Payload(metadata=metadata, data=nonce + sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get("encryption-key-id", b"")
        name = key_id.decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise PayloadNotReadable(
                f"A payload is sealed with the key {name!r}, which TEMPORAL_PAYLOAD_KEYS lacks"
            )
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, key_id))
        except (InvalidTag, ValueError) as error:
            raise PayloadNotReadable(
                f"A payload sealed with the key {name!r} was changed, or the key is another one"
            ) from error


def codec_for(keys: Iterable[PayloadKey]) -> AesGcmCodec | None:
    """A codec when there is a key, else none."""
    configured = tuple(keys)
    return AesGcmCodec(configured) if configured else None
