"""The real app over real SQLite and real files; only the starting of workflows is a stand-in."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime import logs
from runtime.settings_groups import LogSettings
from store.migrations import upgrade
from tests.api.front import Front, User, opened
from tests.postgres import PostgresServer


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Log lines as in production: crashes are told in one line."""
    logs.configure(LogSettings(LOG_LEVEL="error", LOG_FORMAT="json"))


@pytest.fixture(scope="session")
async def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without a row, to be copied."""
    path = tmp_path_factory.mktemp("database") / "voicekeep.db"
    await upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
async def migrated_postgres(postgres: PostgresServer) -> str:
    """Name of such a database on Postgres."""
    name = await postgres.create_database()
    await upgrade(postgres.url(name))
    return name


@pytest.fixture
def data_dir(tmp_path: Path, empty_database: Path) -> Path:
    shutil.copy(empty_database, tmp_path / "voicekeep.db")
    return tmp_path


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    """The app, asked over its ASGI door."""
    async with opened(data_dir) as front:
        yield front


@pytest.fixture
def anna(front: Front) -> User:
    return front.user()


@pytest.fixture
def ben(front: Front) -> User:
    return front.user()
