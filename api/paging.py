"""Limit, offset and cursor of lists."""

from typing import Annotated, Final

from fastapi import Query

from contracts.errors import InvalidInput
from contracts.ids import is_uuid
from contracts.paging import Cursor

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
MAX_OFFSET: Final = 1_000_000

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page.")]
Offset = Annotated[
    int,
    Query(ge=0, le=MAX_OFFSET, description="Rows to leave out. Slow on late pages: use `cursor`."),
]
CursorText = Annotated[
    str | None,
    Query(max_length=500, description="`nextCursor` of the page before; `offset` is ignored then."),
]


def place_of(cursor: str | None) -> Cursor | None:
    """Where the page before ended, when there was one.

    Raises:
        InvalidInput: ``validation_failed``, it is no cursor of ours.
    """
    if cursor is None:
        return None
    place = Cursor.decode(cursor)
    if not is_uuid(place.id):
        raise InvalidInput("Invalid cursor")
    return place
