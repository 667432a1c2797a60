"""A matrix of faults: the cells that were chosen, run beside each other before any is judged."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client

from store.migrations import upgrade
from tests.fakes.openai import FakeOpenAI
from tests.site import Site

AT_ONCE: Final = 12


class Named(Protocol):
    """A column of the matrix, or a fault."""

    @property
    def name(self) -> str: ...


class Placed(Protocol):
    """One fault in one column."""

    @property
    def column(self) -> Named: ...

    @property
    def fault(self) -> Named: ...


C = TypeVar("C", bound=Placed)
S = TypeVar("S")


def chosen(request: pytest.FixtureRequest, test: str) -> list[tuple[Any, Any]]:
    """Column and fault of every cell that this run wants of a test, by the test's name."""
    return [
        (item.callspec.params["column"], item.callspec.params["fault"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test
    ]


async def site_of(client: Client, folder: Path) -> Site:
    """A migrated data folder, whose own vendor nobody asks."""
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    unused = FakeOpenAI()
    await unused.start()
    return Site(client, folder, unused)


async def seen_in_all(
    cells: Sequence[C], one: Callable[[C], Awaitable[S]], site: Site, untold: Sequence[str]
) -> Mapping[tuple[str, str], S]:
    """What came of each, by column and fault; in the end every invariant holds.

    Args:
        untold: words that may stand in no log.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def in_turn(cell: C) -> S:
        async with gate:
            return await one(cell)

    with capture_logs() as logs:
        found = await asyncio.gather(*(in_turn(cell) for cell in cells))
    said = str(logs).lower()
    assert not [word for word in untold if word.lower() in said]
    assert await site.broken() == []
    return {
        (cell.column.name, cell.fault.name): each for cell, each in zip(cells, found, strict=True)
    }
