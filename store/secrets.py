"""Secrets that users gave for one job: sealed, and here for as long as the job needs them.

A secret stands in one row of its own, never in a job's request: that is what workflows are started
with. Whoever ends the job forgets it in the same transaction.
"""

from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, select

from contracts.jobs import ENDS
from store.expressions import Insert, by_dialect
from store.schema import jobs
from store.secret_tables import job_secrets
from store.session import Session

_OWN: Final = and_(
    job_secrets.c.job_id == bindparam("own_job"), job_secrets.c.user_id == bindparam("own_user")
)


def _keep(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=[job_secrets.c.job_id],
        set_={name: insert.excluded[name] for name in ("sealed", "created_at")},
        where=job_secrets.c.user_id == insert.excluded.user_id,
    )


_KEEP: Final = by_dialect(job_secrets, _keep)
_FIND: Final = select(job_secrets.c.sealed).where(_OWN)
_FORGET: Final = delete(job_secrets).where(_OWN)
_FORGET_ENDED: Final = delete(job_secrets).where(
    exists().where(jobs.c.id == job_secrets.c.job_id, jobs.c.state.in_(ENDS))
)


class Secrets:
    """The secrets, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def keep(self, job_id: str, user_id: str, sealed: str) -> None:
        """Keep a job's secret; one of an earlier round gives way.

        Args:
            sealed: by ``runtime.seals``, for this job.
        """
        row = {
            "job_id": job_id,
            "user_id": user_id,
            "sealed": sealed,
            "created_at": self._session.now,
        }
        await self._session.run(_KEEP[self._session.dialect], row)

    async def find(self, job_id: str, user_id: str) -> str | None:
        """The secret, sealed; none when the job has ended, or never had one."""
        found: str | None = await self._session.value(_FIND, _own(job_id, user_id))
        return found

    async def forget(self, job_id: str, user_id: str) -> None:
        """Remove it."""
        await self._session.run(_FORGET, _own(job_id, user_id))

    async def forget_ended(self) -> int:
        """Remove what jobs that have ended left, of every owner; returns how many."""
        return await self._session.run(_FORGET_ENDED)


def _own(job_id: str, user_id: str) -> dict[str, Any]:
    return {"own_job": job_id, "own_user": user_id}
