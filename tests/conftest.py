"""What tests of every kind share."""

from collections.abc import Iterator

import pytest
import structlog

from tests.azurite import Azurite, azurite_server
from tests.faults.vendor_faults import seed
from tests.postgres import PostgresServer, postgres_server


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """What a test says of logs is said of its own alone: levels stay as they were before it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_report_header() -> str:
    """Which tenth of the fault matrix of memos runs."""
    return f"fault matrix: FAULT_SEED={seed()}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started when the first test asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Microsoft's stand-in for blob storage, started when the first test asks for it."""
    with azurite_server() as server:
        yield server
