"""Clearing up after uploads whose client never came back."""

from contextlib import suppress

from temporalio import activity

from activities.ports import Database, Files
from activities.upload_ports import ResumableFiles
from contracts.errors import Locked
from contracts.upload_sessions import UploadSession

PAGE = 200


class UploadSweep:
    """Ends expired uploads; each step is safe to do twice.

    Args:
        resumable: none when no bytes come through us.
    """

    def __init__(
        self, database: Database, files: Files, resumable: ResumableFiles | None = None
    ) -> None:
        self._database = database
        self._files = files
        self._resumable = resumable

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what is left of uploads that are over; returns of how many there were bytes.

        Args:
            older_than_seconds: how long they must have been over, or have got no byte.
        """
        return await self._expired(older_than_seconds) + await self._unknown(older_than_seconds)

    async def _expired(self, age: float) -> int:
        removed, passing = 0, set[str]()
        while True:
            async with self._database.read() as tx:
                page = await tx.uploads.expired(older_than_seconds=age, passing=passing, limit=PAGE)
            for upload in page:
                try:
                    removed += await self._end(upload)
                except Locked:
                    # Its last request is still open: the next tick finds it again.
                    passing.add(upload.id)
                activity.heartbeat(removed)
            if len(page) < PAGE:
                return removed

    async def _end(self, upload: UploadSession) -> bool:
        """Bytes first, then the rows. A file that is whole is left to its memo, or to be swept."""
        removed = self._resumable is not None and await self._resumable.discard(upload.id)
        came = upload.finished or await self._files.find(upload.key) is not None
        async with self._database.write() as tx:
            if not came:
                await tx.media.remove(upload.key, upload.user_id)
            await tx.uploads.remove(upload.id, upload.user_id)
        return removed

    async def _unknown(self, age: float) -> int:
        """Bytes of uploads that were ended while a request for them was on its way."""
        if self._resumable is None:
            return 0
        removed = 0
        async for page in self._resumable.begun(age):
            async with self._database.read() as tx:
                known = await tx.uploads.known(page)
            for upload_id in set(page) - known:
                with suppress(Locked):
                    removed += await self._resumable.discard(upload_id)
            activity.heartbeat(removed)
        return removed
