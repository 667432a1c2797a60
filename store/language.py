"""What language jobs are asked for, how it was written, and their notes on long texts.

Nothing of it is in ``jobs``, whose rows stay when a memo is erased: all of this holds words.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, delete, insert, select, union, update

from contracts.errors import NotFound
from contracts.jobs import StaleJob
from contracts.language import Usage
from contracts.language_job import KeptOrder, LanguageJob, LanguageOrder, WrittenRef
from store.expressions import unless_there
from store.language_tables import language_memos, language_notes, language_requests
from store.schema import OPEN_JOB, jobs, memos
from store.session import Session

TEXTS: Final = "texts"
"""Beside the ids in a request's result: a translation."""

_REQUEST: Final = language_requests.c
_NOTE: Final = language_notes.c

_OWN: Final = and_(
    _REQUEST.job_id == bindparam("own_id"), _REQUEST.user_id == bindparam("own_user")
)
_ADD: Final = insert(language_requests)
_READS: Final = insert(language_memos)
_FIND: Final = select(language_requests).where(_OWN)
_RESULT: Final = select(_REQUEST.result).where(_OWN)
_COUNT: Final = (
    update(language_requests)
    .where(_OWN)
    .values(
        tries=case(
            (_REQUEST.tries_round == bindparam("own_round"), _REQUEST.tries + 1),
            else_=1,
        ),
        tries_round=bindparam("own_round"),
    )
    .returning(_REQUEST.tries)
)
_WRITTEN: Final = (
    update(language_requests)
    .where(_OWN)
    .values(
        tier=bindparam("new_tier"),
        provider=bindparam("new_provider"),
        engine=bindparam("new_engine"),
        prompt=bindparam("new_prompt"),
        usage=bindparam("new_usage"),
        reading=bindparam("new_reading"),
        result=bindparam("new_result"),
        written_at=bindparam("now"),
    )
)
_OWN_NOTES: Final = and_(
    _NOTE.job_id == bindparam("own_id"), _NOTE.user_id == bindparam("own_user")
)
_NOTES: Final = select(_NOTE.notes).where(_OWN_NOTES, _NOTE.key == bindparam("own_key"))
_KEEP: Final = unless_there(language_notes)
_DROP: Final = delete(language_notes).where(_OWN_NOTES)

# Jobs about the memo are its owner's to end, also those of members of a space it was shared in.
_ABOUT: Final = (
    select(language_memos.c.job_id)
    .join(memos, memos.c.id == language_memos.c.memo_id)
    .where(memos.c.id == bindparam("own_id"), memos.c.user_id == bindparam("own_user"))
)
_AT_WORK: Final = (
    select(jobs.c.id, jobs.c.kind, jobs.c.user_id, jobs.c.request)
    .where(jobs.c.id.in_(_ABOUT), OPEN_JOB)
    .order_by(jobs.c.id)
)
# A memo's own job takes notes for its headline.
_NOTED: Final = union(
    _ABOUT,
    select(jobs.c.id).where(
        jobs.c.subject_id == bindparam("own_subject"), jobs.c.user_id == bindparam("own_user")
    ),
)
_ERASE_NOTES: Final = delete(language_notes).where(_NOTE.job_id.in_(_NOTED))
_ERASE_REQUESTS: Final = delete(language_requests).where(_REQUEST.job_id.in_(_ABOUT))
_ERASE_READS: Final = delete(language_memos).where(language_memos.c.job_id.in_(_ABOUT))


class Language:
    """The requests to language models and their notes, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def order(self, job: LanguageJob, order: LanguageOrder) -> None:
        """Write what a job is asked for, in the transaction that makes the job's row."""
        asked = order.model_dump(mode="json")
        row = {
            **{name: asked[name] for name in ("instruction", "role", "language", "title")},
            "prompts": asked["prompts"],
            "metadata": asked["metadata"],
            "job_id": job.job_id,
            "user_id": job.user_id,
            "use": job.use,
            "tries": 0,
            "tries_round": job.round,
            "created_at": self._session.now,
        }
        await self._session.run(_ADD, row)
        for memo_id in dict.fromkeys((job.subject_id, *job.memo_ids)):
            reads = {"job_id": job.job_id, "memo_id": memo_id, "user_id": job.user_id}
            await self._session.run(_READS, reads)

    async def order_of(self, job_id: str, user_id: str) -> KeptOrder | None:
        """What a job was asked for, and what was written; none when it was erased meanwhile."""
        row = await self._session.row(_FIND, _own(job_id, user_id))
        if row is None:
            return None
        written = None if row.result is None else WrittenRef.model_validate(row.result)
        return KeptOrder(order=LanguageOrder.model_validate(row._asdict()), written=written)

    async def count_vain(self, job_id: str, user_id: str, round: int) -> int:  # noqa: A002 - the name the job has
        """Count a try of this round that came to nothing; returns how many there are now.

        Raises:
            NotFound: what was asked for has been erased.
        """
        values = {**_own(job_id, user_id), "own_round": round}
        tries = await self._session.value(_COUNT, values)
        if tries is None:
            raise NotFound
        return int(tries)

    async def written(
        self,
        job_id: str,
        user_id: str,
        ref: WrittenRef,
        usage: Usage,
        *,
        texts: Mapping[int, str] | None = None,
    ) -> None:
        """Record what was written and how, and drop the notes it was written from.

        Args:
            texts: of a translation, which has no other place; by the places of its utterances.

        Raises:
            NotFound: what was asked for has been erased.
        """
        told = ref.model_dump(mode="json")
        reading = {name: told[name] for name in ("characters_read", "characters_total", "parts")}
        values = {
            **_own(job_id, user_id),
            "new_tier": ref.tier,
            "new_provider": ref.provider,
            "new_engine": ref.engine,
            "new_prompt": ref.prompt,
            "new_usage": usage.model_dump(),
            "new_reading": reading,
            "new_result": told | ({} if texts is None else {TEXTS: dict(texts)}),
            "now": self._session.now,
        }
        if not await self._session.run(_WRITTEN, values):
            raise NotFound
        await self.drop_notes(job_id, user_id)

    async def texts(self, job_id: str, user_id: str) -> Mapping[int, str]:
        """What a translation consists of, as ``written`` was given it.

        Raises:
            NotFound: it was erased, or is not written.
        """
        result = await self._session.value(_RESULT, _own(job_id, user_id))
        if result is None or TEXTS not in result:
            raise NotFound
        return {int(place): text for place, text in result[TEXTS].items()}

    async def notes(self, job_id: str, user_id: str, key: str) -> str | None:
        """Notes that an earlier attempt kept under that key."""
        notes: str | None = await self._session.value(
            _NOTES, {**_own(job_id, user_id), "own_key": key}
        )
        return notes

    async def keep_notes(self, job_id: str, user_id: str, key: str, notes: str) -> None:
        """Keep notes, once."""
        row = {
            "job_id": job_id,
            "key": key,
            "user_id": user_id,
            "notes": notes,
            "created_at": self._session.now,
        }
        await self._session.run(_KEEP[self._session.dialect], row)

    async def drop_notes(self, job_id: str, user_id: str) -> None:
        """Forget the notes of a job."""
        await self._session.run(_DROP, _own(job_id, user_id))

    async def at_work_on(self, memo_id: str, user_id: str) -> Sequence[StaleJob]:
        """Jobs at work that read or make a memo of this user, whoever asked for them."""
        rows = await self._session.rows(_AT_WORK, _own(memo_id, user_id))
        return [StaleJob.model_validate(row._asdict()) for row in rows]

    async def erase(self, memo_id: str, user_id: str) -> int:
        """Remove what was asked about a memo of this user, whoever asked; returns how many."""
        own = _own(memo_id, user_id)
        await self._session.run(_ERASE_NOTES, {**own, "own_subject": memo_id})
        gone = await self._session.run(_ERASE_REQUESTS, own)
        await self._session.run(_ERASE_READS, own)
        return gone


def _own(row_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": row_id, "own_user": user_id}
