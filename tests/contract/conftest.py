"""The store over each database it runs on: every test finds all tables, and nothing in them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest

from contracts import ids
from contracts.audio import MediaKind
from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store import migrations
from store.columns import METADATA
from store.database import Database
from tests.fakes.language import VENDORS, Stage
from tests.postgres import PostgresServer

DIALECTS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))

T = TypeVar("T")
NewMemo = Callable[..., Awaitable[MemoJob]]


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own, for fixtures that are chosen while tests are set up."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "voicekeep.db"
    run(migrations.upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres: PostgresServer) -> str:
    name = run(postgres.create_database())
    run(migrations.upgrade(postgres.url(name)))
    return name


async def empty(address: str) -> None:
    connection = await asyncpg.connect(address, command_timeout=20)
    tables = reversed(METADATA.sorted_tables)
    await connection.execute(";".join(str(table.delete()) for table in tables))
    await connection.close()


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database with every table."""
    if dialect == "sqlite":
        path = tmp_path / "voicekeep.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    address = server.url(request.getfixturevalue("migrated_database"))
    run(empty(address))
    yield address


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Callable[..., Database]]:
    """Opens further databases on the same address, closed at the end."""
    async with AsyncExitStack() as stack:

        def open_one(**options: Any) -> Database:
            database = Database(url, **options)
            stack.push_async_callback(database.close)
            return database

        yield open_one


@pytest.fixture
def database(opened: Callable[..., Database]) -> Database:
    return opened(starting_credits=150)


@pytest.fixture
def user() -> str:
    return str(uuid4())


@pytest.fixture
def new_memo(database: Database, user: str) -> NewMemo:
    """Makes a memo with its job, as a POST does; running, when that is said."""

    async def new(
        owner: str = user, *, running: bool = False, title: str = "New recording"
    ) -> MemoJob:
        memo_id = str(uuid4())
        job = MemoJob(
            job_id=ids.memo_job(memo_id),
            memo_id=memo_id,
            user_id=owner,
            audio_path=f"{owner}/{memo_id}/audio.m4a",
            claimed_seconds=60,
        )
        async with database.write() as tx:
            await tx.media.add(
                job.audio_path, owner, kind=MediaKind.UPLOAD, memo_id=memo_id, job_id=None
            )
            await tx.memos.create(
                memo_id,
                owner,
                title=title,
                title_by_user=False,
                source={"audio_path": job.audio_path, "duration": 60},
                metadata={"processing": {"transcription": {"status": "pending"}}},
                job_id=job.job_id,
            )
            await tx.media.claim(job.audio_path, owner, memo_id)
            await tx.jobs.create(
                job.job_id,
                owner,
                kind=ids.MEMO,
                subject_id=memo_id,
                request=job.model_dump(mode="json"),
                deadline_seconds=3600,
            )
            if running:
                await tx.jobs.move(job.job_id, owner, JobState.RUNNING, step=Step.PROBE)
        return job

    return new


@pytest.fixture(scope="module")
async def language_vendors() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.start()
    yield stage
    await stage.aclose()


@pytest.fixture
async def stage(language_vendors: Stage) -> AsyncIterator[Stage]:
    """The vendors of language models, who know nothing of the test before."""
    yield language_vendors
    await language_vendors.reset()


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> str:
    """Each vendor of language models."""
    name: str = request.param
    return name


@pytest.fixture(params=["gemini", "azure-dated"])
def reader(request: pytest.FixtureRequest) -> str:
    """A vendor for what is the same for all of them."""
    name: str = request.param
    return name
