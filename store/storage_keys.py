r"""Which texts name a file in storage, and which only look like it.

A key is its owner's id and one to many names, with slashes between them:
``{userId}/{memoId}/audio_….m4a``. Refused are an absolute path, an empty name, ``.`` and ``..``,
``\``, ``%`` (some layer might decode it), whatever is invisible, and what turns into one of these
when Unicode is folded.
"""

import unicodedata
from typing import Final

from contracts.errors import InvalidInput

MAX_BYTES: Final = 1024
MAX_NAME_BYTES: Final = 255
"""What a file system takes as a name."""

_NOT_NAMES: Final = frozenset({"", ".", ".."})


def names_of(key: str) -> tuple[str, ...]:
    """The names a key is made of: its owner's id, then one or more.

    Raises:
        InvalidInput: ``invalid_path``, it is not a key.
    """
    names = _names(key)
    if len(names) < 2:  # noqa: PLR2004 - an owner, and something of theirs
        raise _refusal()
    return names


def folder_and_start(prefix: str) -> tuple[tuple[str, ...], str]:
    """The folder a prefix lies in, and what names in it begin with.

    Raises:
        InvalidInput: ``invalid_path``, no key begins like this.
    """
    folder, slash, start = prefix.rpartition("/")
    if start:
        _names(start)
    return (_names(folder) if slash else ()), start


def check_owner(key: str, user_id: str) -> str:
    """Refuse a key that is not below the user's own id.

    Raises:
        InvalidInput: ``invalid_path``; a stranger's file and no file at all are told apart by
            nobody.
    """
    if names_of(key)[0] != user_id:
        raise _refusal()
    return key


def _names(path: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKC", path)
    names = path.split("/")
    fit = (
        # Half a surrogate pair is not printable either, so what is left can be encoded.
        folded.isprintable()
        and not any(mark in folded for mark in "\\%")
        and folded.count("/") == path.count("/")
        and not any(name.strip() in _NOT_NAMES for name in folded.split("/"))
        and len(path.encode()) <= MAX_BYTES
        and all(len(name.encode()) <= MAX_NAME_BYTES for name in names)
    )
    if not fit:
        raise _refusal()
    return tuple(names)


def _refusal() -> InvalidInput:
    return InvalidInput("Not a storage key of yours", code="invalid_path")
