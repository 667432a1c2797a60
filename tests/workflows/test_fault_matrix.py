"""Every fault of every vendor's call through a whole memo, by the table in ``workflow_matrix``.

The memos run beside each other on one server that skips time; a seeded tenth of them always
(``FAULT_SEED`` chooses another one), all of them behind ``slow``.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.transcription import LONGEST_WAIT_SECONDS
from engines import open_engines
from providers.process_pool import ProcessPool
from tests.azurite import Azurite
from tests.contract.azure_faults import EXPECTED as OF_A_CALL
from tests.faults.asked_delays import AskedDelays
from tests.faults.matrix_run import chosen, seen_in_all, site_of
from tests.faults.memo_world import (
    KEYS,
    PLANTED,
    Cell,
    Ground,
    Seen,
    media_worker,
    seen_in,
)
from tests.faults.vendor_faults import (
    FAULTS,
    SECONDS_ASKED,
    VendorFault,
    filled,
    sampled,
    seed,
)
from tests.faults.workflow_matrix import CELLS, COLUMNS, NEAR, OWN, ROUTES, SAME, WORDS, Column
from tests.recordings import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

SHORTEST_BACKOFF: Final = 2.0
"""Seconds; the default of TIER_BACKOFF_SECONDS."""
PRICE: Final = {"wav": 2, "aiff": 2, "large": 12}
UNTOLD: Final = (PLANTED, KEYS, "harbour", "boats", "sig=", "Eby8vdM02", "upload_id")
"""Stands in no history, row, event or log: words of vendors and of speakers, keys, links."""
LONGEST_AWAY: Final = 3600.0
"""Seconds between two looks at a batch job, however long the vendor wants to be left alone."""

TEST: Final = "test_a_fault_takes_the_memo_the_way_in_the_table"
ALL: Final = [(COLUMNS[name], fault) for name in COLUMNS for fault in (*FAULTS, NEAR)]


@pytest.fixture(scope="module")
async def seen(
    request: pytest.FixtureRequest,
    skipping: WorkflowEnvironment,
    delays: AskedDelays,
    azurite: Azurite,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[tuple[str, str], Seen]:
    """What came of the cells that were chosen, all of them made before the first is judged."""
    wanted = [Cell(*each) for each in chosen(request, TEST)]
    folder = tmp_path_factory.mktemp("matrix")
    site = await site_of(skipping.client, folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.close)
        engines = await open_engines(site.settings(), stack)
        pool = ProcessPool(workers=2)
        stack.push_async_callback(pool.aclose)
        audio = recordings(folder)
        ground = Ground(skipping.client, site, engines, pool, azurite, audio, delays)
        await stack.enter_async_context(media_worker(site, engines))

        async def one(cell: Cell) -> Seen:
            own = OWN[cell.column.vendor]
            return await seen_in(ground, Cell(cell.column, filled(cell.fault, own)))

        return await seen_in_all(wanted, one, site, UNTOLD)


def recordings(folder: Path) -> dict[str, Path]:
    """Of eight seconds, and one of 16 MB."""
    sixteen = "sine=frequency=300:sample_rate=16000"
    return {
        "wav": make(folder / "tone.wav", 8, sixteen),
        "aiff": make(folder / "tone.aiff", 8, sixteen),
        "large": make(folder / "large.wav", 360),
    }


def test_the_table_has_a_cell_for_every_fault_and_call_and_a_route_for_every_cell() -> None:
    assert set(CELLS) == {(fault.name, column.name) for column, fault in ALL}
    assert len(FAULTS) >= 30
    for (fault, column), word in CELLS.items():
        assert (column, word) in ROUTES, (fault, column, word)
    assert {(column, word) for column, word in ROUTES} == {
        (column, word) for (_, column), word in CELLS.items()
    }


def test_the_table_agrees_with_that_of_the_calls_themselves() -> None:
    for (fault, column), word in CELLS.items():
        if column in SAME and fault != NEAR.name:
            kind, code = OF_A_CALL[fault, SAME[column]]
            assert WORDS[word] == (kind, code), (fault, column)


@pytest.mark.parametrize(("column", "fault"), sampled(ALL, seed()))
def test_a_fault_takes_the_memo_the_way_in_the_table(
    seen: Mapping[tuple[str, str], Seen], column: Column, fault: VendorFault
) -> None:
    found = seen[column.name, fault.name]
    route = ROUTES[column.name, CELLS[fault.name, column.name]]
    assert (found.attempts, found.end) == (route.attempts, route.end)
    assert found.headline == route.headline
    least, most = (0, 0) if fault.place else route.calls
    assert least <= found.calls <= most
    charged = PRICE[column.audio] if route.end == "completed" else 0
    assert found.credits == (charged, 0, charged)
    assert found.left == route.left
    told = found.told.lower()
    assert not [word for word in UNTOLD if word.lower() in told]
    waits_as_told(found, fault)


def waits_as_told(found: Seen, fault: VendorFault) -> None:
    """What was asked of Temporal: the vendor's own time where it named one, else our back-off."""
    for asked in found.asked:
        if asked.final or asked.code not in {"provider_busy", "answer_malformed"}:
            continue
        if asked.step in {"transcribe", "submit_batch", "transcribe_chunk"}:
            assert asked.delay is not None
            if fault.name == "429 seconds":
                assert asked.delay in {SECONDS_ASKED, SHORTEST_BACKOFF}
            elif fault.name == NEAR.name:
                assert 0 < asked.delay <= LONGEST_WAIT_SECONDS
            else:
                assert asked.delay == SHORTEST_BACKOFF
        if asked.step == "collect_batch":
            assert asked.delay is not None
            assert asked.delay <= LONGEST_AWAY
