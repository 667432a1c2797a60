"""What tests of every kind share."""

from collections.abc import Iterator

import pytest

from tests.azurite import Azurite, azurite_server
from tests.postgres import PostgresServer, postgres_server


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
