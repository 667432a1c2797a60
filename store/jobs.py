"""Job rows and their events.

A job's event is written in the transaction of what it tells, as the last thing in it (see
``told_events.py``). Its ``seq`` is counted in the job's own row, under that row's lock: 1, 2, 3, …
without a hole. Its ``at`` never runs backwards, whatever the clock does.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Update,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from contracts.errors import Conflict, NotFound
from contracts.ids import MEMO
from contracts.jobs import (
    TRANSITIONS,
    EventType,
    Job,
    JobEvent,
    JobFailure,
    JobRef,
    JobState,
    StaleJob,
    Step,
)
from store.columns import Moment
from store.expressions import greatest, merged, unless_there
from store.memos import Memos
from store.schema import OPEN_JOB, job_events, jobs
from store.session import Session
from store.told_events import ToldEvents

_SOURCES: Final = {
    to: tuple(start for start, ends in TRANSITIONS.items() if start is not None and to in ends)
    for to in JobState
}

_OWN: Final = and_(jobs.c.id == bindparam("own_id"), jobs.c.user_id == bindparam("own_user"))
_NOW: Final = bindparam("now", type_=Moment)
_NEXT: Final[Mapping[Any, Any]] = {
    jobs.c.event_seq: jobs.c.event_seq + 1,
    jobs.c.updated_at: greatest(jobs.c.updated_at, _NOW),
}

_CREATE: Final = unless_there(jobs)
_FIND: Final = select(jobs).where(_OWN)
_STATE: Final = select(jobs.c.state).where(_OWN)
_STATE_LOCKED: Final = _STATE.with_for_update()
_DESCRIBED: Final = select(jobs.c.id, jobs.c.kind, jobs.c.user_id, jobs.c.request)
_WITHDRAW: Final = (
    delete(jobs)
    .where(
        _OWN,
        jobs.c.state == JobState.QUEUED,
        jobs.c.started_at.is_(None),
        jobs.c.round == 1,
    )
    .returning(jobs.c.subject_id, jobs.c.kind)
)


def _moving(to: JobState) -> Update:
    values: dict[Any, Any] = {
        **_NEXT,
        jobs.c.previous_state: jobs.c.state,
        jobs.c.state: to,
        jobs.c.step: bindparam("new_step"),
        jobs.c.error_code: bindparam("new_error_code"),
        jobs.c.error_message: bindparam("new_error_message"),
    }
    if to is JobState.RUNNING:
        values[jobs.c.started_at] = func.coalesce(jobs.c.started_at, values[jobs.c.updated_at])
    if to.final:
        values[jobs.c.finished_at] = values[jobs.c.updated_at]
    return update(jobs).where(_OWN, jobs.c.state.in_(_SOURCES[to])).values(values)


_CHANGED: Final = (
    *(jobs.c.kind, jobs.c.subject_id),
    *(jobs.c.event_seq, jobs.c.updated_at, jobs.c.previous_state),
)
_MOVE: Final = {to: _moving(to).returning(*_CHANGED) for to in JobState}
_MOVE_WITH_RESULT: Final = {
    to: _moving(to).values({jobs.c.result: bindparam("new_result")}).returning(*_CHANGED)
    for to in JobState
}
_ADVANCE: Final = (
    update(jobs)
    .where(_OWN, OPEN_JOB)
    .values({**_NEXT, jobs.c.step: bindparam("new_step")})
    .returning(*_CHANGED)
)
_ADVANCE_WITH_TIER: Final = _ADVANCE.values({jobs.c.tier: bindparam("new_tier")})


class Jobs:
    """The job rows and their events, inside a transaction.

    Args:
        told: takes the events until the end of the transaction.
    """

    def __init__(self, session: Session, memos: Memos, told: ToldEvents) -> None:
        self._session = session
        self._memos = memos
        self._told = told

    async def create(
        self,
        job_id: str,
        user_id: str,
        *,
        kind: str,
        subject_id: str,
        request: Mapping[str, Any],
        deadline_seconds: float,
    ) -> None:
        """Write a queued job and its first event; round 1.

        Args:
            request: the workflow's input, enough to start it again.
            deadline_seconds: the job has ended so long from now.

        Raises:
            Conflict: ``job_exists``.
        """
        now = self._session.now
        row = {
            "id": job_id,
            "user_id": user_id,
            "kind": kind,
            "subject_id": subject_id,
            "state": JobState.QUEUED,
            "step": Step.QUEUED,
            "round": 1,
            "request": dict(request),
            "event_seq": 1,
            "attempt_number": 0,
            "deadline_at": now + timedelta(seconds=deadline_seconds),
            "created_at": now,
            "updated_at": now,
        }
        if not await self._session.run(_CREATE[self._session.dialect], row):
            raise Conflict("There is a job of that name", code="job_exists")
        about = JobRef(id=job_id, user_id=user_id, kind=kind, subject_id=subject_id)
        self._told.add(about, 1, EventType.STATE, {"state": JobState.QUEUED}, now)

    async def find(self, job_id: str, user_id: str) -> Job | None:
        """The job, when it is the user's."""
        row = await self._session.row(_FIND, _own(job_id, user_id))
        return None if row is None else _job(row)

    async def state(self, job_id: str, user_id: str) -> JobState | None:
        """State of the job, with its row locked when this transaction writes; none: not there."""
        statement = _STATE_LOCKED if self._session.writes else _STATE
        state = await self._session.value(statement, _own(job_id, user_id))
        return None if state is None else JobState(state)

    async def move(
        self,
        job_id: str,
        user_id: str,
        to: JobState,
        *,
        step: Step,
        failure: JobFailure | None = None,
        result: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> bool:
        """Move to another state and write the ``state`` event (``done`` when final).

        Args:
            data: told in the event, beside the state.

        Returns:
            False when the job already is in that state; nothing is written then.

        Raises:
            Conflict: ``invalid_transition``, the present state does not allow it.
            NotFound: there is no such job.
        """
        values = {
            **_own(job_id, user_id),
            "now": self._session.now,
            "new_step": step,
            "new_error_code": failure.code if failure else None,
            "new_error_message": failure.message if failure else None,
        }
        statement = _MOVE[to]
        if result is not None:
            statement = _MOVE_WITH_RESULT[to]
            values["new_result"] = dict(result)
        changed = await self._session.row(statement, values)
        if changed is None:
            return await self._not_moved(job_id, user_id, to)
        facts: dict[str, Any] = {"state": to, "previous": changed.previous_state, "step": step}
        if failure is not None:
            facts["error"] = failure.model_dump()
        kind = EventType.DONE if to.final else EventType.STATE
        self._tell(job_id, user_id, changed, kind, {**(data or {}), **facts})
        return True

    async def _not_moved(self, job_id: str, user_id: str, to: JobState) -> bool:
        present = await self.state(job_id, user_id)
        if present is None:
            raise NotFound
        if present is not to:
            message = f"A job that is {present} cannot become {to}"
            raise Conflict(message, code="invalid_transition")
        return False

    async def advance(
        self,
        job_id: str,
        user_id: str,
        step: Step,
        *,
        tier: str | None = None,
        data: Mapping[str, Any] | None = None,
        type: EventType = EventType.PROGRESS,  # noqa: A002 - the name the event has
    ) -> None:
        """Set the job's present step (and tier) and write one ``progress`` event.

        Raises:
            Conflict: ``job_ended``, nothing is told after a job's last event.
            NotFound: there is no such job.
        """
        values = {**_own(job_id, user_id), "now": self._session.now, "new_step": step}
        statement = _ADVANCE
        if tier is not None:
            statement = _ADVANCE_WITH_TIER
            values["new_tier"] = tier
        changed = await self._session.row(statement, values)
        if changed is None:
            if await self.state(job_id, user_id) is None:
                raise NotFound
            raise Conflict("The job has ended", code="job_ended")
        facts = {"step": step, **({"tier": tier} if tier else {}), **(data or {})}
        self._tell(job_id, user_id, changed, type, facts)

    def _tell(
        self, job_id: str, user_id: str, changed: Row[Any], kind: EventType, data: Mapping[str, Any]
    ) -> None:
        about = JobRef(id=job_id, user_id=user_id, kind=changed.kind, subject_id=changed.subject_id)
        self._told.add(about, changed.event_seq, kind, data, changed.updated_at)

    async def described(self, job_id: str, user_id: str) -> StaleJob | None:
        """What the job was asked for, so that it can be ended without its workflow."""
        row = await self._session.row(_DESCRIBED.where(_OWN), _own(job_id, user_id))
        return None if row is None else StaleJob.model_validate(row._asdict())

    async def stale(
        self, state: JobState, *, older_than_seconds: float, after: str, limit: int
    ) -> Sequence[StaleJob]:
        """Jobs of every owner still in ``state`` and untouched for so long, by id after ``after``.

        A queued one may never have been started; a running one may have lost its workflow.
        """
        statement = (
            _DESCRIBED.where(
                OPEN_JOB,
                jobs.c.state == state,
                jobs.c.id > after,
                jobs.c.updated_at < self._session.before(older_than_seconds),
            )
            .order_by(jobs.c.id)
            .limit(limit)
        )
        return [
            StaleJob.model_validate(row._asdict()) for row in await self._session.rows(statement)
        ]

    async def withdraw(self, job_id: str, user_id: str) -> bool:
        """Take back a job whose workflow could not be started, with the memo made for it.

        Returns:
            False when the job has been started before, or is not there: nothing is changed then.
        """
        withdrawn = await self._session.row(_WITHDRAW, _own(job_id, user_id))
        if withdrawn is None:
            return False
        if withdrawn.kind == MEMO:
            await self._memos.withdraw(withdrawn.subject_id, user_id, job_id)
        return True

    async def requeue(
        self,
        job_id: str,
        user_id: str,
        *,
        deadline_seconds: float,
        changes: Mapping[str, Any] | None = None,
    ) -> StaleJob:
        """Queue a failed or cancelled job once more: a round higher, in ``request`` too.

        Args:
            deadline_seconds: the job has ended so long from now.
            changes: what is asked for otherwise than before; the rest of ``request`` stays.

        Raises:
            Conflict: ``invalid_transition``, the job has not failed.
            NotFound: there is no such job.
        """
        now = self._session.now
        found = await self.described(job_id, user_id)
        if found is None:
            raise NotFound
        again = int(found.request.get("round", 1)) + 1
        news = {**(changes or {}), "round": again}
        values = {
            **_own(job_id, user_id),
            "now": now,
            "new_step": Step.QUEUED,
            "new_error_code": None,
            "new_error_message": None,
        }
        statement = _moving(JobState.QUEUED).values(
            {
                jobs.c.round: jobs.c.round + 1,
                jobs.c.request: merged(jobs.c.request, news, self._session.dialect),
                jobs.c.tier: None,
                jobs.c.started_at: None,
                jobs.c.finished_at: None,
                jobs.c.deadline_at: now + timedelta(seconds=deadline_seconds),
            }
        )
        changed = await self._session.row(statement.returning(*_CHANGED), values)
        if changed is None:
            raise Conflict("Only a job that failed can be tried again", code="invalid_transition")
        data = {"state": JobState.QUEUED, "previous": changed.previous_state, "round": again}
        self._tell(job_id, user_id, changed, EventType.STATE, data)
        return found.model_copy(update={"request": {**found.request, **news}})

    async def event_seqs(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """Number of the latest event of each job that is there, whoever owns it."""
        statement = select(jobs.c.id, jobs.c.event_seq).where(jobs.c.id.in_(job_ids))
        return {row.id: row.event_seq for row in await self._session.rows(statement)}

    async def events_after(
        self, seen: Mapping[str, int], user_id: str, *, limit: int = 500
    ) -> Sequence[JobEvent]:
        """Events after the last one seen of each job, in order; jobs of others give none.

        Args:
            seen: the highest ``seq`` seen, by job id; 0 for none.
        """
        if not seen:
            return []
        statement = (
            select(job_events)
            .join(jobs, jobs.c.id == job_events.c.job_id)
            .where(_after_each(seen), jobs.c.user_id == user_id)
            .order_by(job_events.c.job_id, job_events.c.seq)
            .limit(limit)
        )
        return [_job_event(row) for row in await self._session.rows(statement)]


def _after_each(seen: Mapping[str, int]) -> ColumnElement[bool]:
    clauses = [
        and_(job_events.c.job_id == job_id, job_events.c.seq > seq) for job_id, seq in seen.items()
    ]
    return or_(*clauses)


def _own(job_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": job_id, "own_user": user_id}


def _job(row: Row[Any]) -> Job:
    failure = None
    if row.error_code is not None:
        failure = JobFailure(code=row.error_code, message=row.error_message or "")
    return Job.model_validate({**row._asdict(), "failure": failure})


def _job_event(row: Row[Any]) -> JobEvent:
    return JobEvent(
        job_id=row.job_id,
        seq=row.seq,
        type=EventType(row.type),
        at=row.at.isoformat(),
        data=row.data,
    )
