"""Checks of everything that is stored, of every owner: what ``doctor --verify`` asks.

Each page is one statement in a transaction of its own: what it compares is of one moment, also
while jobs run, and no page holds the database up. Nothing is ever loaded whole.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import Row, Select, and_, exists, select

from contracts.audio import MediaKind, StoredFile
from contracts.invariants import Invariant, Violation
from contracts.jobs import ENDS
from store.database import Database
from store.invariant_checks import CHECKS, PAGE, Check
from store.reservation_checks import CHECKS as RESERVATION_CHECKS
from store.schema import jobs, media, memos
from store.secret_checks import CHECKS as SECRET_CHECKS
from store.upload_tables import UNFINISHED, uploads

UNFINISHED_SECONDS: Final = 3600.0
"""A file that was begun so long ago is not being written any more."""


class Files(Protocol):
    """What is asked of storage."""

    async def find(self, key: str) -> StoredFile | None:
        """A file, or none."""

    def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        """Every file below a prefix."""

    async def unfinished(self, older_than_seconds: float) -> int:
        """How many files were begun and left."""


class Resumable(Protocol):
    """What is asked of the bytes of uploads that come in pieces."""

    def begun(self, older_than_seconds: float) -> AsyncIterator[Sequence[str]]:
        """Ids of uploads that have some, and got none for so long, a page at a time."""


async def violations(
    database: Database,
    files: Files | None = None,
    resumable: Resumable | None = None,
    *,
    settling_seconds: float = 0.0,
) -> AsyncIterator[Violation]:
    """Every promise that is broken, one by one.

    Args:
        files: also compare rows and files.
        resumable: likewise, uploads and their bytes.
        settling_seconds: how long after a job's end its work files may still be there.

    Raises:
        Unavailable: the database, or storage, does not answer.
    """
    for check in (*CHECKS, *RESERVATION_CHECKS, *SECRET_CHECKS):
        async for violation in _of_rows(database, check):
            yield violation
    if files is None:
        return
    async for violation in _of_media(database, files, settling_seconds):
        yield violation
    async for violation in _of_files(database, files):
        yield violation
    left = await files.unfinished(UNFINISHED_SECONDS)
    if left:
        what = f"{left} files were begun and left"
        yield Violation(invariant=Invariant.NO_ORPHANS, subject="storage", what=what)
    if resumable is not None:
        async for violation in _of_uploads(database, resumable):
            yield violation


async def _of_uploads(database: Database, resumable: Resumable) -> AsyncIterator[Violation]:
    async for page in resumable.begun(UNFINISHED_SECONDS):
        async with database.read() as tx:
            known = await tx.uploads.known(page)
        for upload_id in set(page) - known:
            what = "Bytes are left of an upload that is over"
            yield Violation(invariant=Invariant.NO_ORPHANS, subject=upload_id, what=what)


async def _of_rows(database: Database, check: Check) -> AsyncIterator[Violation]:
    async for rows in _pages(database, check.page, check.key):
        for violation in check.judge(rows):
            yield violation


async def _pages(database: Database, page: Any, key: str) -> AsyncIterator[Sequence[Row[Any]]]:
    after: Any = None
    while True:
        async with database.read() as tx:
            rows = await tx.session.rows(page(after, tx.session.now))
        if not rows:
            return
        yield rows
        after = getattr(rows[-1], key)


def _media_page(after: str | None, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    """Rows with what becomes of their files: played by a memo, or left by a job."""
    played = exists().where(
        memos.c.audio_path == media.c.key,
        memos.c.user_id == media.c.user_id,
        memos.c.deleted_at.is_(None),
        memos.c.source["audio_path"].as_string() == media.c.key,
    )
    on_its_way = exists().where(uploads.c.key == media.c.key, UNFINISHED)
    ended = and_(jobs.c.id == media.c.job_id, jobs.c.state.in_(ENDS))
    return (
        select(media.c.key, media.c.kind, played.label("played"), jobs.c.finished_at)
        .outerjoin(jobs, ended)
        .where(~on_its_way, *([] if after is None else [media.c.key > after]))
        .order_by(media.c.key)
        .limit(PAGE)
    )


async def _of_media(
    database: Database, files: Files, settling_seconds: float
) -> AsyncIterator[Violation]:
    async for rows in _pages(database, _media_page, "key"):
        for row in rows:
            what = await _wrong_with(row, files, settling_seconds)
            if what is not None:
                yield Violation(invariant=Invariant.NO_ORPHANS, subject=row.key, what=what)


async def _wrong_with(row: Row[Any], files: Files, settling_seconds: float) -> str | None:
    if row.kind == MediaKind.UPLOAD:
        if row.played and await files.find(row.key) is None:
            return "The file of a memo is not there"
        return None
    if row.kind == MediaKind.SPEECH:
        gone = await files.find(row.key) is None
        return "The audio of a text that was read aloud is not there" if gone else None
    if row.finished_at is None:
        return None
    settled = datetime.now(row.finished_at.tzinfo) - timedelta(seconds=settling_seconds)
    return "A work file outlived its job" if row.finished_at <= settled else None


async def _of_files(database: Database, files: Files) -> AsyncIterator[Violation]:
    batch: list[str] = []
    async for file in files.list(""):
        batch.append(file.key)
        if len(batch) == PAGE:
            async for violation in _orphans(database, files, batch):
                yield violation
            batch = []
    async for violation in _orphans(database, files, batch):
        yield violation


async def _orphans(database: Database, files: Files, keys: list[str]) -> AsyncIterator[Violation]:
    async with database.read() as tx:
        rows = await tx.session.rows(select(media.c.key).where(media.c.key.in_(keys)))
    for key in set(keys) - {row.key for row in rows}:
        # The row goes after the file: one that was removed meanwhile is gone by now.
        if await files.find(key) is not None:
            what = "The file belongs to nothing"
            yield Violation(invariant=Invariant.NO_ORPHANS, subject=key, what=what)
