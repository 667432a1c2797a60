"""Values of settings that are more than a word or a number, and how they are read."""

import base64
import binascii
import json
import re
from typing import Any, Final

from pydantic import SecretBytes, TypeAdapter, ValidationError

from contracts.errors import InvalidInput
from contracts.values import Value

AES_KEY_BYTES: Final = 32
TIERS: Final = (
    "azure-fast",
    "azure-fast-other-region",
    "azure-fast-converted",
    "azure-batch",
    "openai",
    "gemini",
    "whisper",
    "local",
    "external",
)
"""Transcription tiers of this version, in their default order; the last one is never a default."""
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BIND: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\s]+):(?P<port>\d{1,5})")
_HIGHEST_PORT: Final = 65_535


class InvalidSetting(InvalidInput):
    """A setting's value is wrong; the message names the variable and never quotes the value."""

    code = "invalid_setting"


class Issuer(Value):
    """Somebody whose tokens are believed.

    Attributes:
        issuer: the ``iss`` of its tokens.
        jwks_url: where its public keys are.
        audience: the ``aud`` its tokens must have.
    """

    issuer: str
    jwks_url: str
    audience: str = "mana"


class PayloadKey(Value):
    """A key that seals payloads, and the name it goes by in their metadata."""

    id: str
    key: SecretBytes


def split_list(value: Any) -> Any:
    """``a, b`` as (a, b); blanks are left out."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def check_tiers(names: tuple[str, ...], *, known: tuple[str, ...] = TIERS) -> tuple[str, ...]:
    """The names, when each is a tier of this version and stands there once.

    Raises:
        ValueError: one is not, or does not.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"it names {', '.join(unknown)}, and there are {' and '.join(known)}")
    if len(set(names)) != len(names):
        raise ValueError("a tier stands in it twice")
    return names


def strip_slash(value: str) -> str:
    """An http(s) address without a slash at its end.

    Raises:
        ValueError: it is no http(s) address.
    """
    if not value.startswith(("http://", "https://")):
        raise ValueError("it must begin with http:// or https://")
    return value.rstrip("/")


def check_bind_address(value: str) -> str:
    """``host:port``, as it is.

    Raises:
        ValueError: it is of another form.
    """
    found = _BIND.fullmatch(value)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise ValueError("it must be host:port")
    return value


def parse_issuers(value: Any) -> Any:
    """A JSON list of ``{issuer, jwks_url, audience}``.

    Raises:
        ValueError: it is no such list.
    """
    if not isinstance(value, str):
        return value
    try:
        return TypeAdapter(tuple[Issuer, ...]).validate_python(tuple(json.loads(value)))
    except (ValidationError, ValueError, TypeError):
        raise ValueError(
            'it must be a JSON list like [{"issuer": "…", "jwks_url": "…", "audience": "…"}]'
        ) from None


def parse_payload_keys(value: Any) -> Any:
    """``id:base64,older:base64`` as keys of 32 bytes.

    Raises:
        ValueError: a part is of another form; the key itself is never quoted.
    """
    if not isinstance(value, str):
        return value
    keys = tuple(_payload_key(part) for part in split_list(value))
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("every key needs an id of its own")
    return keys


def _payload_key(text: str) -> PayloadKey:
    name, _, encoded = text.partition(":")
    if not _KEY_ID.fullmatch(name):
        raise ValueError("each part must be id:base64")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError(f"the key with the id {name} is no base64") from None
    if len(key) != AES_KEY_BYTES:
        raise ValueError(f"the key with the id {name} has {len(key)} bytes and needs 32")
    return PayloadKey(id=name, key=SecretBytes(key))
