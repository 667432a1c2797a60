"""A real database, and memos in it that are ready to be worked on."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from contracts import ids
from contracts.audio import MediaKind
from contracts.language import Use
from contracts.language_job import LanguageJob, LanguageOrder
from contracts.memo import MemoJob
from contracts.transcript import Transcript
from store import schema
from store.database import Database
from tests.activities.purse import Purse, opened
from tests.activities.writing import ASK, Bench, NewBench, transcribed
from tests.fakes.scripted_model import ScriptedModel

NewMemo = Callable[..., Awaitable[MemoJob]]


@pytest.fixture
def starting_credits() -> int:
    """Of every user here."""
    return 150


@pytest.fixture
async def database(tmp_path: Path, starting_credits: int) -> AsyncIterator[Database]:
    address = f"sqlite:///{tmp_path / 'voicekeep.db'}"
    database = Database(address, starting_credits=starting_credits)
    schema.jobs.metadata.create_all(database.engines[0])
    yield database
    await database.close()


@pytest.fixture
def new_memo(database: Database) -> NewMemo:
    async def new(**fields: object) -> MemoJob:
        memo_id, user_id = str(uuid.uuid4()), str(fields.get("user_id", uuid.uuid4()))
        job = MemoJob(
            job_id=ids.memo_job(memo_id),
            memo_id=memo_id,
            user_id=user_id,
            audio_path=f"{user_id}/{memo_id}/audio.wav",
            claimed_seconds=61,
        ).model_copy(update=fields)
        async with database.write() as tx:
            await tx.memos.create(
                memo_id,
                user_id,
                title="New recording",
                title_by_user=False,
                source={"audio_path": job.audio_path},
                metadata={},
                job_id=job.job_id,
            )
            await tx.jobs.create(
                job.job_id,
                user_id,
                kind=ids.MEMO,
                subject_id=memo_id,
                request=job.model_dump(mode="json"),
                deadline_seconds=3600,
            )
            await tx.media.add(
                job.audio_path, user_id, kind=MediaKind.UPLOAD, memo_id=memo_id, job_id=None
            )
        return job

    return new


@pytest.fixture
def bench(database: Database, new_memo: NewMemo) -> NewBench:
    async def build(
        use: Use = Use.QUESTION,
        order: LanguageOrder = ASK,
        model: ScriptedModel | None = None,
        *,
        memos: int = 1,
        reserved: bool = True,
        said: Transcript | None = None,
    ) -> Bench:
        read = [await transcribed(database, await new_memo(), said=said)]
        user_id = read[0].user_id
        while len(read) < memos:
            read += [await transcribed(database, await new_memo(user_id=user_id))]
        job = LanguageJob(
            job_id=ids.language_job(use, str(uuid.uuid4())),
            use=use,
            user_id=user_id,
            subject_id=str(uuid.uuid4()) if use is Use.COMBINE else read[0].memo_id,
            memo_ids=tuple(memo.memo_id for memo in read),
            price=0 if use is Use.HEADLINE else 5,
        )
        async with database.write() as tx:
            await tx.jobs.create(
                job.job_id,
                user_id,
                kind=use,
                subject_id=job.subject_id,
                request=job.model_dump(mode="json"),
                deadline_seconds=3600,
            )
            await tx.language.order(job, order)
        made = Bench(database, model or ScriptedModel(), job)
        if reserved:
            await made.activities.reserve_language(job)
        return made

    return build


@pytest.fixture
async def purse(database: Database) -> AsyncIterator[Purse]:
    async with opened(database) as purse:
        yield purse
