"""No hot query reads a whole table: every statement of a memo's life, on both databases."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Table, event, insert, text

from contracts import ids
from contracts.audio import AudioFacts, MediaKind
from contracts.headline import Headline
from contracts.jobs import JobFailure, JobState, Step
from contracts.memo import MemoStatus
from contracts.tiers import AttemptOutcome
from contracts.transcript import TranscriptPart, Utterance, join_parts
from contracts.upload_sessions import UploadSession
from store import ledger, schema, upload_tables
from store.columns import METADATA
from store.database import Database
from tests.contract import (
    api_key_life,
    cost_life,
    event_life,
    outside_life,
    reservation_life,
    space_life,
    speech_life,
    webhook_life,
)
from tests.contract.api_key_life import api_key_rows, live_through_api_keys
from tests.contract.budget_life import budget_rows, live_through_budgets
from tests.contract.cost_life import live_through_costs
from tests.contract.event_life import live_through_events, notification_rows
from tests.contract.language_life import (
    language_rows,
    live_through_blueprints,
    live_through_writing,
)
from tests.contract.outside_life import live_through_outsiders, outside_rows
from tests.contract.reservation_life import live_through_reservations, reservation_rows
from tests.contract.speech_life import live_through_speech, speech_rows
from tests.contract.webhook_life import live_through_webhooks, webhook_rows

ROWS = 4000
ROWS_AT_ONCE = 500
NOW = datetime.now(UTC)
OWNER = str(UUID(int=1))
SPACE = str(UUID(int=2**64))
WHOLE_TABLE = "SELECT id FROM memos WHERE title = 'x'"
FACTS = AudioFacts(container="mov", codec="aac", seconds=60, sample_rate=16_000, channels=1, size=1)
PART = TranscriptPart(
    start=0, end=60, utterances=(Utterance(text="hello there", offset=0, duration=900),)
)


def rows_of(number: int) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One row for each table; half of the memos belong to one user."""
    owner = OWNER if number % 2 else str(UUID(int=10**9 + number))
    memo, at = str(UUID(int=10**6 + number)), NOW - timedelta(minutes=number)
    job, key = ids.memo_job(memo), f"{owner}/{memo}/audio.m4a"
    state = JobState.RUNNING if number % 50 == 0 else JobState.COMPLETED
    times = {"created_at": at, "updated_at": at}
    own = {"user_id": owner}
    member = owner if number % 500 == 1 else str(UUID(int=10**9 + number))
    yield schema.memos, {
        "id": memo, **own, **times, "source": {"audio_path": key}, "metadata": {}, "job_id": job,
        "audio_path": key, "is_pinned": False, "is_archived": False, "is_public": False,
        "title_by_user": False,
    }  # fmt: skip
    yield schema.memories, {
        "id": memo, "memo_id": memo, "sort_order": 0, "metadata": {}, **times
    }  # fmt: skip
    yield schema.jobs, {
        "id": job, **own, **times, "kind": "memo", "subject_id": memo, "state": state,
        "step": "done", "round": 1, "request": {}, "event_seq": 1, "attempt_number": 1,
        "deadline_at": at + timedelta(days=1),
    }  # fmt: skip
    yield schema.job_events, {
        "job_id": job, **own, "seq": 1, "type": "state", "data": {}, "at": at
    }  # fmt: skip
    yield schema.attempts, {
        "job_id": job, "number": 1, "round": 1, **own, "tier": "local", "provider": "p",
        "started_at": at,
    }  # fmt: skip
    yield schema.transcripts, {
        "job_id": job, "memo_id": memo, **own, "tier": "local", "seconds": 1.0, "text": "",
        "utterances": [], "words": [], "languages": [], "speakers": {}, "gaps": [],
        "word_count": 0, "speech": True, "sha256": "", "created_at": at,
    }  # fmt: skip
    yield schema.transcript_parts, {
        "job_id": job, "tier": "local", "start_seconds": 0.0, "end_seconds": 1.0, **own,
        "utterances": [], "words": [], "created_at": at,
    }  # fmt: skip
    yield schema.media, {
        "key": key, **own, "memo_id": memo, "job_id": job, "kind": "upload",
        "loose": number % 50 == 0, "created_at": at,
    }  # fmt: skip
    yield schema.spaces, {"id": memo, "name": "Team", "owner_id": member, **times}
    yield (
        schema.space_members,
        {"space_id": memo, "user_id": member, "role": "owner", "joined_at": at},
    )
    yield schema.memo_spaces, {"memo_id": memo, "space_id": memo, "created_at": at}
    yield schema.idempotency_keys, {
        "principal": member, "key": memo, "fingerprint": "", "busy_until": at, "created_at": at
    }  # fmt: skip
    yield from language_rows(job, memo, own, times)
    yield from webhook_rows(number, owner, at)
    yield from api_key_rows(memo, member, at)
    yield from outside_rows(number, job, memo, owner, at)
    yield from notification_rows(number, owner, at)
    yield from budget_rows(number, job, owner)
    yield from speech_rows(number, member, at)
    yield from reservation_rows(number, job, owner, at)
    yield upload_tables.uploads, {
        "id": memo, **own, **times, "key": key, "media_type": "audio/mp4", "length": 9,
        "received": 0, "sniffed": False, "metadata": "", "signed": False, "wanted": False,
        "expires_at": at + timedelta(days=1), "finished_at": at if number % 50 else None,
    }  # fmt: skip
    user = str(UUID(int=10**10 + number))
    yield schema.profiles, {"user_id": user, "app_settings": {}, "updated_at": at}
    yield schema.memo_counts, {"user_id": user, "memos": 1}
    yield ledger.credit_accounts, {
        "account_id": user, "balance": 150, "held": 0, "total_earned": 150, "total_spent": 0,
        **times,
    }  # fmt: skip
    yield ledger.credit_holds, {
        "key": f"{job}:hold", "user_id": user, "job_id": job, "amount": 2, "charged": 2,
        "state": "open" if number % 50 == 0 else "settled", "created_at": at,
    }  # fmt: skip
    yield ledger.credit_entries, {
        "account_id": user, "user_id": user, "key": f"{job}:hold", "kind": "hold", "amount": 2,
        "balance_delta": 0, "held_delta": 2, "created_at": at,
    }  # fmt: skip


def batched(rows: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]


async def fill(database: Database) -> None:
    by_table: dict[str, list[dict[str, Any]]] = {}
    for number in range(ROWS):
        for table, row in rows_of(number):
            by_table.setdefault(table.name, []).append(row)
    async with database.write() as tx:
        for table in METADATA.sorted_tables:
            for rows in batched(by_table[table.name], ROWS_AT_ONCE):
                await tx.session.run(insert(table).values(rows))
        await tx.session.run(text("ANALYZE"))


@contextmanager
def plans_of(database: Database, plans: dict[str, list[str]]) -> Iterator[None]:
    """Ask for the plan of every statement before it is run."""

    def explain(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> None:
        if statement in plans or statement.startswith("EXPLAIN"):
            return
        plans[statement] = []
        if connection.dialect.name == "postgresql":
            answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plan = answer.scalar_one()
            plans[statement] = list(_scans(json.loads(plan) if isinstance(plan, str) else plan))
        else:
            answer = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            names = {*METADATA.tables, "other", "present", "settled_before"}
            steps = [row[-1].split() for row in answer]
            plans[statement] = [
                " ".join(step) for step in steps if step[0] == "SCAN" and step[1] in names
            ]

    for engine in database.engines:
        event.listen(engine, "before_cursor_execute", explain)
    yield
    for engine in database.engines:
        event.remove(engine, "before_cursor_execute", explain)


def _scans(plan: Any) -> Iterator[str]:
    if isinstance(plan, list):
        for part in plan:
            yield from _scans(part)
    elif isinstance(plan, dict):
        if plan.get("Node Type") == "Seq Scan":
            yield f"Seq Scan {plan['Relation Name']}"
        for part in plan.values():
            yield from _scans(part)


async def live_through_everything(database: Database, user: str) -> None:
    memo_id = str(uuid4())
    job, key = ids.memo_job(memo_id), f"{user}/{memo_id}/audio.m4a"
    transcript = join_parts([PART], 60)
    async with database.write() as tx:
        await tx.idempotency.find(user, "key", busy_seconds=1)
        await tx.idempotency.keep(user, "key", "print", answer={}, busy_seconds=1)
        await tx.idempotency.finish(user, "key", 201)
        await tx.idempotency.forget(user, "key")
        await tx.idempotency.forget_expired(20)
        await tx.spaces.create(SPACE, user, "Team", None)
        await tx.media.add(key, user, kind=MediaKind.UPLOAD, memo_id=memo_id, job_id=None)
        await tx.memos.create(
            memo_id, user, title="t", title_by_user=False, source={"audio_path": key},
            metadata={}, job_id=job,
        )  # fmt: skip
        await tx.media.claim(key, user, memo_id)
        await tx.jobs.create(
            job, user, kind="memo", subject_id=memo_id, request={"round": 1}, deadline_seconds=9
        )
        await tx.spaces.link(memo_id, SPACE, user)
    async with database.write() as tx:
        await tx.jobs.state(job, user)
        await tx.jobs.move(job, user, JobState.RUNNING, step=Step.PROBE)
        await tx.credits.hold(user, job, f"{job}:hold", 2)
        await tx.media.save_facts(key, user, memo_id, FACTS)
        await tx.credits.adjust_hold(user, job, f"{job}:measured", 4)
        await tx.jobs.advance(job, user, Step.TRANSCRIBE, tier="local")
        number = await tx.attempts.begin(job, user, "local", "p", 1)
        await tx.attempts.tries(job, user, "local", 1)
        await tx.transcripts.save_part(job, user, "local", PART)
        await tx.transcripts.parts(job, user, "local")
        await tx.transcripts.save(job, user, memo_id, "local", transcript)
        await tx.attempts.end(job, user, number, AttemptOutcome.SUCCEEDED, seconds=1)
        await tx.credits.settle(user, job, f"{job}:settle", 4, operation="transcription")
        await tx.memos.set_processing(memo_id, user, "transcription", MemoStatus.COMPLETED)
        await tx.memos.save_headline(memo_id, user, Headline(title="t", intro="i", engine="e"))
        await tx.credits.release(user, job, f"{job}:release")
        failure = JobFailure(code="x", message="x")
        await tx.jobs.move(job, user, JobState.FAILED, step=Step.DONE, failure=failure)
        await tx.jobs.requeue(job, user, deadline_seconds=9)
        await live_through_company(tx, job, memo_id, user)
        await tx.jobs.withdraw(job, user)
        await tx.memos.patch(memo_id, user, title="Mine")
        await tx.profiles.change(user, settings={"memoro": {"language": "de"}})
        await live_through_blueprints(tx, str(uuid4()), OWNER)
    async with database.read() as tx:
        await read_everything(tx, job, memo_id, user)
    async with database.write() as tx:
        await tx.memos.mark_deleted(memo_id, user)
        await tx.language.at_work_on(memo_id, user)
        await tx.language.erase(memo_id, user)
        await tx.media.of_memo(memo_id, user)
        await tx.memos.erase(memo_id, user)
        await tx.media.remove(key, user)
        await live_through_uploads(tx, user)


async def live_through_company(tx: Any, job_id: str, memo_id: str, user: str) -> None:
    """What goes on around a memo while its job is there."""
    await live_through_outsiders(tx, job_id, memo_id, user)
    await live_through_budgets(tx, job_id, user)
    await live_through_writing(tx, job_id, memo_id, user)


# Of every owner, and named so; by a key or an owner that was checked by the statement before.
WITHOUT_OWNER = {
    "event numbers of watched jobs": "SELECT jobs.id, jobs.event_seq",
    "stale jobs": "ORDER BY jobs.id",
    "abandoned files": "ORDER BY media.created_at",
    "holds left over": "ORDER BY credit_holds.",
    "expired keys, looked for": "ORDER BY idempotency_keys.created_at",
    "expired keys, removed": "DELETE FROM idempotency_keys WHERE idempotency_keys.created_at",
    "turns of one user": "SELECT pg_advisory_xact_lock",
    "expired uploads": "ORDER BY uploads.expires_at",
    "uploads that have bytes": "SELECT uploads.id \nFROM uploads",
    "whose memo it is": "SELECT memos.user_id",
    "a link between own memo and own space": "DELETE FROM memo_spaces",
    "prompts of blueprints one may read": "FROM prompt_blueprints JOIN prompts",
    "links of one's own blueprint": "DELETE FROM prompt_blueprints",
    "the place after the memories of a memo that was just locked": "SELECT (SELECT coalesce(max",
    "a hold that could not be paid": "DELETE FROM credit_holds WHERE credit_holds.",
}


def has_owner(statement: str) -> bool:
    every = WITHOUT_OWNER | webhook_life.WITHOUT_OWNER | outside_life.WITHOUT_OWNER
    every |= event_life.WITHOUT_OWNER | cost_life.WITHOUT_OWNER
    every |= space_life.WITHOUT_OWNER | api_key_life.WITHOUT_OWNER | reservation_life.WITHOUT_OWNER
    every |= speech_life.WITHOUT_OWNER
    return (
        statement.startswith("INSERT")
        or "user_id = " in statement
        or "account_id = " in statement
        or "principal = " in statement
        or any(part in statement for part in every.values())
    )


async def live_through_uploads(tx: Any, user: str) -> None:
    upload = UploadSession(
        id=str(uuid4()), user_id=user, key=f"{user}/u/audio.m4a", media_type="audio/mp4", length=9,
        expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    await tx.uploads.open(user)
    await tx.uploads.add(upload)
    await tx.uploads.find(upload.id, user)
    await tx.uploads.want(upload)
    await tx.uploads.quiet_seconds(upload.key, user)
    await tx.uploads.extend(upload, NOW + timedelta(days=2))
    upload = await tx.uploads.advance(upload, 5, sniffed=True)
    await tx.uploads.finish(upload)
    await tx.uploads.expired(older_than_seconds=3600, passing=[], limit=20)
    await tx.uploads.expired(older_than_seconds=3600, passing=[upload.id], limit=20)
    await tx.uploads.known([upload.id, str(uuid4())])
    await tx.uploads.remove(upload.id, user)


async def database_reads_a_whole_table(database: Database) -> None:
    async with database.read() as tx:
        await tx.session.rows(text(WHOLE_TABLE))


async def read_everything(tx: Any, job: str, memo_id: str, user: str) -> None:
    await tx.memos.find(memo_id, user)
    await tx.memos.language(memo_id, user)
    await tx.memos.of_job(job, user)
    for reader in (user, OWNER):
        page = await tx.memos.page(reader, limit=20)
        await tx.memos.page(reader, limit=20, offset=100)
        await tx.memos.page(reader, limit=20, after=page.next)
    await tx.jobs.find(job, user)
    await tx.jobs.described(job, user)
    await tx.jobs.event_seqs([job, "x"])
    await tx.jobs.events_after({job: 0}, user)
    await tx.jobs.events_after({job: 0, "x": 1}, user)
    await tx.jobs.stale(JobState.RUNNING, older_than_seconds=60, after="memo-5", limit=20)
    await tx.jobs.stale(JobState.QUEUED, older_than_seconds=60, after="", limit=20)
    await tx.attempts.list(job, user)
    await tx.transcripts.find(job, user)
    await tx.transcripts.load(job, user)
    await tx.credits.balance(user)
    await tx.credits.of_job(user, job)
    await tx.credits.transactions(OWNER, limit=20, after=99)
    await tx.credits.left_over(after="memo-5", limit=20)
    await tx.media.of_job(job, user, MediaKind.WORK)
    await tx.media.abandoned(older_than_seconds=60, limit=20)
    await tx.spaces.role(SPACE, user)
    await tx.profiles.find(user)


@pytest.mark.parametrize("who", ["somebody new", "the owner of half of everything"])
async def test_no_statement_of_a_memos_life_reads_a_whole_table(
    database: Database, user: str, who: str
) -> None:
    await fill(database)
    plans: dict[str, list[str]] = {}
    with plans_of(database, plans):
        await live_through_everything(database, OWNER if "owner" in who else user)
        async with database.write() as tx:
            await live_through_webhooks(tx, OWNER if "owner" in who else user, NOW)
            await space_life.live_through_spaces(tx, OWNER if "owner" in who else user)
            await live_through_events(tx, OWNER if "owner" in who else user)
            await live_through_costs(tx, OWNER if "owner" in who else user, NOW)
            await live_through_api_keys(tx, OWNER if "owner" in who else user)
            await live_through_reservations(tx, "memo-new", OWNER if "owner" in who else user)
            await live_through_speech(tx, OWNER if "owner" in who else user, NOW)
        await database_reads_a_whole_table(database)
    assert plans.pop(WHOLE_TABLE) != []
    assert len(plans) > 50
    assert [statement for statement in plans if not has_owner(statement)] == []
    assert {statement: scans for statement, scans in plans.items() if scans} == {}
