"""Jobs at vendors: whose they are, and which of their events have woken that job."""

from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, func, select

from contracts.batch import JobOwner
from store.expressions import unless_there
from store.outside_tables import vendor_events, vendor_jobs
from store.session import Session

MOST_EVENTS: Final = 16
"""Of one vendor's job: whatever is sent, its history at Temporal stays short."""

_JOB: Final = and_(
    vendor_jobs.c.vendor == bindparam("own_vendor"), vendor_jobs.c.vendor_id == bindparam("own_id")
)
_EVENT: Final = and_(
    vendor_events.c.vendor == bindparam("own_vendor"),
    vendor_events.c.vendor_id == bindparam("own_id"),
)
_KEEP: Final = unless_there(vendor_jobs)
_OWNER: Final = select(vendor_jobs.c.job_id, vendor_jobs.c.user_id).where(_JOB)
_FORGET: Final = delete(vendor_jobs).where(_JOB)
_FIRST: Final = unless_there(vendor_events)
_COUNT: Final = select(func.count()).where(_EVENT)
_FORGET_EVENTS: Final = delete(vendor_events).where(_EVENT)
_FORGET_EVENT: Final = _FORGET_EVENTS.where(vendor_events.c.name == bindparam("own_name"))


class VendorJobs:
    """Jobs at vendors, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def keep(self, vendor: str, vendor_id: str, owner: JobOwner) -> None:
        """Remember whose it is; a second time changes nothing."""
        row = {
            "vendor": vendor,
            "vendor_id": vendor_id,
            "job_id": owner.job_id,
            "user_id": owner.user_id,
            "created_at": self._session.now,
        }
        await self._session.run(_KEEP[self._session.dialect], row)

    async def owner(self, vendor: str, vendor_id: str) -> JobOwner | None:
        """The job it was made for; none: it is not known, or gone."""
        row = await self._session.row(_OWNER, _own(vendor, vendor_id))
        return None if row is None else JobOwner(job_id=row.job_id, user_id=row.user_id)

    async def first_event(self, vendor: str, vendor_id: str, name: str) -> bool:
        """Remember an event; false when it came before, or too many have come."""
        own = _own(vendor, vendor_id)
        if await self._session.value(_COUNT, own) >= MOST_EVENTS:
            return False
        row = {
            "vendor": vendor,
            "vendor_id": vendor_id,
            "name": name,
            "created_at": self._session.now,
        }
        return bool(await self._session.run(_FIRST[self._session.dialect], row))

    async def forget_event(self, vendor: str, vendor_id: str, name: str) -> None:
        """It woke nobody: let it be the first again."""
        await self._session.run(_FORGET_EVENT, {**_own(vendor, vendor_id), "own_name": name})

    async def forget(self, vendor: str, vendor_id: str) -> None:
        """It is deleted at the vendor."""
        own = _own(vendor, vendor_id)
        await self._session.run(_FORGET_EVENTS, own)
        await self._session.run(_FORGET, own)


def _own(vendor: str, vendor_id: str) -> dict[str, Any]:
    return {"own_vendor": vendor, "own_id": vendor_id}
