"""A memory: something written about a memo, as its readers know the row."""

from datetime import datetime
from typing import Any

from contracts.values import Value


class NewMemory(Value):
    """A memory to be written.

    Attributes:
        id: made of its job and its number, so that it is written once.
        metadata: ``type``, ``jobId``, ``engine``, ``prompt``, ``extract``; for a question
            ``question`` and ``found``, for a blueprint ``blueprintId`` and ``promptId``.
    """

    id: str
    title: str
    content: str
    metadata: dict[str, Any] = {}


class MemoMemory(Value):
    """A memory's row.

    Attributes:
        sort_order: 0, 1, 2, … in the order they were written.
    """

    id: str
    memo_id: str
    title: str | None = None
    content: str | None = None
    media: Any = None
    style: Any = None
    sort_order: int
    metadata: dict[str, Any] = {}
    created_at: datetime
    updated_at: datetime
