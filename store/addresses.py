"""Addresses recordings are fetched from, for as long as their jobs need them.

An address can be a signed secret. It stands in one row of its own, never in a job's request, and
goes when the file is stored or the job has ended; what then takes its place is the file's key.
"""

from typing import Any, ClassVar, Final

from sqlalchemy import bindparam, update

from contracts.audio import MediaKind
from contracts.memo import MemoJob
from store.address_tables import media_addresses
from store.columns import Moment
from store.expressions import greatest, merged
from store.job_texts import JobTexts, Statements, own_job, statements_of
from store.schema import jobs, media, memos

_TEXTS: Final = statements_of(media_addresses, "address")
_IN_VAIN: Final = (
    update(media_addresses)
    .where(_TEXTS.own)
    .values(tries=media_addresses.c.tries + 1)
    .returning(media_addresses.c.tries)
)
_BECOMES_RECORDING: Final = (
    update(media)
    .where(media.c.key == bindparam("own_key"), media.c.user_id == bindparam("own_user"))
    .values(
        kind=MediaKind.UPLOAD,
        loose=False,
        job_id=None,
        media_type=bindparam("new_type"),
        size=bindparam("new_size"),
    )
)


class Addresses(JobTexts):
    """The addresses, inside a transaction."""

    statements: ClassVar[Statements] = _TEXTS

    async def keep(self, job_id: str, user_id: str, address: str) -> None:
        """Remember where a job's recording is; an earlier address of the job gives way.

        Args:
            address: sealed by whoever has a key.
        """
        await self._keep(job_id, user_id, address=address, tries=0)

    async def in_vain(self, job_id: str, user_id: str) -> int:
        """Count a try that fetched nothing; returns how many there were, 0 without an address."""
        return int(await self._session.value(_IN_VAIN, own_job(job_id, user_id)) or 0)

    async def fetched(self, job: MemoJob, key: str, *, media_type: str, size: int) -> None:
        """Put the stored file where the address was: the memo and its job stand on it from now on.

        Args:
            key: of the file, announced as a work file of the job.
            size: bytes.
        """
        file = {"own_key": key, "own_user": job.user_id, "new_type": media_type, "new_size": size}
        await self._session.run(_BECOMES_RECORDING, file)
        await self._session.run(*self._on_memo(job, key, media_type))
        request = merged(jobs.c.request, {"audio_path": key, "fetch": False}, self._session.dialect)
        statement = update(jobs).where(jobs.c.id == job.job_id, jobs.c.user_id == job.user_id)
        await self._session.run(statement.values(request=request))
        await self.forget(job.job_id, job.user_id)

    def _on_memo(self, job: MemoJob, key: str, media_type: str) -> tuple[Any, dict[str, Any]]:
        source = {"audio_path": key, "media_type": media_type}
        statement = (
            update(memos)
            .where(memos.c.id == job.memo_id, memos.c.user_id == job.user_id)
            .values(
                audio_path=key,
                source=merged(memos.c.source, source, self._session.dialect),
                updated_at=greatest(memos.c.updated_at, bindparam("now", type_=Moment)),
            )
        )
        return statement, {"now": self._session.now}
