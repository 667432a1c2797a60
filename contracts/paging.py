"""Where a page ended, in a form clients keep and do not read."""

import base64
import binascii
from datetime import datetime
from typing import Self

from contracts.errors import InvalidInput
from contracts.values import Value


class Cursor(Value):
    """The last row of a page, by what pages are ordered by: newest first, then by id.

    >>> from datetime import UTC
    >>> cursor = Cursor(created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), id="a-1")
    >>> Cursor.decode(cursor.encode()) == cursor
    True
    """

    created_at: datetime
    id: str

    def encode(self) -> str:
        """The opaque text of it."""
        text = f"{self.created_at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read it back.

        Raises:
            InvalidInput: ``validation_failed``, it is none of ours.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            moment, _, row = base64.urlsafe_b64decode(padded).decode().partition(" ")
            created_at = datetime.fromisoformat(moment)
            # A row's id is stored text: what cannot be stored was never in a cursor of ours.
            if created_at.tzinfo is None or not row.isprintable() or not row:
                raise InvalidInput("Invalid cursor")
        except (UnicodeError, ValueError, binascii.Error) as error:
            raise InvalidInput("Invalid cursor") from error
        return cls(created_at=created_at, id=row)
