"""Uploads that are under way: whose they are, and how much of each is kept for certain.

A row never says more than what is on the disk: bytes are synced first, then counted here. The count
moves by compare-and-set, so it is right whichever process writes.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, and_, bindparam, delete, func, insert, or_, select, text, update

from contracts.upload_sessions import UploadSession
from store.columns import Moment
from store.schema import media
from store.session import Session
from store.upload_tables import UNFINISHED, uploads

_OWN: Final = and_(
    uploads.c.id == bindparam("own_id"),
    uploads.c.user_id == bindparam("own_user"),
)
_FIND: Final = select(uploads).where(_OWN, uploads.c.expires_at > bindparam("now", type_=Moment))
_REMOVE: Final = delete(uploads).where(_OWN)
_AS_EXPECTED: Final = and_(_OWN, UNFINISHED, uploads.c.received == bindparam("expected"))
_ADVANCE: Final = (
    update(uploads)
    .where(_AS_EXPECTED)
    .values(
        received=bindparam("now_received"),
        sniffed=bindparam("now_sniffed"),
        updated_at=bindparam("now", type_=Moment),
    )
)
_FINISH: Final = (
    update(uploads)
    .where(_AS_EXPECTED)
    .values(
        received=uploads.c.length,
        sniffed=True,
        updated_at=bindparam("now", type_=Moment),
        finished_at=bindparam("now", type_=Moment),
    )
)
_SET_WANTED: Final = update(uploads).where(_OWN).values(wanted=bindparam("now_wanted"))
_EXTEND: Final = update(uploads).where(_OWN).values(expires_at=bindparam("until", type_=Moment))
_OPEN: Final = (
    select(
        func.count().label("number"),
        func.min(uploads.c.expires_at, type_=Moment).label("first_expires_at"),
    )
    .select_from(uploads.join(media, media.c.key == uploads.c.key, isouter=True))
    .where(
        UNFINISHED,
        uploads.c.user_id == bindparam("own_user"),
        uploads.c.expires_at > bindparam("now", type_=Moment),
        # Storage tells nobody when a signed upload has come; a memo over it does.
        or_(~uploads.c.signed, media.c.loose),
    )
)
_MOVED_AT: Final = select(uploads.c.updated_at).where(
    UNFINISHED,
    ~uploads.c.signed,
    uploads.c.key == bindparam("own_key"),
    uploads.c.user_id == bindparam("own_user"),
    uploads.c.expires_at > bindparam("now", type_=Moment),
)
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtext('uploads' || :own_user))")


class OpenUploads(NamedTuple):
    """How many uploads a user has under way, and when the first of them expires."""

    number: int
    first_expires_at: datetime | None


class Uploads:
    """The uploads of each user, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def open(self, user_id: str) -> OpenUploads:
        """Uploads that hold a place; nobody adds one of this user's until the transaction ends."""
        if self._session.dialect == "postgresql":
            await self._session.rows(_ONE_AT_A_TIME, {"own_user": user_id})
        values = {"own_user": user_id, "now": self._session.now}
        [row] = await self._session.rows(_OPEN, values)
        return OpenUploads(row.number, row.first_expires_at)

    async def add(self, upload: UploadSession) -> None:
        """Remember an upload of which nothing has come yet."""
        now = self._session.now
        row = upload.model_dump(exclude={"finished"})
        await self._session.run(insert(uploads), row | {"created_at": now, "updated_at": now})

    async def find(self, upload_id: str, user_id: str) -> UploadSession | None:
        """The user's upload; none when it is absent, somebody else's or expired."""
        values = {**_own(upload_id, user_id), "now": self._session.now}
        row = await self._session.row(_FIND, values)
        return None if row is None else _session(row)

    async def advance(
        self, upload: UploadSession, received: int, *, sniffed: bool
    ) -> UploadSession | None:
        """Count what is on the disk now; none when the row is not as the caller knows it.

        Args:
            upload: as the caller knows it.
            received: bytes that are on the disk, synced.
        """
        changes = {"now_received": received, "now_sniffed": sniffed}
        if not await self._session.run(_ADVANCE, self._expected(upload) | changes):
            return None
        return upload.model_copy(update={"received": received, "sniffed": sniffed})

    async def finish(self, upload: UploadSession) -> UploadSession | None:
        """Say that the file is at its key; none when the row is not as the caller knows it."""
        if not await self._session.run(_FINISH, self._expected(upload)):
            return None
        whole = {"received": upload.length, "sniffed": True, "finished": True}
        return upload.model_copy(update=whole)

    async def want(self, upload: UploadSession, *, wanted: bool = True) -> None:
        """Ask whoever writes the upload to let go of it when nothing comes (or take that back)."""
        values = {**_own(upload.id, upload.user_id), "now_wanted": wanted}
        await self._session.run(_SET_WANTED, values)

    async def extend(self, upload: UploadSession, until: datetime) -> None:
        """Let an upload live longer."""
        values = {**_own(upload.id, upload.user_id), "until": until}
        await self._session.run(_EXTEND, values)

    async def remove(self, upload_id: str, user_id: str) -> None:
        """Forget an upload whose bytes are gone, or at their key."""
        await self._session.run(_REMOVE, _own(upload_id, user_id))

    async def quiet_seconds(self, key: str, user_id: str) -> float | None:
        """Seconds since bytes came for a file that is under way; none when none is."""
        values = {"own_key": key, "own_user": user_id, "now": self._session.now}
        moved_at = await self._session.value(_MOVED_AT, values)
        return None if moved_at is None else (self._session.now - moved_at).total_seconds()

    async def expired(
        self, *, older_than_seconds: float, passing: Collection[str], limit: int
    ) -> Sequence[UploadSession]:
        """Uploads of every owner whose time was over so long ago, the oldest first.

        Args:
            passing: ids of those that could not be ended just now.
        """
        before = self._session.before(older_than_seconds)
        statement = (
            select(uploads)
            .where(uploads.c.expires_at < before, uploads.c.id.not_in(passing))
            .order_by(uploads.c.expires_at)
            .limit(limit)
        )
        return [_session(row) for row in await self._session.rows(statement)]

    async def known(self, upload_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that are uploads, of every owner."""
        statement = select(uploads.c.id).where(uploads.c.id.in_(upload_ids))
        return frozenset(row.id for row in await self._session.rows(statement))

    def _expected(self, upload: UploadSession) -> dict[str, Any]:
        own = _own(upload.id, upload.user_id)
        return {**own, "expected": upload.received, "now": self._session.now}


def _own(upload_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": upload_id, "own_user": user_id}


def _session(row: Row[Any]) -> UploadSession:
    return UploadSession.model_validate({**row._asdict(), "finished": row.finished_at is not None})
