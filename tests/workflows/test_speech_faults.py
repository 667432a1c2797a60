"""Every fault of every vendor through a whole text, by the table in ``speech_matrix``.

As the matrix of memos: a seeded share always (``FAULT_SEED`` chooses another one), all of it behind
``slow``; the texts are read beside each other on one server that skips time.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.transcription import LONGEST_WAIT_SECONDS
from contracts.speech_job import SpeechState
from engines import open_engines
from providers.process_pool import ProcessPool
from tests.faults.asked_delays import AskedDelays
from tests.faults.matrix_run import chosen, seen_in_all, site_of
from tests.faults.memo_world import KEYS, PLANTED, media_worker
from tests.faults.speech_matrix import CELLS, COLUMNS, EVERY, WORDS, Column, route
from tests.faults.speech_world import Cell, Ground, Seen, seen_in
from tests.faults.vendor_faults import SECONDS_ASKED, VendorFault, sampled, seed
from tests.faults.workflow_matrix import NEAR

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SHARE: Final = 0.03
SHORTEST_BACKOFF: Final = 2.0
"""Seconds; the default of TIER_BACKOFF_SECONDS."""
UNTOLD: Final = (PLANTED, KEYS, "harbour", "clocks of the town", "planted")
"""Stands in no history, row, event or log: words of vendors and of texts, keys."""

TEST: Final = "test_a_fault_takes_the_text_the_way_in_the_table"
ALL: Final = [(column, fault) for column in COLUMNS.values() for fault in EVERY]


@pytest.fixture(scope="module")
async def seen(
    request: pytest.FixtureRequest,
    skipping: WorkflowEnvironment,
    delays: AskedDelays,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[tuple[str, str], Seen]:
    """What came of the cells that were chosen, all of them made before the first is judged."""
    wanted = [Cell(*each) for each in chosen(request, TEST)]
    site = await site_of(skipping.client, tmp_path_factory.mktemp("speech"))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.close)
        engines = await open_engines(site.settings(), stack)
        pool = ProcessPool(workers=1)
        stack.push_async_callback(pool.aclose)
        await stack.enter_async_context(media_worker(site, engines))
        ground = Ground(site, engines, pool, delays)

        async def one(cell: Cell) -> Seen:
            return await seen_in(ground, cell)

        return await seen_in_all(wanted, one, site, UNTOLD)


def test_the_table_has_a_word_for_every_fault_of_every_vendor() -> None:
    vendors = {column.vendor for column in COLUMNS.values()}
    assert set(CELLS) == {(fault.name, vendor) for fault in EVERY for vendor in vendors}
    assert set(CELLS.values()) == set(WORDS)
    assert len({column.tiers for column in COLUMNS.values() if len(column.tiers) == 3}) == 6


@pytest.mark.parametrize(("column", "fault"), sampled(ALL, seed(), SHARE))
def test_a_fault_takes_the_text_the_way_in_the_table(
    seen: Mapping[tuple[str, str], Seen], column: Column, fault: VendorFault
) -> None:
    found, expected = seen[column.name, fault.name], route(column, fault)
    assert found.attempts == expected.attempts
    assert found.end == expected.end
    for vendor, calls in expected.calls.items():
        # Its bound is so short that a call of a slow vendor may end before it is made.
        least = 0 if fault.slow and vendor == column.vendor else calls
        assert least <= found.calls[vendor] <= calls, vendor
    assert found.credits == (expected.charged, 0, expected.charged)
    failed = expected.end.startswith("=")
    state, tier, code = found.file
    assert state == (SpeechState.FAILED if failed else SpeechState.READY)
    assert (tier, code) == ((None, expected.end[1:]) if failed else (expected.end, None))
    told = found.told.lower()
    assert not [word for word in UNTOLD if word.lower() in told]
    waits_as_told(found, fault)


def waits_as_told(found: Seen, fault: VendorFault) -> None:
    """What was asked of Temporal: the vendor's own time where it named one, else our back-off."""
    for asked in found.asked:
        if asked.final or asked.code != "provider_busy":
            continue
        assert asked.delay is not None
        if fault.name == "429 seconds":
            assert asked.delay in {SECONDS_ASKED, SHORTEST_BACKOFF}
        elif fault.name == NEAR.name:
            assert 0 < asked.delay <= LONGEST_WAIT_SECONDS
        else:
            assert asked.delay == SHORTEST_BACKOFF
