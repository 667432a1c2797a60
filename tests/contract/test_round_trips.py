"""How many statements each step costs: exact, and the same on both databases."""

from collections.abc import Awaitable, Callable

from contracts.audio import AudioFacts, MediaKind
from contracts.headline import Headline
from contracts.jobs import JobState, Step
from contracts.memo import MemoJob, MemoStatus
from contracts.tiers import AttemptOutcome
from contracts.transcript import Transcript
from store.database import Database, Transaction
from tests.statements import asked_of

NewMemo = Callable[..., Awaitable[MemoJob]]
Call = Callable[[Transaction, MemoJob], Awaitable[object]]

FACTS = AudioFacts(container="mov", codec="aac", seconds=60, sample_rate=16_000, channels=1, size=1)
HEADLINE = Headline(title="t", intro="i", engine="e")
SAID = Transcript(text="hello there", seconds=60)

# Called in this order on one memo, each in a transaction of its own.
STEPS: list[tuple[str, int, Call]] = [
    ("state", 1, lambda tx, j: tx.jobs.state(j.job_id, j.user_id)),
    ("move", 2, lambda tx, j: tx.jobs.move(j.job_id, j.user_id, JobState.RUNNING, step=Step.PROBE)),
    ("hold", 3, lambda tx, j: tx.credits.hold(j.user_id, j.job_id, "hold", 2)),
    ("hold again", 2, lambda tx, j: tx.credits.hold(j.user_id, j.job_id, "hold", 2)),
    ("facts", 1, lambda tx, j: tx.media.save_facts(j.audio_path, j.user_id, j.memo_id, FACTS)),
    ("right hold", 1, lambda tx, j: tx.credits.adjust_hold(j.user_id, j.job_id, "a", 2)),
    ("wrong hold", 3, lambda tx, j: tx.credits.adjust_hold(j.user_id, j.job_id, "b", 4)),
    ("advance", 2, lambda tx, j: tx.jobs.advance(j.job_id, j.user_id, Step.TRANSCRIBE)),
    ("begin", 3, lambda tx, j: tx.attempts.begin(j.job_id, j.user_id, "local", "p", 1)),
    ("tries", 1, lambda tx, j: tx.attempts.tries(j.job_id, j.user_id, "local", 1)),
    ("transcript", 3, lambda tx, j: tx.transcripts.save(j.job_id, j.user_id, j.memo_id, "l", SAID)),
    (
        "end",
        1,
        lambda tx, j: tx.attempts.end(j.job_id, j.user_id, 1, AttemptOutcome.SUCCEEDED, seconds=1),
    ),
    ("settle", 3, lambda tx, j: tx.credits.settle(j.user_id, j.job_id, "s", 4, operation="t")),
    (
        "processing",
        1,
        lambda tx, j: tx.memos.set_processing(
            j.memo_id, j.user_id, "transcription", MemoStatus.COMPLETED
        ),
    ),
    ("headline", 1, lambda tx, j: tx.memos.save_headline(j.memo_id, j.user_id, HEADLINE)),
    ("release nothing", 1, lambda tx, j: tx.credits.release(j.user_id, j.job_id, "r")),
    ("work files", 1, lambda tx, j: tx.media.of_job(j.job_id, j.user_id, MediaKind.WORK)),
    ("memo", 1, lambda tx, j: tx.memos.find(j.memo_id, j.user_id)),
    ("page", 2, lambda tx, j: tx.memos.page(j.user_id, limit=20)),
    ("job", 1, lambda tx, j: tx.jobs.find(j.job_id, j.user_id)),
    ("events", 1, lambda tx, j: tx.jobs.events_after({j.job_id: 0}, j.user_id)),
    ("balance", 1, lambda tx, j: tx.credits.balance(j.user_id)),
]


async def test_each_step_costs_the_statements_it_is_known_for(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo()
    async with database.write() as tx:
        await tx.credits.balance(user)
    counted = []
    for name, _, call in STEPS:
        with asked_of(database) as asked:
            async with database.write() as tx:
                await call(tx, job)
        assert asked.commits == 1
        counted.append((name, len(asked.statements)))
    assert counted == [(name, count) for name, count, _ in STEPS]


async def test_a_memo_is_created_in_one_transaction_of_few_statements(
    database: Database, new_memo: NewMemo
) -> None:
    with asked_of(database) as asked:
        await new_memo()
    assert (asked.commits, len(asked.statements)) == (1, 6)
