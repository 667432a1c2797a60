"""Recordings and tools for the tests of the providers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from providers.media_tools import MediaTools
from tests.media.recordings import recordings


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seconds of a tone in every container, by extension."""
    return recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="session")
async def tools(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaTools]:
    """Probe and conversion, shared: what a test kills comes back."""
    tools = MediaTools(tmp_path_factory.mktemp("work"))
    yield tools
    await tools.aclose()
