"""Which texts may name a file in storage, and whose file that is."""

import re
import unicodedata
from typing import Final

from contracts.errors import InvalidInput

MAX_CHARACTERS: Final = 1024
MAX_SEGMENT_BYTES: Final = 255
"""What a file system takes as a name."""

_SEPARATORS: Final = re.compile(r"[/\\]")


def check_key(key: str) -> str:
    r"""Refuse what is no plain path of at least two names below the storage's root.

    No absolute path, no empty, ``.`` or ``..`` segment, no ``\``, no ``%`` (another layer might
    decode it), nothing invisible, and nothing that turns into one of these when Unicode is folded.

    Raises:
        InvalidInput: ``invalid_path``.
    """
    folded = unicodedata.normalize("NFKC", key)
    segments = key.split("/")
    unfit = (
        len(key) > MAX_CHARACTERS,
        len(segments) < 2,  # noqa: PLR2004 - an owner, and something of theirs
        any(mark in folded for mark in "\\%"),
        not folded.isprintable(),
        len(_SEPARATORS.findall(folded)) != len(segments) - 1,
        any(part.strip(" .") == "" for part in folded.split("/")),
        any(len(part.encode("utf-8", "replace")) > MAX_SEGMENT_BYTES for part in segments),
    )
    if any(unfit):
        raise InvalidInput("filePath is not a valid storage path", code="invalid_path")
    return key


def check_owner(key: str, user_id: str) -> str:
    """Refuse a key that is not below the user's own id.

    Raises:
        InvalidInput: ``invalid_path``; a stranger's file and no file at all are told apart by
            nobody.
    """
    if not check_key(key).startswith(f"{user_id}/"):
        raise InvalidInput("filePath must lie under the caller's own id", code="invalid_path")
    return key
