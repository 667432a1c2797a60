"""What tests of every kind share."""

from collections.abc import Iterator

import pytest

from tests.azurite import Azurite, azurite_server
from tests.faults.vendor_faults import seed
from tests.postgres import PostgresServer, postgres_server


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
