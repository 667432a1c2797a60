"""What many stored memos cost the next request: hot statements over few rows and over many."""

import asyncio
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.measure import Round, Row, Samples, milliseconds, p50, ratio_row
from contracts import ids
from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store.database import Database, Transaction
from store.migrations import upgrade

FEW: Final = 100
MANY: Final = 100_000
ONE_IN: Final = 10
"""Of the memos belongs to the user who asks; the others to others."""
BATCH: Final = 500
SAMPLES: Final = 200
ME: Final = str(uuid.UUID(int=1))


def run(rounds: int, many: int = MANY) -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="voicekeep-bench-") as folder:
        return asyncio.run(_rows(Path(folder), rounds, many))


async def _rows(folder: Path, rounds: int, many: int) -> list[Row]:
    async with _filled(folder / "few.db", FEW) as few, _filled(folder / "many.db", many) as large:
        rows = []
        for name, ask in ASKED.items():
            pairs = [Round(await _timed(few, ask), await _timed(large, ask)) for _ in range(rounds)]
            what = f"{name}, {many:,} stored memos against {FEW}"
            rows.append(ratio_row(what, pairs, p50, milliseconds, most=1.25))
        return rows


class Filled:
    """A database with memos in it, and the ids of mine."""

    def __init__(self, database: Database, mine: list[str]) -> None:
        self.database = database
        self.mine = mine

    def one(self) -> str:
        """Any of mine."""
        return random.choice(self.mine)


@asynccontextmanager
async def _filled(path: Path, count: int) -> AsyncIterator[Filled]:
    url = f"sqlite:///{path}"
    await upgrade(url)
    database = Database(url, starting_credits=10**9)
    mine: list[str] = []
    for start in range(0, count, BATCH):
        async with database.write() as tx:
            for number in range(start, min(start + BATCH, count)):
                user = ME if number % ONE_IN == 0 else str(uuid.UUID(int=number + 2))
                memo = await _create(tx, user)
                if user == ME:
                    mine.append(memo)
                # What is stored is mostly done: nothing for reconcile to look at.
                await tx.jobs.move(ids.memo_job(memo), user, JobState.RUNNING, step=Step.PROBE)
                await tx.jobs.move(ids.memo_job(memo), user, JobState.CANCELLED, step=Step.DONE)
    yield Filled(database, mine)
    await database.close()


async def _create(tx: Transaction, user: str) -> str:
    memo = str(uuid.uuid4())
    job = MemoJob(
        job_id=ids.memo_job(memo), memo_id=memo, user_id=user, audio_path=f"{user}/{memo}/a.m4a"
    )
    await tx.memos.create(
        memo,
        user,
        title="New recording",
        title_by_user=False,
        source={"audio_path": job.audio_path},
        metadata={},
        job_id=job.job_id,
    )
    await tx.jobs.create(
        job.job_id,
        user,
        kind=ids.MEMO,
        subject_id=memo,
        request=job.model_dump(mode="json"),
        deadline_seconds=3600,
    )
    return memo


async def _start(filled: Filled) -> None:
    async with filled.database.write() as tx:
        memo = await _create(tx, ME)
        await tx.jobs.withdraw(ids.memo_job(memo), ME)


async def _get(filled: Filled) -> None:
    async with filled.database.read() as tx:
        await tx.memos.find(filled.one(), ME)


async def _page(filled: Filled) -> None:
    async with filled.database.read() as tx:
        await tx.memos.page(ME, limit=5)


async def _look_up(filled: Filled) -> None:
    async with filled.database.read() as tx:
        await tx.jobs.find(ids.memo_job(filled.one()), ME)


async def _tick(filled: Filled) -> None:
    async with filled.database.read() as tx:
        for state in (JobState.QUEUED, JobState.RUNNING):
            await tx.jobs.stale(state, older_than_seconds=20, after="", limit=200)
        await tx.media.abandoned(older_than_seconds=3600, limit=200)


ASKED: Final[dict[str, Callable[[Filled], Awaitable[None]]]] = {
    "start a memo": _start,
    "get a memo": _get,
    "page of memos": _page,
    "look up a job": _look_up,
    "tick of reconcile": _tick,
}


async def _timed(filled: Filled, ask: Callable[[Filled], Awaitable[None]]) -> Samples:
    samples = []
    for _ in range(SAMPLES):
        begun = time.perf_counter()
        await ask(filled)
        samples.append(time.perf_counter() - begun)
    return samples
