"""Whoever dies between any two of their effects leaves nothing that is not mended.

A sample of the places (FAULT_SEED) runs always, all of them with ``make test-slow``.
"""

import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from store.migrations import upgrade
from tests.api.front import Front, opened
from tests.faults.mortality import MortalStarter, make_mortal
from tests.faults.operations import OPERATIONS, Operation, lived_through
from tests.faults.own_token_operations import OWN_TOKEN_OPERATIONS, SETTINGS
from tests.faults.speech_operations import PRICES, SPEECH_OPERATIONS
from tests.faults.vendor_faults import seed

SAMPLE = {"sqlite": 2, "postgresql": 1}
EVERY = (*OPERATIONS, *SPEECH_OPERATIONS, *OWN_TOKEN_OPERATIONS)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
async def mortal(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
) -> AsyncIterator[Front]:
    """A front whose every effect may be its last."""
    folder = tmp_path_factory.mktemp("mortal")
    settings: dict[str, Any] = {**PRICES, **SETTINGS}
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres")
        settings["DATABASE_URL"] = postgres.url(await postgres.create_database())
        await upgrade(settings["DATABASE_URL"])
    else:
        shutil.copy(empty_database, folder / "voicekeep.db")
    async with opened(folder, starter=MortalStarter(), **settings) as front:
        make_mortal(front.database)
        yield front


@pytest.mark.parametrize("kind", EVERY)
async def test_an_operation_is_done_once_wherever_its_process_dies(
    mortal: Front, kind: type[Operation]
) -> None:
    effects = await lived_through(mortal, kind, None)
    # Two statements and a commit at least; the last place is the answer that was lost.
    assert effects > 2
    count = SAMPLE[mortal.database.engines[0].dialect.name]
    for place in random.Random(seed()).sample(range(1, effects + 2), count):
        await lived_through(mortal, kind, place)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY)
async def test_an_operation_is_done_once_at_every_place_its_process_may_die(
    mortal: Front, kind: type[Operation]
) -> None:
    effects = await lived_through(mortal, kind, None)
    for place in range(1, effects + 2):
        await lived_through(mortal, kind, place)
