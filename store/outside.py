"""Reports of outside transcribers: recorded first, told to the job next, until it has taken them.

The first transcript of a job stays; whoever records holds the lock of the job's row.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, insert, select, true, update

from contracts.outside import DueReport, OutsideTranscript
from contracts.transcript import Transcript
from store.columns import Moment
from store.expressions import unless_there
from store.outside_tables import IS_DUE, outside_reports
from store.session import Session

FIRST_PAUSE: Final = timedelta(seconds=20)
"""What was told and not taken is told again after so long, and after twice as long each time."""
LONGEST_DOUBLING: Final = 10

_ROW: Final = outside_reports.c
_OWN: Final = and_(_ROW.job_id == bindparam("own_id"), _ROW.user_id == bindparam("own_user"))
_SUCCEEDED: Final = _ROW.success == true()
_FAILED: Final = and_(_ROW.success != true(), _ROW.round == bindparam("own_round"))
_RECORD: Final = insert(outside_reports)
_RECORD_FAILURE: Final = unless_there(outside_reports)
_RECORDED: Final = select(_ROW.sha256).where(_OWN, _SUCCEEDED).limit(1)
_TRANSCRIPT: Final = select(_ROW.provider, _ROW.transcript).where(
    _OWN, _SUCCEEDED, _ROW.transcript.is_not(None)
)
_FAILURE: Final = select(_ROW.provider, _ROW.error_code, _ROW.error_message).where(_OWN, _FAILED)
_FORGET_WORDS: Final = (
    update(outside_reports).where(_OWN, _SUCCEEDED).values(transcript=None, deliver_at=None)
)
_DONE: Final = (
    update(outside_reports)
    .where(_OWN, _ROW.round == bindparam("own_round"), _ROW.success == bindparam("own_success"))
    .values(deliver_at=None)
)
_POSTPONE: Final = _DONE.values(
    deliver_at=bindparam("new_deliver_at", type_=Moment), deliveries=_ROW.deliveries + 1
)
_DUE: Final = (
    select(_ROW.job_id, _ROW.user_id, _ROW.round, _ROW.success, _ROW.error_code, _ROW.deliveries)
    .where(IS_DUE, _ROW.deliver_at <= bindparam("now", type_=Moment))
    .order_by(_ROW.deliver_at)
    .limit(bindparam("most"))
)


class Outside:
    """Reports of outside transcribers, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def recorded(self, job_id: str, user_id: str) -> str | None:
        """Digest of the transcript that came first; none: none has come."""
        digest: str | None = await self._session.value(_RECORDED, _own(job_id, user_id))
        return digest

    async def record(
        self, report: DueReport, memo_id: str, said: OutsideTranscript, *, due: bool
    ) -> None:
        """Keep a transcript; nothing may have been `recorded` before.

        Args:
            due: the job is to be told.
        """
        transcript = said.transcript
        row = self._row(report, memo_id, said.provider, due=due)
        row |= {"sha256": transcript.sha256, "transcript": transcript.model_dump(mode="json")}
        await self._session.run(_RECORD, row)

    async def record_failure(
        self, report: DueReport, memo_id: str, provider: str, message: str
    ) -> bool:
        """Keep that nothing will come in this round; false when that is known."""
        row = self._row(report, memo_id, provider, due=True)
        row |= {"error_code": report.code, "error_message": message}
        return bool(await self._session.run(_RECORD_FAILURE[self._session.dialect], row))

    def _row(self, report: DueReport, memo_id: str, provider: str, *, due: bool) -> dict[str, Any]:
        now = self._session.now
        return {
            "job_id": report.job_id,
            "round": report.round,
            "success": report.success,
            "user_id": report.user_id,
            "memo_id": memo_id,
            "provider": provider,
            "deliveries": 0,
            "deliver_at": now + FIRST_PAUSE if due else None,
            "created_at": now,
        }

    async def transcript(self, job_id: str, user_id: str) -> OutsideTranscript | None:
        """The transcript that waits to be taken over."""
        row = await self._session.row(_TRANSCRIPT, _own(job_id, user_id))
        if row is None:
            return None
        return OutsideTranscript(
            provider=row.provider, transcript=Transcript.model_validate(row.transcript)
        )

    async def failure(self, job_id: str, user_id: str, round: int) -> tuple[str, str, str] | None:  # noqa: A002 - the name the job has for it
        """Provider, code and words of the failure reported in a round."""
        values = {**_own(job_id, user_id), "own_round": round}
        row = await self._session.row(_FAILURE, values)
        return None if row is None else (row.provider, row.error_code, row.error_message)

    async def forget_words(self, job_id: str, user_id: str) -> None:
        """The job has the transcript, or never will: what stays is that it came."""
        await self._session.run(_FORGET_WORDS, _own(job_id, user_id))

    async def done(self, report: DueReport) -> None:
        """The job knows of it."""
        await self._session.run(_DONE, self._one(report))

    async def postpone(self, report: DueReport) -> None:
        """Tell the job again later, unless it takes it before."""
        pause = FIRST_PAUSE * 2 ** min(report.deliveries + 1, LONGEST_DOUBLING)
        values = {**self._one(report), "new_deliver_at": self._session.now + pause}
        await self._session.run(_POSTPONE, values)

    async def due(self, *, limit: int) -> Sequence[DueReport]:
        """Reports of every owner that are to be told now, the oldest first."""
        values = {"now": self._session.now, "most": limit}
        return [
            DueReport(
                job_id=row.job_id,
                user_id=row.user_id,
                round=row.round,
                success=row.success,
                code=row.error_code,
                deliveries=row.deliveries,
            )
            for row in await self._session.rows(_DUE, values)
        ]

    @staticmethod
    def _one(report: DueReport) -> dict[str, Any]:
        own = _own(report.job_id, report.user_id)
        return {**own, "own_round": report.round, "own_success": report.success}


def _own(job_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": job_id, "own_user": user_id}
