"""One row per stored file, written before the file is: what has no row is an orphan.

A file is *loose* until something that lasts stands on it: an upload until its memo is created, a
work file for ever. Loose files whose time has gone by are what ``abandoned`` lists; a file that is
being uploaded is not among them.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, func, or_, select, true, update

from contracts.audio import AudioFacts, MediaKind, OwnedKey
from contracts.jobs import ENDS
from store.expressions import Insert, by_dialect, unless_there
from store.schema import IS_LOOSE, jobs, media, memos
from store.session import Session
from store.upload_tables import UNFINISHED, uploads

_OWN: Final = and_(media.c.key == bindparam("own_key"), media.c.user_id == bindparam("own_user"))
_MEASURED: Final = (*AudioFacts.model_fields, "loose", "probed_at")


def _save_facts(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=[media.c.key],
        set_={name: insert.excluded[name] for name in _MEASURED},
        where=media.c.user_id == insert.excluded.user_id,
    )


_ADD: Final = unless_there(media)
_SAVE_FACTS: Final = by_dialect(media, _save_facts)
# Looked up row by row: there are few loose files and many jobs and memos. Null: not there at all.
_JOB_ENDED: Final = (
    select(jobs.c.state.in_(ENDS)).where(jobs.c.id == media.c.job_id).scalar_subquery()
)
_MEMO: Final = select(memos.c.id).where(memos.c.id == media.c.memo_id).scalar_subquery()
_REMOVE: Final = delete(media).where(_OWN)
_CLAIM: Final = update(media).where(_OWN).values(loose=False, memo_id=bindparam("new_memo"))
_STAND: Final = update(media).where(_OWN).values(loose=False, kind=MediaKind.SPEECH)
_LOOSEN: Final = update(media).where(_OWN).values(loose=True, kind=MediaKind.WORK)
_SECONDS: Final = select(media.c.seconds).where(_OWN)
_OF_JOB: Final = select(media.c.key).where(
    media.c.job_id == bindparam("own_job"),
    media.c.user_id == bindparam("own_user"),
    media.c.kind == bindparam("own_kind"),
)
_OTHER: Final = memos.alias("other")
_PRESENT: Final = memos.alias("present")
_OF_MEMO: Final = select(media.c.key).where(
    media.c.user_id == bindparam("own_user"),
    or_(
        media.c.memo_id == bindparam("own_memo"),
        media.c.key
        == select(_PRESENT.c.audio_path)
        .where(_PRESENT.c.id == bindparam("own_memo"), _PRESENT.c.user_id == bindparam("own_user"))
        .scalar_subquery(),
    ),
    ~exists().where(
        _OTHER.c.audio_path == media.c.key,
        _OTHER.c.id != bindparam("own_memo"),
        _OTHER.c.deleted_at.is_(None),
    ),
)


class Media:
    """What is known of stored files."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(
        self, key: str, user_id: str, *, kind: MediaKind, memo_id: str | None, job_id: str | None
    ) -> None:
        """Announce a file that is about to be stored; a second time changes nothing."""
        row = {
            "key": key,
            "user_id": user_id,
            "kind": kind,
            "memo_id": memo_id,
            "job_id": job_id,
            "loose": True,
            "created_at": self._session.now,
        }
        await self._session.run(_ADD[self._session.dialect], row)

    async def claim(self, key: str, user_id: str, memo_id: str) -> None:
        """Say that a memo stands on the file; a file that is still on its way has no row yet."""
        values = {**_own(key, user_id), "new_memo": memo_id}
        await self._session.run(_CLAIM, values)

    async def stand(self, key: str, user_id: str) -> None:
        """Say that a text that is read aloud stands on the file."""
        await self._session.run(_STAND, _own(key, user_id))

    async def loosen(self, key: str, user_id: str) -> None:
        """Say that nothing stands on it any more: what is not deleted now, the sweep deletes."""
        await self._session.run(_LOOSEN, _own(key, user_id))

    async def remove(self, key: str, user_id: str) -> None:
        """Forget a file that has been deleted."""
        await self._session.run(_REMOVE, _own(key, user_id))

    async def of_job(self, job_id: str, user_id: str, kind: MediaKind) -> Sequence[str]:
        """Keys of the files of one kind that belong to a job."""
        values = {"own_job": job_id, "own_user": user_id, "own_kind": kind}
        return [row.key for row in await self._session.rows(_OF_JOB, values)]

    async def of_memo(self, memo_id: str, user_id: str) -> Sequence[str]:
        """Keys of the files of a memo that no other memo uses."""
        values = {"own_memo": memo_id, "own_user": user_id}
        return [row.key for row in await self._session.rows(_OF_MEMO, values)]

    async def abandoned(self, *, older_than_seconds: float, limit: int) -> Sequence[OwnedKey]:
        """Work files of ended jobs and uploads that never became a memo, of every owner."""
        before = self._session.before(older_than_seconds)
        on_its_way = exists().where(
            uploads.c.key == media.c.key, or_(UNFINISHED, uploads.c.finished_at >= before)
        )
        statement = (
            select(media.c.key, media.c.user_id)
            .where(
                IS_LOOSE,
                media.c.created_at < before,
                ~on_its_way,
                or_(
                    and_(media.c.kind == MediaKind.WORK, func.coalesce(_JOB_ENDED, true())),
                    and_(media.c.kind == MediaKind.UPLOAD, _MEMO.is_(None)),
                ),
            )
            .order_by(media.c.created_at, media.c.key)
            .limit(limit)
        )
        return [
            OwnedKey.model_validate(row._asdict()) for row in await self._session.rows(statement)
        ]

    async def seconds(self, key: str, user_id: str) -> float | None:
        """Length of a recording as the probe measured it; none: it has not."""
        found: float | None = await self._session.value(_SECONDS, _own(key, user_id))
        return found

    async def save_facts(self, key: str, user_id: str, memo_id: str, facts: AudioFacts) -> None:
        """Record what the probe measured."""
        row = {
            **facts.model_dump(),
            "loose": False,
            "probed_at": self._session.now,
            "key": key,
            "user_id": user_id,
            "kind": MediaKind.UPLOAD,
            "memo_id": memo_id,
            "created_at": self._session.now,
        }
        await self._session.run(_SAVE_FACTS[self._session.dialect], row)


def _own(key: str, user_id: str) -> dict[str, Any]:
    return {"own_key": key, "own_user": user_id}
