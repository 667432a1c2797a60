"""The memo rows.

JSON columns are merged in SQL under the row's lock. A deleted memo is invisible to every read at
once; its own job may still write to it until it is erased. What is written to a memo that has been
erased meanwhile is written to nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    Row,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    or_,
    select,
    update,
)

from contracts.errors import Conflict, NotFound
from contracts.headline import Headline
from contracts.memo import EraseReceipt, Memo, MemoPage, MemoStatus
from contracts.paging import Cursor
from store.columns import Moment
from store.expressions import by_dialect, greatest, merged, unless_there
from store.memo_pages import PAGE, PAGE_AFTER, TOTAL
from store.outside_tables import ERASE_REPORTS
from store.schema import (
    jobs,
    memo_counts,
    memo_spaces,
    memories,
    memos,
    space_members,
    transcript_parts,
    transcripts,
)
from store.session import Session

TRANSCRIPTION: Final = "transcription"

_OWN: Final = and_(memos.c.id == bindparam("own_id"), memos.c.user_id == bindparam("own_user"))
_UPDATED: Final = greatest(memos.c.updated_at, bindparam("now", type_=Moment))
_SHARED: Final = exists().where(
    memo_spaces.c.memo_id == memos.c.id,
    memo_spaces.c.space_id == space_members.c.space_id,
    space_members.c.user_id == bindparam("own_user"),
)

_CREATE: Final = unless_there(memos)
_COUNT_UP: Final = by_dialect(
    memo_counts,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[memo_counts.c.user_id],
        set_={"memos": memo_counts.c.memos + insert.excluded.memos},
    ),
)
_COUNT_DOWN: Final = (
    update(memo_counts)
    .where(memo_counts.c.user_id == bindparam("own_user"))
    .values(memos=memo_counts.c.memos - 1)
)
_OWNER: Final = select(memos.c.user_id).where(memos.c.id == bindparam("own_id"))
_PRESENT_OWNER: Final = _OWNER.where(memos.c.deleted_at.is_(None))
_FIND: Final = select(memos).where(
    memos.c.id == bindparam("own_id"),
    memos.c.deleted_at.is_(None),
    or_(memos.c.user_id == bindparam("own_user"), _SHARED),
)
_KEEP: Final = _FIND.with_for_update(of=memos)
_OF_JOB: Final = (
    select(memos.c.id)
    .where(
        or_(
            memos.c.job_id == bindparam("own_job"),
            memos.c.vendor_job == bindparam("own_job"),
        ),
        memos.c.user_id == bindparam("own_user"),
        memos.c.deleted_at.is_(None),
    )
    .order_by(memos.c.created_at.desc())
    .limit(1)
)
_HEADLINE: Final = (
    update(memos)
    .where(_OWN)
    .values(
        {
            memos.c.title: case(
                (memos.c.title_by_user, memos.c.title), else_=bindparam("new_title")
            ),
            memos.c.intro: bindparam("new_intro"),
            memos.c.updated_at: _UPDATED,
        }
    )
)
_LANGUAGE: Final = select(
    memos.c.source["primary_language"].as_string().label("found"),
    memos.c.metadata["recordingLanguages"].label("asked"),
).where(_OWN)
_DELETE: Final = (
    update(memos)
    .where(_OWN, memos.c.deleted_at.is_(None))
    .values({memos.c.deleted_at: bindparam("now"), memos.c.updated_at: _UPDATED})
)
_ERASE: Final = delete(memos).where(_OWN).returning(memos.c.deleted_at)
_ERASE_TRANSCRIPTS: Final = delete(transcripts).where(
    transcripts.c.memo_id == bindparam("own_id"), transcripts.c.user_id == bindparam("own_user")
)
_ERASE_PARTS: Final = delete(transcript_parts).where(
    transcript_parts.c.user_id == bindparam("own_user"),
    transcript_parts.c.job_id.in_(
        select(jobs.c.id).where(
            jobs.c.subject_id == bindparam("own_id"), jobs.c.user_id == bindparam("own_user")
        )
    ),
)
_ERASE_MEMORIES: Final = delete(memories).where(
    memories.c.memo_id.in_(select(memos.c.id).where(_OWN))
)


class Memos:
    """The memo rows, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self,
        memo_id: str,
        user_id: str,
        *,
        title: str,
        title_by_user: bool,
        source: Mapping[str, Any],
        metadata: Mapping[str, Any],
        job_id: str,
        intro: str | None = None,
    ) -> Memo:
        """Write a memo.

        Args:
            title_by_user: the user wrote the title: no headline replaces it.
            source: ``audio_path``, ``duration``, ``media_type``, …
            metadata: ``processing``, ``recordingLanguages``, …
            job_id: the job that transcribes it, or made it of others.

        Raises:
            Conflict: ``memo_exists``.
            NotFound: a memo of that id is somebody else's.
        """
        now = self._session.now
        row = {
            "id": memo_id,
            "user_id": user_id,
            "title": title,
            "intro": intro,
            "source": dict(source),
            "metadata": dict(metadata),
            "style": None,
            "is_pinned": False,
            "is_archived": False,
            "is_public": False,
            "created_at": now,
            "updated_at": now,
            "job_id": job_id,
            "audio_path": source.get("audio_path"),
            "title_by_user": title_by_user,
        }
        dialect = self._session.dialect
        if not await self._session.run(_CREATE[dialect], row):
            await self._refuse(memo_id, user_id)
        await self._session.run(_COUNT_UP[dialect], {"user_id": user_id, "memos": 1})
        return Memo.model_validate(row)

    async def _refuse(self, memo_id: str, user_id: str) -> None:
        owner = await self._session.value(_OWNER, {"own_id": memo_id})
        if owner != user_id:
            raise NotFound
        raise Conflict("There is a memo of that id", code="memo_exists")

    async def find(self, memo_id: str, user_id: str) -> Memo | None:
        """A memo of the user's own, or shared by a space the user belongs to."""
        row = await self._session.row(_FIND, _own(memo_id, user_id))
        return None if row is None else _memo(row)

    async def page(
        self, user_id: str, *, limit: int, offset: int = 0, after: Cursor | None = None
    ) -> MemoPage:
        """Memos of the user's own and those shared by spaces, newest first.

        Args:
            offset: memos to leave out; the more, the slower.
            after: where the page before ended; as fast on every page.

        ``total`` is counted only when no ``after`` is given.
        """
        own = {"own_user": user_id}
        values = {**own, "count": limit + 1, "offset": offset, "most": limit + 1 + offset}
        statement = PAGE
        if after is not None:
            statement = PAGE_AFTER
            values |= {"after_at": after.created_at, "after_id": after.id}
        found = [_memo(row) for row in await self._session.rows(statement, values)]
        following = None
        if len(found) > limit:
            last = found[limit - 1]
            following = Cursor(created_at=last.created_at, id=last.id)
        total = None if after is not None else await self._session.value(TOTAL, own)
        return MemoPage(memos=tuple(found[:limit]), next=following, total=total)

    async def patch(
        self,
        memo_id: str,
        user_id: str,
        *,
        title: str | None = None,
        intro: str | None = None,
        is_pinned: bool | None = None,
        is_archived: bool | None = None,
    ) -> Memo:
        """Change what is given; only its owner may.

        Raises:
            NotFound: there is no such memo of this user.
        """
        given = {
            "title": title,
            "title_by_user": None if title is None else True,
            "intro": intro,
            "is_pinned": is_pinned,
            "is_archived": is_archived,
        }
        values = {memos.c[name]: value for name, value in given.items() if value is not None}
        statement = (
            update(memos)
            .where(_OWN, memos.c.deleted_at.is_(None))
            .values({**values, memos.c.updated_at: _UPDATED})
            .returning(memos)
        )
        own = {**_own(memo_id, user_id), "now": self._session.now}
        row = await self._session.row(statement, own)
        if row is None:
            raise NotFound
        return _memo(row)

    async def mark_deleted(self, memo_id: str, user_id: str) -> bool:
        """Make it invisible to every read at once; false when it is not there."""
        values = {**_own(memo_id, user_id), "now": self._session.now}
        if not await self._session.run(_DELETE, values):
            return False
        await self._session.run(_COUNT_DOWN, {"own_user": user_id})
        return True

    async def set_processing(
        self, memo_id: str, user_id: str, process: str, status: MemoStatus, **fields: Any
    ) -> None:
        """Merge into ``metadata.processing.<process>``: status, updated_at and the given fields."""
        now = self._session.now
        state = {"status": status, "updated_at": now.isoformat(), **fields}
        changes = {"processing": {process: state}}
        await self._merge(memo_id, user_id, {"metadata": changes})

    async def name_vendor_job(
        self, memo_id: str, user_id: str, vendor_job: str, *, batch: bool
    ) -> bool:
        """Write which vendor's job transcribes it; false when there is no such memo of the user."""
        now = self._session.now
        named = {"jobId": vendor_job, "batchTranscription": batch}
        named |= {"batchJobCreated": now.isoformat()}
        changes = {"metadata": {"processing": {TRANSCRIPTION: named}}}
        statement = self._merging(changes).where(memos.c.deleted_at.is_(None))
        statement = statement.values({memos.c.vendor_job: vendor_job})
        return bool(await self._session.run(statement, {**_own(memo_id, user_id), "now": now}))

    async def of_job(self, job_id: str, user_id: str) -> str | None:
        """Id of the user's memo that this job, ours or a vendor's, transcribes; none: not there."""
        values = {"own_job": job_id, "own_user": user_id}
        memo_id: str | None = await self._session.value(_OF_JOB, values)
        return memo_id

    async def keep(self, memo_id: str, user_id: str) -> None:
        """Let nobody delete a memo one may read before this transaction has ended.

        Raises:
            NotFound: it is not there (any more).
        """
        if await self._session.row(_KEEP, _own(memo_id, user_id)) is None:
            raise NotFound

    async def owner(self, memo_id: str) -> str | None:
        """Whose memo it is, for whoever may act for every user; none: it is not there."""
        owner: str | None = await self._session.value(_PRESENT_OWNER, {"own_id": memo_id})
        return owner

    async def begin_again(self, memo_id: str, user_id: str, *, source: Mapping[str, Any]) -> Memo:
        """Merge what a new round stands on into ``source``; its transcription is pending again.

        Raises:
            NotFound: there is no such memo of this user.
        """
        now = self._session.now
        state = {"status": MemoStatus.PENDING, "updated_at": now.isoformat(), "error": None}
        metadata = {"processing": {TRANSCRIPTION: state}}
        statement = (
            self._merging({"source": source, "metadata": metadata})
            .where(memos.c.deleted_at.is_(None))
            .values({memos.c.audio_path: source.get("audio_path")})
        )
        row = await self._session.row(
            statement.returning(memos), {**_own(memo_id, user_id), "now": now}
        )
        if row is None:
            raise NotFound
        return _memo(row)

    async def save_transcript(
        self, memo_id: str, user_id: str, tier: str, transcript: Mapping[str, Any]
    ) -> None:
        """Merge what was said into ``source``, in the names its readers know."""
        speakers = dict(transcript["speakers"])
        source = {
            "transcript": transcript["text"],
            "duration": transcript["seconds"],
            "utterances": transcript["utterances"],
            "languages": transcript["languages"],
            "primary_language": transcript["primary_language"],
            "speakers": speakers,
            "speakerMap": speakers,
            "transcription_route": tier,
            "gaps": transcript["gaps"],
        }
        metadata = {"processing": {TRANSCRIPTION: {"route": tier}}}
        await self._merge(memo_id, user_id, {"source": source, "metadata": metadata})

    async def _merge(
        self, memo_id: str, user_id: str, changes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        values = {**_own(memo_id, user_id), "now": self._session.now}
        await self._session.run(self._merging(changes), values)

    def _merging(self, changes: Mapping[str, Mapping[str, Any]]) -> Update:
        columns = {
            memos.c[name]: merged(memos.c[name], change, self._session.dialect)
            for name, change in changes.items()
        }
        return update(memos).where(_OWN).values({**columns, memos.c.updated_at: _UPDATED})

    async def save_headline(self, memo_id: str, user_id: str, headline: Headline) -> None:
        """Write title and intro; a title the user set by hand is kept."""
        values = {
            **_own(memo_id, user_id),
            "now": self._session.now,
            "new_title": headline.title,
            "new_intro": headline.intro,
        }
        await self._session.run(_HEADLINE, values)

    async def language(self, memo_id: str, user_id: str) -> str | None:
        """The language the memo was found to be in, else the first it asked for; BCP 47."""
        row = await self._session.row(_LANGUAGE, _own(memo_id, user_id))
        if row is None:
            return None
        languages: list[str | None] = [row.found, *(row.asked or ())]
        return next((language for language in languages if language), None)

    async def erase(self, memo_id: str, user_id: str) -> EraseReceipt:
        """Remove rows of the memo; the receipt counts rows only."""
        own = _own(memo_id, user_id)
        memories_gone = await self._session.run(_ERASE_MEMORIES, own)
        transcripts_gone = await self._session.run(_ERASE_TRANSCRIPTS, own)
        await self._session.run(_ERASE_PARTS, own)
        await self._session.run(ERASE_REPORTS, own)
        gone = await self._session.row(_ERASE, own)
        if gone is not None and gone.deleted_at is None:
            await self._session.run(_COUNT_DOWN, {"own_user": user_id})
        return EraseReceipt(files=0, transcripts=transcripts_gone, memories=memories_gone)

    async def withdraw(self, memo_id: str, user_id: str, job_id: str) -> None:
        """Take back a memo whose job was never started."""
        statement = _ERASE.where(memos.c.job_id == job_id)
        if await self._session.row(statement, _own(memo_id, user_id)) is not None:
            await self._session.run(_COUNT_DOWN, {"own_user": user_id})


def _own(memo_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": memo_id, "own_user": user_id}


def _memo(row: Row[Any]) -> Memo:
    return Memo.model_validate(row._asdict())
