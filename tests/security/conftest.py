"""One app with every key set, for all tests of a module: each makes users of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime import logs
from runtime.settings_groups import LogSettings
from store.migrations import upgrade
from tests.api.front import Front, opened
from tests.security.callers import EVERY_KEY


@pytest.fixture(scope="session", autouse=True)
def quiet_logs() -> None:
    """Log lines as in production: crashes are told in one line."""
    logs.configure(LogSettings(LOG_LEVEL="error", LOG_FORMAT="json"))


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder with a migrated database."""
    folder = tmp_path_factory.mktemp("security")
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    return folder


@pytest.fixture(scope="module")
async def front(folder: Path) -> AsyncIterator[Front]:
    """The app, asked over its ASGI door."""
    async with opened(folder, **EVERY_KEY) as front:
        yield front
