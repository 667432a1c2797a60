"""The words of the TUS 1.0 protocol: what its headers say, read strictly.

Facts: https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

import base64
import binascii
import hashlib
import re
from typing import Final, NamedTuple
from unicodedata import category

from contracts.errors import ChecksumMismatch, InvalidInput

VERSION: Final = "1.0.0"
EXTENSIONS: Final = ("creation", "creation-with-upload", "expiration", "termination", "checksum")
CHECKSUMS: Final = ("sha256", "sha1")
PART_TYPE: Final = "application/offset+octet-stream"

MAX_METADATA_BYTES: Final = 4096
MAX_METADATA_KEYS: Final = 32

_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_KEY: Final = re.compile(r"[!-+\--~]+")
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class Checksum(NamedTuple):
    """What the bytes of one request must come to."""

    algorithm: str
    digest: bytes

    def begin(self) -> "hashlib._Hash":
        """A hash of no bytes yet."""
        # The protocol names sha1; it finds what a line broke, not what an enemy forged.
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def check(self, digest: bytes) -> None:
        """Compare.

        Raises:
            ChecksumMismatch: other bytes came.
        """
        if digest != self.digest:
            raise ChecksumMismatch("The bytes do not come to their Upload-Checksum")


def parse_number(name: str, text: str | None) -> int:
    """A header that is a count of bytes.

    Raises:
        InvalidInput: it is not there, or no whole number.
    """
    if text is None:
        raise InvalidInput(f"{name} is required")
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(f"{name} must be a number of bytes")
    return int(text)


def parse_checksum(text: str | None) -> Checksum | None:
    """``Upload-Checksum``: an algorithm and a digest in base64; none when there is none.

    Raises:
        InvalidInput: of another form, or of an algorithm that is not offered.
    """
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in CHECKSUMS:
        raise InvalidInput(f"Upload-Checksum must be one of {', '.join(CHECKSUMS)}")
    digest = _decoded("Upload-Checksum", encoded)
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise InvalidInput(f"Upload-Checksum is no {algorithm}")
    return Checksum(algorithm, digest)


def parse_metadata(text: str) -> dict[str, str]:
    """``Upload-Metadata``: names and texts in base64, with commas between them.

    Raises:
        InvalidInput: too long, of another form, a name twice, or no plain text.
    """
    if len(text) > MAX_METADATA_BYTES:
        raise InvalidInput(f"Upload-Metadata is longer than {MAX_METADATA_BYTES} bytes")
    parts = [part.strip(" ") for part in text.split(",")] if text.strip(" ") else []
    if len(parts) > MAX_METADATA_KEYS:
        raise InvalidInput(f"Upload-Metadata has more than {MAX_METADATA_KEYS} keys")
    found: dict[str, str] = {}
    for part in parts:
        key, _, encoded = part.partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise InvalidInput("Upload-Metadata must have distinct keys of visible ASCII")
        found[key] = plain_text("Upload-Metadata", _decoded("Upload-Metadata", encoded))
    return found


def spell_metadata(fields: dict[str, str]) -> str:
    """The header of some fields."""
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items()
    )


def plain_text(name: str, content: bytes) -> str:
    """Text without anything that ends a line or steers a terminal.

    Raises:
        InvalidInput: it is none.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{name} must be UTF-8") from None
    if any(category(character) in _CONTROL for character in text):
        raise InvalidInput(f"{name} must not contain control characters")
    return text


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{name} must be base64") from None
