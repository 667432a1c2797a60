"""Addresses recordings are fetched from, for as long as their jobs need them.

An address can be a signed secret. It stands in one row of its own, never in a job's request, and
goes when the file is stored or the job has ended; what then takes its place is the file's key.
"""

from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, select, update

from contracts.audio import MediaKind
from contracts.jobs import ENDS
from contracts.memo import MemoJob
from store.address_tables import media_addresses
from store.columns import Moment
from store.expressions import Insert, by_dialect, greatest, merged
from store.schema import jobs, media, memos
from store.session import Session

_OWN: Final = and_(
    media_addresses.c.job_id == bindparam("own_job"),
    media_addresses.c.user_id == bindparam("own_user"),
)


def _keep(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=[media_addresses.c.job_id],
        set_={name: insert.excluded[name] for name in ("address", "tries", "created_at")},
        where=media_addresses.c.user_id == insert.excluded.user_id,
    )


_KEEP: Final = by_dialect(media_addresses, _keep)
_FIND: Final = select(media_addresses.c.address).where(_OWN)
_IN_VAIN: Final = (
    update(media_addresses)
    .where(_OWN)
    .values(tries=media_addresses.c.tries + 1)
    .returning(media_addresses.c.tries)
)
_FORGET: Final = delete(media_addresses).where(_OWN)
_FORGET_ENDED: Final = delete(media_addresses).where(
    exists().where(jobs.c.id == media_addresses.c.job_id, jobs.c.state.in_(ENDS))
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


class Addresses:
    """The addresses, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def keep(self, job_id: str, user_id: str, address: str) -> None:
        """Remember where a job's recording is; an earlier address of the job gives way.

        Args:
            address: sealed by whoever has a key.
        """
        row = {
            "job_id": job_id,
            "user_id": user_id,
            "address": address,
            "tries": 0,
            "created_at": self._session.now,
        }
        await self._session.run(_KEEP[self._session.dialect], row)

    async def find(self, job_id: str, user_id: str) -> str | None:
        """The address as it was kept; none when it is not needed any more."""
        found: str | None = await self._session.value(_FIND, _own(job_id, user_id))
        return found

    async def in_vain(self, job_id: str, user_id: str) -> int:
        """Count a try that fetched nothing; returns how many there were, 0 without an address."""
        return int(await self._session.value(_IN_VAIN, _own(job_id, user_id)) or 0)

    async def forget(self, job_id: str, user_id: str) -> None:
        """Remove the address."""
        await self._session.run(_FORGET, _own(job_id, user_id))

    async def forget_ended(self) -> int:
        """Remove what jobs that have ended left, of every owner; returns how many."""
        return await self._session.run(_FORGET_ENDED)

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


def _own(job_id: str, user_id: str) -> dict[str, Any]:
    return {"own_job": job_id, "own_user": user_id}
