"""What is needed to clear up after uploads, as Protocols; ``store/`` implements them."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from contracts.upload_sessions import UploadSession


class Uploads(Protocol):
    """The rows of uploads that are under way, inside a transaction."""

    async def quiet_seconds(self, key: str, user_id: str) -> float | None:
        """Seconds since bytes came for a file that is under way; none when none is."""

    async def expired(
        self, *, older_than_seconds: float, passing: Collection[str], limit: int
    ) -> Sequence[UploadSession]:
        """Uploads of every owner whose time was over so long ago, but those passed by."""

    async def known(self, upload_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that are uploads, of every owner."""

    async def remove(self, upload_id: str, user_id: str) -> None:
        """Forget an upload."""


class ResumableFiles(Protocol):
    """The bytes of uploads that come in pieces."""

    async def discard(self, upload_id: str) -> bool:
        """Remove them; false when there are none. Raises Locked, Unavailable."""

    def begun(self, older_than_seconds: float) -> AsyncIterator[Sequence[str]]:
        """Ids of uploads that have some, and got none for so long, a page at a time."""
