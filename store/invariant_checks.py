"""What is asked of the rows, page by page, and what is wrong with an answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from contracts import ids
from contracts.invariants import Invariant, Violation
from contracts.jobs import TRANSITIONS, EventType, JobState
from contracts.language import USES
from contracts.memo import MemoStatus
from contracts.webhooks import MessageState
from store.columns import spelled
from store.language_tables import language_notes
from store.ledger import (
    OPEN,
    RELEASED,
    SETTLED,
    credit_accounts,
    credit_entries,
    credit_holds,
)
from store.schema import (
    OPEN_JOB,
    attempts,
    job_events,
    jobs,
    memo_counts,
    memos,
    transcripts,
)
from store.webhook_tables import webhook_messages

PAGE: Final = 200

LOST_MESSAGE_SECONDS: Final = 7200.0
"""`reconcile` takes up within minutes what nobody delivers."""

Rows = Sequence[Row[Any]]


class Check(NamedTuple):
    """One walk through a table.

    Attributes:
        page: the statement of the page after a key (none: the first), at a time.
        key: label of what pages are ordered by.
        judge: what is wrong with a page.
    """

    page: Callable[[Any, datetime], Select[Any]]
    key: str
    judge: Callable[[Rows], Iterable[Violation]]


def _from(statement: Select[Any], key: ColumnElement[Any], after: Any) -> Select[Any]:
    start = statement if after is None else statement.where(key > after)
    return start.order_by(key).limit(PAGE)


def _sum(column: ColumnElement[Any], *where: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.coalesce(func.sum(column), 0)).where(*where).scalar_subquery()


def _accounts(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    account, entry, hold = credit_accounts.c, credit_entries.c, credit_holds.c
    own = entry.account_id == account.account_id
    by_user = and_(hold.user_id == account.account_id, hold.space_id.is_(None))
    paid = or_(by_user, hold.space_id == account.account_id)
    held = and_(paid, hold.state == spelled(OPEN))
    statement = select(
        account.account_id,
        account.balance,
        account.held,
        _sum(entry.balance_delta, own).label("entries_balance"),
        _sum(entry.held_delta, own).label("entries_held"),
        _sum(hold.amount, held).label("holds"),
    )
    return _from(statement, account.account_id, after)


def _judge_accounts(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        broken = (
            (row.balance != row.entries_balance, "The entries do not add up to the balance"),
            (row.held != row.entries_held, "The entries do not add up to what is held"),
            (row.held != row.holds, "The open holds do not add up to what is held"),
            (not 0 <= row.held <= row.balance, "More is held than there is"),
        )
        yield from _said(Invariant.LEDGER, row.account_id, broken)


def _holds(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    hold, entry = credit_holds.c, credit_entries.c
    account = func.coalesce(hold.space_id, hold.user_id)
    end = and_(
        entry.account_id == account, entry.key == hold.ended_by, entry.user_id == hold.user_id
    )
    of_payers_kind = and_(
        credit_accounts.c.account_id == account,
        credit_accounts.c.is_space == hold.space_id.is_not(None),
    )
    statement = (
        select(
            hold.key,
            hold.state,
            hold.amount,
            hold.charged,
            jobs.c.state.label("job_state"),
            entry.balance_delta,
            entry.held_delta,
            exists().where(transcripts.c.job_id == hold.job_id).label("transcribed"),
            exists().where(of_payers_kind).label("payer"),
        )
        .outerjoin(jobs, jobs.c.id == hold.job_id)
        .outerjoin(credit_entries, end)
    )
    return _from(statement, hold.key, after)


def _judge_holds(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        settled = row.state == SETTLED
        ended = row.job_state is None or JobState(row.job_state).final
        wrong_end = row.state != OPEN and (
            (row.balance_delta, row.held_delta) != (-row.charged, -row.amount)
        )
        for_nothing = settled and (
            row.job_state == JobState.COMPLETED_NO_TRANSCRIPT
            or (row.job_state == JobState.FAILED and not row.transcribed)
        )
        broken = (
            (wrong_end, "No entry tells how the hold ended"),
            (row.state == RELEASED and row.charged, "A released hold was charged"),
            (not row.payer, "Whoever pays has no account"),
        )
        yield from _said(Invariant.LEDGER, row.key, broken)
        of_job = (
            (row.state == OPEN and ended, "Credits are held for a job that has ended"),
            (for_nothing, "A job without a result was charged"),
        )
        yield from _said(Invariant.CHARGED_ONCE, row.key, of_job)


def _overdue(after: Any, now: datetime) -> Select[Any]:
    statement = select(jobs.c.id).where(OPEN_JOB, jobs.c.deadline_at < now)
    return _from(statement, jobs.c.id, after)


def _judge_overdue(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        yield from _said(Invariant.ENDS, row.id, [(True, "The job is open past its deadline")])


def _jobs(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    settled = and_(credit_holds.c.job_id == jobs.c.id, credit_holds.c.state == SETTLED)
    negative = and_(attempts.c.job_id == jobs.c.id, attempts.c.seconds < 0)
    transcribed = transcripts.c.job_id == jobs.c.id
    statement = select(
        jobs.c.id,
        jobs.c.kind,
        jobs.c.state,
        jobs.c.request,
        jobs.c.created_at,
        jobs.c.started_at,
        jobs.c.finished_at,
        memos.c.id.label("memo_id"),
        memos.c.metadata.label("memo_metadata"),
        select(func.count()).where(settled).scalar_subquery().label("charges"),
        exists().where(negative).label("negative"),
        exists().where(transcribed).label("transcribed"),
        exists().where(language_notes.c.job_id == jobs.c.id).label("noted"),
    ).outerjoin(memos, and_(memos.c.job_id == jobs.c.id, memos.c.deleted_at.is_(None)))
    return _from(statement, jobs.c.id, after)


def _judge_jobs(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        times = [row.created_at, row.started_at, row.finished_at]
        known = [time for time in times if time is not None]
        broken = (
            (any(later < earlier for earlier, later in pairwise(known)), "It ends before it began"),
            (row.negative, "A vendor call took less than no time"),
        )
        yield from _said(Invariant.TIME, row.id, broken)
        if row.kind == ids.MEMO:
            yield from _judge_memo_job(row)
        elif row.kind in USES:
            yield from _judge_language_job(row)


def _judge_language_job(row: Row[Any]) -> Iterator[Violation]:
    completed = row.state == JobState.COMPLETED
    wanted = int(completed and bool(row.request.get("price")))
    broken = (
        (completed and row.charges != wanted, "What was written is charged once, this is not"),
        (not completed and row.charges, "What was not written was charged"),
    )
    yield from _said(Invariant.CHARGED_ONCE, row.id, broken)
    left = [(JobState(row.state).final and row.noted, "Notes outlived their job")]
    yield from _said(Invariant.NO_ORPHANS, row.id, left)


def _judge_memo_job(row: Row[Any]) -> Iterator[Violation]:
    state = JobState(row.state)
    completed = state is JobState.COMPLETED
    charges = [(completed and row.charges != 1, "A completed job is charged once, this is not")]
    yield from _said(Invariant.CHARGED_ONCE, row.id, charges)
    left = [(state.final and row.noted, "Notes outlived their job")]
    yield from _said(Invariant.NO_ORPHANS, row.id, left)
    if row.memo_id is None or not state.final:
        return
    processing = row.memo_metadata.get("processing", {}).get("transcription", {})
    told = processing.get("status", MemoStatus.PENDING)
    broken = (
        (told != state, f"The job is {state}, and its memo says {told}"),
        (completed and not row.transcribed, "A completed memo has no transcript"),
    )
    yield from _said(Invariant.EXISTS, row.id, broken)


def _memos(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    erasing = exists().where(jobs.c.id == literal(ids.erase_job("")) + cast(memos.c.id, Text))
    statement = select(
        memos.c.id,
        memos.c.deleted_at,
        exists().where(jobs.c.id == memos.c.job_id).label("made"),
        erasing.label("erasing"),
    )
    return _from(statement, memos.c.id, after)


def _judge_memos(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        broken = (
            (not row.made, "The memo has no job"),
            (row.deleted_at is not None and not row.erasing, "Nothing erases the deleted memo"),
        )
        yield from _said(Invariant.EXISTS, row.id, broken)


def _counts(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    counted = (
        select(func.count())
        .where(memos.c.user_id == memo_counts.c.user_id, memos.c.deleted_at.is_(None))
        .scalar_subquery()
    )
    statement = select(memo_counts.c.user_id, memo_counts.c.memos, counted.label("counted"))
    return _from(statement, memo_counts.c.user_id, after)


def _judge_counts(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        broken = [(row.memos != row.counted, f"{row.counted} memos are counted as {row.memos}")]
        yield from _said(Invariant.EXISTS, row.user_id, broken)


def _events(after: Any, now: datetime) -> Select[Any]:  # noqa: ARG001 - as every page
    page = _from(select(jobs.c.id, jobs.c.state, jobs.c.event_seq), jobs.c.id, after).subquery()
    event = job_events.c
    return (
        select(page, event.seq, event.type, event.at, event.data["state"].as_string().label("to"))
        .outerjoin(job_events, event.job_id == page.c.id)
        .order_by(page.c.id, event.seq)
    )


def _judge_events(rows: Rows) -> Iterator[Violation]:
    for job_id, group in groupby(rows, attrgetter("id")):
        events = list(group)
        told = [JobState(row.to) for row in events if row.type != EventType.PROGRESS and row.to]
        moves = pairwise([None, *told])
        numbers = [row.seq for row in events]
        broken = (
            (numbers != list(range(1, events[0].event_seq + 1)), "Events are missing"),
            (any(to not in TRANSITIONS[start] for start, to in moves), "A move is not allowed"),
            (told[-1:] != [events[0].state], "The last event does not tell the present state"),
        )
        yield from _said(Invariant.TRANSITIONS, job_id, broken)
        times = [row.at for row in events if row.at is not None]
        backwards = any(later < earlier for earlier, later in pairwise(times))
        yield from _said(Invariant.TIME, job_id, [(backwards, "Its events run backwards")])


def _messages(after: Any, now: datetime) -> Select[Any]:
    key = webhook_messages.c.event_id + "-" + cast(webhook_messages.c.endpoint_id, Text)
    late = webhook_messages.c.next_at < now - timedelta(seconds=LOST_MESSAGE_SECONDS)
    statement = select(key.label("id")).where(webhook_messages.c.state == MessageState.PENDING)
    return _from(statement.where(late), key, after)


def _judge_messages(rows: Rows) -> Iterator[Violation]:
    for row in rows:
        yield from _said(Invariant.TOLD, row.id, [(True, "Nobody delivers the message")])


def _said(
    invariant: Invariant, subject: str, broken: Iterable[tuple[Any, str]]
) -> Iterator[Violation]:
    for wrong, what in broken:
        if wrong:
            yield Violation(invariant=invariant, subject=subject, what=what)


CHECKS: Final = (
    Check(_accounts, "account_id", _judge_accounts),
    Check(_holds, "key", _judge_holds),
    Check(_overdue, "id", _judge_overdue),
    Check(_jobs, "id", _judge_jobs),
    Check(_memos, "id", _judge_memos),
    Check(_counts, "user_id", _judge_counts),
    Check(_events, "id", _judge_events),
    Check(_messages, "id", _judge_messages),
)
