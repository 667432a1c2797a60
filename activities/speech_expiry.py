"""Files and parts nobody has used for long, page by page; a killed tick is done again."""

from collections.abc import Awaitable, Callable, Sequence

from temporalio import activity

from activities.ports import Database, Files, Transaction
from contracts.audio import OwnedKey
from contracts.speech_job import Expired

PAGE = 200

Rows = Sequence[tuple[str, str]]
Gone = tuple[OwnedKey, ...]


class SpeechExpiry:
    """Each row goes first, out of everybody's sight, then its file.

    Args:
        keep_seconds: how long a part lives that nobody uses; files say it themselves.
        page: rows that are looked up at once.
    """

    def __init__(
        self, database: Database, files: Files, keep_seconds: float, *, page: int = PAGE
    ) -> None:
        self._database = database
        self._files = files
        self._keep_seconds = keep_seconds
        self._page = page

    @activity.defn(name="expire_speech")
    async def expire_speech(self) -> Expired:
        """Remove what nobody has used for so long; what is used meanwhile stays."""
        removed = Expired(files=await self._expire_files(), parts=await self._expire_parts())
        async with self._database.write() as tx:
            await tx.speech.cleaned()
        return removed

    async def _expire_files(self) -> int:
        async def look(tx: Transaction) -> Rows:
            return await tx.speech.expired(limit=self._page)

        async def remove(tx: Transaction, file_id: str, user_id: str) -> Gone:
            return await tx.speech.remove_expired(file_id, user_id)

        return await self._sweep(look, remove)

    async def _expire_parts(self) -> int:
        age = self._keep_seconds

        async def look(tx: Transaction) -> Rows:
            return await tx.speech.unused_parts(older_than_seconds=age, limit=self._page)

        async def remove(tx: Transaction, scope: str, part_hash: str) -> Gone:
            return await tx.speech.remove_unused(scope, part_hash, older_than_seconds=age)

        return await self._sweep(look, remove)

    async def _sweep(
        self,
        look: Callable[[Transaction], Awaitable[Rows]],
        remove: Callable[[Transaction, str, str], Awaitable[Gone]],
    ) -> int:
        """Page by page; returns how many files went."""
        removed = 0
        while True:
            async with self._database.read() as tx:
                page = await look(tx)
            for row in page:
                async with self._database.write() as tx:
                    gone = await remove(tx, *row)
                    for owned in gone:
                        await tx.media.loosen(owned.key, owned.user_id)
                removed += await remove_files(self._database, self._files, gone)
                activity.heartbeat(removed)
            if len(page) < self._page:
                return removed


async def remove_files(database: Database, files: Files, gone: Sequence[OwnedKey]) -> int:
    """Delete files no row stands on any more; whoever dies here leaves the rest to `reconcile`."""
    for owned in gone:
        await files.delete(owned.key)
        async with database.write() as tx:
            await tx.media.remove(owned.key, owned.user_id)
    return len(gone)
