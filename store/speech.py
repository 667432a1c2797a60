"""Texts that are read aloud: their files, and the parts that were bought.

A row that is removed takes its file out of everybody's sight at once. The file itself becomes loose
in the same transaction (`Media.loosen`), so whoever dies before deleting it leaves it to the sweep.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, delete, func, literal, select, tuple_, update

from contracts.audio import OwnedKey
from contracts.paging import Cursor
from contracts.speech import SpeechOrder, Timing
from contracts.speech_job import (
    USED_LATELY_SECONDS,
    KeptPart,
    SpeechFile,
    SpeechReady,
    SpeechState,
    SpeechUsage,
)
from store.columns import Id, Moment
from store.expressions import unless_there
from store.session import Session
from store.speech_tables import EXPIRY, speech_cleanups, speech_files, speech_parts

_FILE: Final = speech_files.c
_PART: Final = speech_parts.c
_OWN: Final = and_(_FILE.id == bindparam("own_id"), _FILE.user_id == bindparam("own_user"))
_COLUMNS: Final = [column for column in speech_files.columns if column.name != "timings"]

_ADD: Final = unless_there(speech_files)
_FIND: Final = select(*_COLUMNS).where(_OWN)
_FIND_CONTENT: Final = select(*_COLUMNS).where(
    _FILE.user_id == bindparam("own_user"), _FILE.content_hash == bindparam("own_hash")
)
_TIMINGS: Final = select(_FILE.timings).where(_OWN)
_USE: Final = (
    update(speech_files)
    .where(_OWN, _FILE.used_at < bindparam("before", type_=Moment))
    .values(used_at=bindparam("now", type_=Moment), expires_at=bindparam("until", type_=Moment))
)
_AGAIN: Final = (
    update(speech_files)
    .where(_OWN, _FILE.state == SpeechState.FAILED)
    .values(
        state=SpeechState.GENERATING,
        error_code=None,
        error_message=None,
        used_at=bindparam("now", type_=Moment),
        expires_at=bindparam("until", type_=Moment),
    )
)
_READY: Final = (
    update(speech_files)
    .where(_OWN, _FILE.state == SpeechState.GENERATING)
    .values(
        state=SpeechState.READY,
        key=bindparam("new_key"),
        size=bindparam("new_size"),
        seconds=bindparam("new_seconds"),
        sha256=bindparam("new_sha256"),
        tier=bindparam("new_tier"),
        timings=bindparam("new_timings"),
        used_at=bindparam("now", type_=Moment),
        expires_at=bindparam("until", type_=Moment),
    )
)
_FAILED: Final = (
    update(speech_files)
    .where(_OWN, _FILE.state == SpeechState.GENERATING)
    .values(
        state=SpeechState.FAILED,
        error_code=bindparam("new_code"),
        error_message=bindparam("new_message"),
    )
)
_REMOVE: Final = delete(speech_files).where(_OWN).returning(_FILE.key)
_REMOVE_EXPIRED: Final = (
    delete(speech_files)
    .where(_OWN, _FILE.expires_at < bindparam("now", type_=Moment))
    .returning(_FILE.key)
)
_CLEANED: Final = speech_cleanups.c.name == EXPIRY
_CLEAN: Final = unless_there(speech_cleanups)
_CLEAN_AGAIN: Final = (
    update(speech_cleanups).where(_CLEANED).values(at=bindparam("now", type_=Moment))
)
_USAGE: Final = select(
    func.count().label("files"),
    func.coalesce(func.sum(_FILE.size), 0).label("bytes"),
    select(speech_cleanups.c.at).where(_CLEANED).scalar_subquery().label("cleaned_at"),
).where(_FILE.user_id == bindparam("own_user"), _FILE.state == SpeechState.READY)
_SINCE: Final = select(func.count()).where(
    _FILE.user_id == bindparam("own_user"), _FILE.created_at >= bindparam("since", type_=Moment)
)

_OWN_PART: Final = and_(_PART.scope == bindparam("own_scope"), _PART.hash == bindparam("own_hash"))
_USE_PART: Final = (
    update(speech_parts)
    .where(_OWN_PART)
    .values(used_at=bindparam("now", type_=Moment), file_id=bindparam("new_file"))
    .returning(_PART.hash, _PART.key, _PART.samples, _PART.speed, _PART.timings)
)
_USE_PARTS: Final = (
    update(speech_parts)
    .where(
        _PART.scope == bindparam("own_scope"), _PART.hash.in_(bindparam("hashes", expanding=True))
    )
    .values(used_at=bindparam("now", type_=Moment), file_id=bindparam("new_file"))
    .returning(_PART.hash)
)
_KEEP_PART: Final = unless_there(speech_parts)
_PARTS: Final = select(_PART.hash, _PART.key, _PART.samples, _PART.speed, _PART.timings).where(
    _PART.scope == bindparam("own_scope"), _PART.hash.in_(bindparam("hashes", expanding=True))
)
_REMOVE_PARTS: Final = (
    delete(speech_parts)
    .where(_PART.file_id == bindparam("own_id"), _PART.scope == bindparam("own_user"))
    .returning(_PART.key)
)
_REMOVE_LOST: Final = (
    delete(speech_parts)
    .where(_OWN_PART, _PART.key == bindparam("own_key"))
    .returning(_PART.key, _PART.user_id)
)
_REMOVE_UNUSED: Final = (
    delete(speech_parts)
    .where(_OWN_PART, _PART.used_at < bindparam("before", type_=Moment))
    .returning(_PART.key, _PART.user_id)
)


class Speech:
    """Files and parts, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(
        self, file_id: str, user_id: str, job_id: str, order: SpeechOrder, *, keep_seconds: float
    ) -> SpeechFile:
        """Write a file that is to be made; the one that is there when another was quicker."""
        now = self._session.now
        row = {
            **order.model_dump(mode="json"),
            "id": file_id,
            "user_id": user_id,
            "job_id": job_id,
            "content_hash": order.content_hash,
            "state": SpeechState.GENERATING,
            "created_at": now,
            "used_at": now,
            "expires_at": now + timedelta(seconds=keep_seconds),
        }
        await self._session.run(_ADD[self._session.dialect], row)
        found = await self.of_content(user_id, order.content_hash)
        if found is None:
            raise RuntimeError("A file that was written is not there")
        return found

    async def find(self, file_id: str, user_id: str) -> SpeechFile | None:
        """A file of the user's own."""
        return _file(await self._session.row(_FIND, _own(file_id, user_id)))

    async def of_content(self, user_id: str, content_hash: str) -> SpeechFile | None:
        """The user's file of that content, however far it is."""
        own = {"own_user": user_id, "own_hash": content_hash}
        return _file(await self._session.row(_FIND_CONTENT, own))

    async def page(
        self, user_id: str, *, limit: int, after: Cursor | None = None
    ) -> Sequence[SpeechFile]:
        """Files of the user, newest first; one more than ``limit`` when there are more."""
        statement = (
            select(*_COLUMNS)
            .where(_FILE.user_id == user_id)
            .order_by(_FILE.created_at.desc(), _FILE.id.desc())
            .limit(limit + 1)
        )
        if after is not None:
            place = tuple_(_FILE.created_at, _FILE.id)
            statement = statement.where(
                place < tuple_(literal(after.created_at, Moment), literal(after.id, Id))
            )
        rows = await self._session.rows(statement)
        return [file for row in rows if (file := _file(row)) is not None]

    async def timings(self, file_id: str, user_id: str) -> tuple[Timing, ...]:
        """When what is said, in order; empty where the engine did not tell."""
        told = await self._session.value(_TIMINGS, _own(file_id, user_id))
        return tuple(Timing.model_validate(each) for each in told or ())

    async def use(self, file_id: str, user_id: str, *, keep_seconds: float) -> None:
        """Let it live on: it is wanted."""
        now = self._session.now
        values = {
            **_own(file_id, user_id),
            "now": now,
            "before": now - timedelta(seconds=USED_LATELY_SECONDS),
            "until": now + timedelta(seconds=keep_seconds),
        }
        await self._session.run(_USE, values)

    async def again(self, file_id: str, user_id: str, *, keep_seconds: float) -> bool:
        """Have a failed one made once more; false when it has not failed."""
        now = self._session.now
        until = now + timedelta(seconds=keep_seconds)
        values = {**_own(file_id, user_id), "now": now, "until": until}
        return bool(await self._session.run(_AGAIN, values))

    async def ready(
        self,
        file_id: str,
        user_id: str,
        made: SpeechReady,
        *,
        key: str,
        sha256: str | None,
        tier: str,
        timings: Sequence[Timing],
        keep_seconds: float,
    ) -> bool:
        """Say that the file is there; false when nobody waits for it any more."""
        now = self._session.now
        values = {
            **_own(file_id, user_id),
            "new_key": key,
            "new_size": made.size,
            "new_seconds": made.seconds,
            "new_sha256": sha256,
            "new_tier": tier,
            "new_timings": [each.model_dump(mode="json") for each in timings],
            "now": now,
            "until": now + timedelta(seconds=keep_seconds),
        }
        return bool(await self._session.run(_READY, values))

    async def failed(self, file_id: str, user_id: str, code: str, message: str) -> bool:
        """Say that it could not be made; false when it was made, or is gone."""
        values = {**_own(file_id, user_id), "new_code": code, "new_message": message}
        return bool(await self._session.run(_FAILED, values))

    async def remove(self, file_id: str, user_id: str) -> tuple[OwnedKey, ...] | None:
        """Take a file and its parts out of sight; returns what was stored, none: no such file.

        Parts that serve everybody stay until nobody has used them for long.
        """
        own = _own(file_id, user_id)
        row = await self._session.row(_REMOVE, own)
        if row is None:
            return None
        parts = await self.drop_parts(file_id, user_id)
        return parts if row.key is None else (OwnedKey(key=row.key, user_id=user_id), *parts)

    async def drop_parts(self, file_id: str, user_id: str) -> tuple[OwnedKey, ...]:
        """Take the parts of a file out of sight; returns what was stored."""
        rows = await self._session.rows(_REMOVE_PARTS, _own(file_id, user_id))
        return tuple(OwnedKey(key=row.key, user_id=user_id) for row in rows)

    async def expired(self, *, limit: int) -> Sequence[tuple[str, str]]:
        """Ids and owners of files whose time is over, of everybody."""
        statement = (
            select(_FILE.id, _FILE.user_id)
            .where(_FILE.expires_at < self._session.now, _FILE.state != SpeechState.GENERATING)
            .order_by(_FILE.expires_at, _FILE.id)
            .limit(limit)
        )
        return [(row.id, row.user_id) for row in await self._session.rows(statement)]

    async def remove_expired(self, file_id: str, user_id: str) -> tuple[OwnedKey, ...]:
        """Remove it, unless somebody has used it since."""
        own = {**_own(file_id, user_id), "now": self._session.now}
        row = await self._session.row(_REMOVE_EXPIRED, own)
        if row is None or row.key is None:
            return ()
        return (OwnedKey(key=row.key, user_id=user_id),)

    async def usage(self, user_id: str, since: datetime) -> SpeechUsage:
        """What the user has stored, and how many were asked for since then."""
        row = await self._session.row(_USAGE, {"own_user": user_id})
        today = await self._session.value(_SINCE, {"own_user": user_id, "since": since})
        if row is None:
            return SpeechUsage(files=0, bytes=0, today=int(today))
        return SpeechUsage(
            files=row.files, bytes=int(row.bytes), today=int(today), cleaned_at=row.cleaned_at
        )

    async def cleaned(self) -> None:
        """Say that what nobody has used for long was removed just now."""
        now = self._session.now
        if not await self._session.run(_CLEAN_AGAIN, {"now": now}):
            await self._session.run(_CLEAN[self._session.dialect], {"name": EXPIRY, "at": now})

    async def use_part(self, scope: str, part_hash: str, file_id: str) -> KeptPart | None:
        """A part that was spoken before, for one more file."""
        values = {
            "own_scope": scope,
            "own_hash": part_hash,
            "new_file": file_id,
            "now": self._session.now,
        }
        row = await self._session.row(_USE_PART, values)
        return None if row is None else KeptPart.model_validate(row._asdict())

    async def use_parts(self, scope: str, hashes: Sequence[str], file_id: str) -> frozenset[str]:
        """Which of them were spoken before; all of those serve one more file."""
        values = {
            "own_scope": scope,
            "hashes": list(dict.fromkeys(hashes)),
            "new_file": file_id,
            "now": self._session.now,
        }
        return frozenset(row.hash for row in await self._session.rows(_USE_PARTS, values))

    async def keep_part(self, scope: str, user_id: str, file_id: str, part: KeptPart) -> bool:
        """Keep a part; false when an equal one is there, which stays."""
        row = {
            **part.model_dump(mode="json"),
            "scope": scope,
            "user_id": user_id,
            "file_id": file_id,
            "used_at": self._session.now,
        }
        return bool(await self._session.run(_KEEP_PART[self._session.dialect], row))

    async def parts(self, scope: str, hashes: Sequence[str]) -> dict[str, KeptPart]:
        """Parts by their hash; those that are not there are missing."""
        values = {"own_scope": scope, "hashes": list(dict.fromkeys(hashes))}
        rows = await self._session.rows(_PARTS, values)
        return {row.hash: KeptPart.model_validate(row._asdict()) for row in rows}

    async def unused_parts(
        self, *, older_than_seconds: float, limit: int
    ) -> Sequence[tuple[str, str]]:
        """Scopes and hashes of parts nobody used for so long."""
        statement = (
            select(_PART.scope, _PART.hash)
            .where(_PART.used_at < self._session.before(older_than_seconds))
            .order_by(_PART.used_at, _PART.scope, _PART.hash)
            .limit(limit)
        )
        return [(row.scope, row.hash) for row in await self._session.rows(statement)]

    async def remove_unused(
        self, scope: str, part_hash: str, *, older_than_seconds: float
    ) -> tuple[OwnedKey, ...]:
        """Remove a part, unless somebody has used it since."""
        values = {
            "own_scope": scope,
            "own_hash": part_hash,
            "before": self._session.before(older_than_seconds),
        }
        row = await self._session.row(_REMOVE_UNUSED, values)
        return () if row is None else (OwnedKey(key=row.key, user_id=row.user_id),)

    async def remove_lost(self, scope: str, part: KeptPart) -> tuple[OwnedKey, ...]:
        """Remove a part whose samples are not there, unless it was bought anew since."""
        values = {"own_scope": scope, "own_hash": part.hash, "own_key": part.key}
        row = await self._session.row(_REMOVE_LOST, values)
        return () if row is None else (OwnedKey(key=row.key, user_id=row.user_id),)


def _own(file_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": file_id, "own_user": user_id}


def _file(row: Row[Any] | None) -> SpeechFile | None:
    if row is None:
        return None
    columns = row._asdict()
    return SpeechFile.model_validate({**columns, "order": SpeechOrder.model_validate(columns)})
