"""What one language job costs, exactly, for each use; see ``test_costs.py``."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.language import Use
from contracts.language_job import LanguageJob
from store.migrations import upgrade
from tests.counts import count
from tests.fakes.openai import FakeOpenAI
from tests.site import Site
from tests.statements import asked_of
from tests.written import ordered, start, transcribed

pytestmark = pytest.mark.e2e

LARGEST_PAYLOAD = 2_000


class Cost(NamedTuple):
    """From the start of its workflow to its end; looks at the job's state left out."""

    actions: int
    events: int
    statements: int
    commits: int
    vendor_calls: int


GOLDEN = {
    Use.HEADLINE: Cost(3, 12, 16, 3, 1),
    Use.QUESTION: Cost(3, 12, 22, 3, 1),
    Use.COMBINE: Cost(3, 12, 21, 3, 1),
    Use.MEMORY: Cost(3, 12, 22, 3, 1),
    Use.BLUEPRINT: Cost(3, 12, 25, 3, 1),
    Use.TRANSLATE: Cost(3, 12, 25, 4, 1),
}


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Site]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Site(environment.client, tmp_path, vendor)
    yield site
    await site.close()


async def cost_of(site: Site, job: LanguageJob) -> Cost:
    calls = len(site.vendor.calls)
    with asked_of(site.database) as asked:
        handle = await start(site, job)
        await handle.result()
    counts = count(await handle.fetch_history())
    assert counts.largest_payload <= LARGEST_PAYLOAD
    return Cost(
        actions=counts.actions,
        events=counts.events,
        statements=sum(not each.startswith("SELECT jobs.state") for each in asked.statements),
        commits=asked.commits,
        vendor_calls=len(site.vendor.calls) - calls,
    )


async def test_each_use_costs_what_it_is_known_for(site: Site, tmp_path: Path) -> None:
    memo = await transcribed(site, tmp_path)
    german = await transcribed(site, tmp_path, "de-DE")
    async with site.working(LANGUAGE_MODEL_TIERS="openai"):
        await cost_of(site, await ordered(site, memo, Use.QUESTION, heartbeat_seconds=60))
        costs = {
            use: await cost_of(site, await ordered(site, of, use, heartbeat_seconds=60))
            for use in Use
            for of in [german if use is Use.TRANSLATE else memo]
        }
    assert costs == GOLDEN
