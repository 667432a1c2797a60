"""API keys: what one looks like, what it may open, what is kept of it.

``vk_live_`` or ``vk_test_``, 30 letters and digits drawn at random (178 bits), 6 of a checksum: 44
in all. The checksum tells a key from what merely looks like one without asking the database; it is
no secret. Kept is the SHA-256 of the whole: so much randomness needs no slow digest.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from contracts.errors import InvalidInput
from contracts.values import Value

DRAWN: Final = 30
CHECKED: Final = 6
LAST: Final = 4
"""Letters that are shown of a key for good, so that its owner knows which one it is."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM: Final = re.compile(rf"(vk_(?:live|test)_)([0-9A-Za-z]{{{DRAWN + CHECKED}}})")
MARK: Final = "vk_"
"""What every key begins with, and no token does."""


class Environment(StrEnum):
    """What the keys of an installation say it is."""

    LIVE = "live"
    TEST = "test"

    @property
    def prefix(self) -> str:
        """What its keys begin with."""
        return f"{MARK}{self.value}_"


class Scope(StrEnum):
    """What a key may be used for."""

    MEMOS_READ = "memos:read"
    MEMOS_WRITE = "memos:write"
    SPEECH = "speech"
    RECORDINGS = "recordings"
    CREDITS_READ = "credits:read"
    WEBHOOKS = "webhooks"
    ADMIN = "admin"


class Access(NamedTuple):
    """The scope that reading wants, and the one that everything else wants."""

    reads: Scope
    writes: Scope


MEMOS: Final = Access(Scope.MEMOS_READ, Scope.MEMOS_WRITE)
READ_ALOUD: Final = Access(Scope.SPEECH, Scope.SPEECH)


def permits(scopes: Collection[Scope], wanted: Scope | None) -> bool:
    """Whether a key of these scopes opens what wants this one; ``admin`` opens all that is named.

    What names no scope is opened by no key.
    """
    return wanted is not None and (wanted in scopes or Scope.ADMIN in scopes)


def scopes_of(names: Collection[str]) -> tuple[Scope, ...]:
    """Scopes by their names.

    Raises:
        InvalidInput: ``validation_failed``, there is no such scope.
    """
    try:
        return tuple(Scope(name) for name in names)
    except ValueError:
        raise InvalidInput(f"Scopes are {', '.join(Scope)}") from None


class DrawnKey(NamedTuple):
    """What is kept of a key.

    Attributes:
        digest: SHA-256 of all of it, in hexadecimal digits.
    """

    digest: str
    prefix: str
    last4: str


class ApiKey(Value):
    """A key as it is kept, without what would open anything.

    Attributes:
        user_id: its owner, as whom it acts.
        last_used_at: give or take a minute.
    """

    id: str
    user_id: str
    name: str
    prefix: str
    last4: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


def draw_key(environment: Environment) -> tuple[str, DrawnKey]:
    """A key nobody has had before, and what is kept of it."""
    drawn = environment.prefix + "".join(secrets.choice(_ALPHABET) for _ in range(DRAWN))
    key = drawn + _checksum(drawn)
    return key, _kept(key, environment.prefix)


def kept_of(key: str) -> DrawnKey | None:
    """What is kept of a key; none when it is of another form, or not as it was drawn."""
    found = _FORM.fullmatch(key)
    if found is None or _checksum(key[:-CHECKED]) != key[-CHECKED:]:
        return None
    return _kept(key, found[1])


def _kept(key: str, prefix: str) -> DrawnKey:
    return DrawnKey(hashlib.sha256(key.encode()).hexdigest(), prefix, key[-LAST:])


def _checksum(text: str) -> str:
    """CRC-32 in letters and digits; they have room for 35 bits."""
    number, letters = zlib.crc32(text.encode()), ""
    for _ in range(CHECKED):
        number, place = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[place] + letters
    return letters
