"""What tests of every kind share."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.azurite import Azurite, azurite_server
from tests.faults.vendor_faults import seed
from tests.postgres import PostgresServer, postgres_server

# How long an example took says something of the machine, and nothing of what is tried.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """What a test says of logs is said of its own alone.

    Neither of the tests before it, nor of a worker or a command that a fixture of its file runs in
    this process: each sets levels for itself.
    """
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def pytest_report_header() -> str:
    """Which part of the fault matrices runs."""
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
