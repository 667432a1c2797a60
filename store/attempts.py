"""One row per vendor call, written before the call is made."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Integer, and_, bindparam, case, func, insert, select, update

from contracts.costs import UNKNOWN, Bill
from contracts.errors import NotFound
from contracts.jobs import Step
from contracts.language import ModelCall
from contracts.tiers import Attempt, AttemptOutcome, Tries
from store.schema import attempts, jobs
from store.session import Session

BUSY: Final = ("provider_busy", "answer_malformed")
"""Codes of what is tried again by the same tier and counts; a credential that is out does not,
since the next try is another one's."""
LOST: Final = "worker_lost"

# Counting in the job's row checks its owner and makes two beginnings at once wait for each other.
_NEXT_NUMBER: Final = (
    update(jobs)
    .where(jobs.c.id == bindparam("own_id"), jobs.c.user_id == bindparam("own_user"))
    .values({jobs.c.attempt_number: jobs.c.attempt_number + 1})
    .returning(jobs.c.attempt_number)
)
_OWN: Final = and_(
    attempts.c.job_id == bindparam("own_id"), attempts.c.user_id == bindparam("own_user")
)
_SAME: Final = and_(
    _OWN,
    attempts.c.step == bindparam("own_step"),
    attempts.c.tier == bindparam("own_tier"),
    attempts.c.chunk.is_not_distinct_from(bindparam("own_chunk", type_=Integer)),
)
_AS_LOST: Final = (
    update(attempts)
    .where(_OWN, attempts.c.outcome.is_(None))
    .values(
        outcome=AttemptOutcome.FAILED,
        error_code=LOST,
        error_message="The worker was lost during the call",
    )
)
_CLOSE_LOST: Final = _AS_LOST.where(_SAME)
_CLOSE_LOST_BESIDE: Final = _AS_LOST.where(attempts.c.step != Step.TRANSCRIBE)
_OPEN: Final = (
    select(attempts.c.number, attempts.c.started_at)
    .where(_OWN, attempts.c.tier == bindparam("own_tier"), attempts.c.outcome.is_(None))
    .order_by(attempts.c.number.desc())
)
_RENAME: Final = (
    update(attempts)
    .where(_OWN, attempts.c.number == bindparam("own_number"))
    .values(provider=bindparam("new_provider"))
)
_BEGIN: Final = insert(attempts)
_END: Final = (
    update(attempts)
    .where(_OWN, attempts.c.number == bindparam("own_number"), attempts.c.outcome.is_(None))
    .values(
        outcome=bindparam("new_outcome"),
        seconds=bindparam("new_seconds"),
        error_code=bindparam("new_code"),
        error_message=bindparam("new_message"),
    )
)
_BILLED: Final = ("audio_milliseconds", "input_tokens", "output_tokens", "characters")
_END_BILLED: Final = _END.values(
    {name: bindparam(f"new_{name}") for name in (*_BILLED, "cost_micros")}
)


def _failed_with(*codes: str) -> Any:
    return func.coalesce(func.sum(case((attempts.c.error_code.in_(codes), 1), else_=0)), 0)


_TRIES: Final = select(_failed_with(*BUSY).label("busy"), _failed_with(LOST).label("lost")).where(
    _SAME,
    attempts.c.round == bindparam("own_round"),
    attempts.c.outcome == AttemptOutcome.FAILED,
)
_LIST: Final = select(attempts).where(_OWN).order_by(attempts.c.number)


class Attempts:
    """One row per vendor call."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def begin(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        provider: str,
        round: int,  # noqa: A002 - the name the job has for it
        *,
        chunk: int | None = None,
        step: Step = Step.TRANSCRIBE,
        bill: Bill = UNKNOWN,
    ) -> int:
        """Write the attempt before the vendor is called; returns its number within the job.

        An attempt of the same tier and chunk that never ended (its worker died) is closed first, as
        ``failed`` with ``worker_lost``; how long it took is not known.

        Args:
            bill: what it costs should its end never be written.

        Raises:
            NotFound: there is no such job.
        """
        own = {"own_id": job_id, "own_user": user_id}
        number = await self._next(job_id, user_id)
        await self._session.run(
            _CLOSE_LOST, {**own, "own_tier": tier, "own_chunk": chunk, "own_step": step}
        )
        row = {**self._row(job_id, user_id, number, tier, provider), "step": step}
        await self._session.run(_BEGIN, {**row, **_bill(bill), "round": round, "chunk": chunk})
        return number

    async def begin_beside(
        self,
        job_id: str,
        user_id: str,
        call: ModelCall,
        *,
        round: int,  # noqa: A002 - as above
        step: Step,
        bill: Bill = UNKNOWN,
    ) -> int:
        """Write an attempt that closes no other: calls of a language model may overlap.

        Raises:
            NotFound: there is no such job.
        """
        number = await self._next(job_id, user_id)
        row = self._row(job_id, user_id, number, call.tier, call.provider)
        await self._session.run(_BEGIN, {**row, **_bill(bill), "round": round, "step": step})
        return number

    async def close_lost_beside(self, job_id: str, user_id: str) -> int:
        """Close those of them that an earlier run left open, as lost; returns how many."""
        own = {"own_id": job_id, "own_user": user_id}
        return await self._session.run(_CLOSE_LOST_BESIDE, own)

    async def record(
        self,
        job_id: str,
        user_id: str,
        call: ModelCall,
        *,
        round: int,  # noqa: A002 - as above
        step: Step,
        bill: Bill = UNKNOWN,
    ) -> None:
        """Write a call that is over and cost nothing: it did not have to be written before.

        Raises:
            NotFound: there is no such job.
        """
        number = await self._next(job_id, user_id)
        took = max(call.seconds or 0.0, 0.0)
        row = {
            **self._row(job_id, user_id, number, call.tier, call.provider),
            **_bill(bill),
            "started_at": self._session.now - timedelta(seconds=took),
            "round": round,
            "step": step,
            "outcome": call.outcome,
            "seconds": took,
            "error_code": call.code,
            "error_message": call.message,
        }
        await self._session.run(_BEGIN, row)

    async def _next(self, job_id: str, user_id: str) -> int:
        own = {"own_id": job_id, "own_user": user_id}
        number = await self._session.value(_NEXT_NUMBER, own)
        if number is None:
            raise NotFound
        return int(number)

    def _row(
        self, job_id: str, user_id: str, number: int, tier: str, provider: str
    ) -> dict[str, Any]:
        return {
            "job_id": job_id,
            "number": number,
            "user_id": user_id,
            "tier": tier,
            "provider": provider,
            "started_at": self._session.now,
        }

    async def end(
        self,
        job_id: str,
        user_id: str,
        number: int,
        outcome: AttemptOutcome,
        *,
        seconds: float,
        code: str | None = None,
        message: str | None = None,
        bill: Bill | None = None,
    ) -> None:
        """Write how it ended, once; ``seconds`` is the time the call took.

        Args:
            bill: what it took; none: as it was written when it began.
        """
        values = {
            "own_id": job_id,
            "own_user": user_id,
            "own_number": number,
            "new_outcome": outcome,
            "new_seconds": max(seconds, 0.0),
            "new_code": code,
            "new_message": message,
        }
        if bill is None:
            await self._session.run(_END, values)
            return
        took = {f"new_{name}": value for name, value in _bill(bill).items()}
        await self._session.run(_END_BILLED, values | took)

    async def is_open(self, job_id: str, user_id: str, tier: str) -> bool:
        """Whether an attempt of the tier still runs."""
        own = {"own_id": job_id, "own_user": user_id, "own_tier": tier}
        return await self._session.row(_OPEN, own) is not None

    async def end_open(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        outcome: AttemptOutcome,
        *,
        provider: str | None = None,
        code: str | None = None,
        message: str | None = None,
        bill: Bill | None = None,
    ) -> bool:
        """End the attempt of a tier that still runs, by our clock; false when none does.

        Args:
            provider: who it was after all.
            bill: as above.
        """
        own = {"own_id": job_id, "own_user": user_id}
        row = await self._session.row(_OPEN, {**own, "own_tier": tier})
        if row is None:
            return False
        seconds = (self._session.now - row.started_at).total_seconds()
        how = {"seconds": seconds, "code": code, "message": message}
        await self.end(job_id, user_id, row.number, outcome, **how, bill=bill)
        if provider is not None:
            renamed = {**own, "own_number": row.number, "new_provider": provider}
            await self._session.run(_RENAME, renamed)
        return True

    async def tries(
        self,
        job_id: str,
        user_id: str,
        tier: str,
        round: int,  # noqa: A002 - as above
        *,
        chunk: int | None = None,
        step: Step = Step.TRANSCRIBE,
    ) -> Tries:
        """How often this tier was tried in this round in vain, by cause."""
        own = {"own_id": job_id, "own_user": user_id, "own_tier": tier, "own_chunk": chunk}
        own["own_step"] = step
        row = await self._session.row(_TRIES, {**own, "own_round": round})
        return Tries() if row is None else Tries(busy=row.busy, lost=row.lost)

    async def list(self, job_id: str, user_id: str) -> Sequence[Attempt]:
        """Every call made for a job, in order."""
        rows = await self._session.rows(_LIST, {"own_id": job_id, "own_user": user_id})
        return [Attempt.model_validate(row._asdict()) for row in rows]


def _bill(bill: Bill) -> dict[str, int | None]:
    return {**bill.units.model_dump(), "cost_micros": bill.micros}
