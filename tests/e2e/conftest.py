"""The real dev server, one for each file of tests."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.site import local_server


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """Its history is in memory, and gone with it."""
    async with local_server() as environment:
        yield environment
