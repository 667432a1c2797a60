"""Texts that are read aloud for credits kept elsewhere: a job's whole life over a real socket."""

import random
from contextlib import suppress
from typing import Final

import pytest

from contracts.errors import InsufficientCredits
from contracts.jobs import JobState
from contracts.reservations import ReservationState
from contracts.speech_job import SpeechPlan
from store.database import Database
from tests.activities.purse import Purse, patiently
from tests.activities.reading import Reading
from tests.faults.mortality import Fate, Killed, doomed, make_mortal
from tests.faults.vendor_faults import seed

SAMPLE: Final = 3
"""Places of death that always run."""


@pytest.fixture
def starting_credits() -> int:
    """All of them are the service's."""
    return 0


@pytest.fixture
async def reading(purse: Purse) -> Reading:
    reading = Reading(purse.database, purse.wallet)
    await reading.order()
    return reading


class Life:
    """The steps of a text as Temporal orders them: what was told is not ordered again."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.plan: SpeechPlan | None = None
        self.spoken = 0

    async def live(self) -> None:
        reading = self.reading
        if self.plan is None:
            self.plan = await patiently(reading.plan)
        for index in range(self.spoken, 2):
            await reading.speak(self.plan, index)
            self.spoken += 1
        await reading.join(self.plan)


async def test_a_text_is_reserved_and_committed_to_the_credit_once_it_is_spoken(
    purse: Purse, reading: Reading
) -> None:
    life = Life(reading)
    life.plan = await reading.plan()
    assert await purse.account(reading.job) == (147, 3, 0)
    assert await purse.here(reading.job) == (3, 3)
    await life.live()
    assert await purse.account(reading.job) == (147, 0, 3)
    assert await purse.here(reading.job) == (0, 0)
    assert await purse.states(reading.job) == [("committed", 3)]
    assert await purse.broken() == []


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_a_text_nobody_spoke_is_given_back(
    purse: Purse, reading: Reading, state: JobState
) -> None:
    await reading.plan()
    await reading.end(state)
    assert await purse.account(reading.job) == (150, 0, 0)
    assert await purse.here(reading.job) == (0, 0)
    assert await purse.broken() == []


async def test_too_few_credits_at_the_service_reserve_nothing_and_ask_no_engine(
    purse: Purse, reading: Reading
) -> None:
    purse.service.earned[reading.user] = 2
    with pytest.raises(InsufficientCredits) as short:
        await reading.plan()
    assert (short.value.required, short.value.available) == (3, 2)
    await reading.end()
    assert await purse.account(reading.job) == (2, 0, 0)
    assert reading.speaker.calls == []


async def test_a_plan_made_again_for_lost_parts_reserves_nothing_more(
    purse: Purse, reading: Reading
) -> None:
    for _ in range(3):
        await reading.plan()
    assert purse.service.made("reserve") == 1
    assert await purse.account(reading.job) == (147, 3, 0)


async def test_a_text_without_a_price_never_asks_the_service(purse: Purse) -> None:
    reading = Reading(purse.database, purse.wallet)
    await reading.order(price=0)
    await Life(reading).live()
    assert purse.service.calls == []


async def lived_through(purse: Purse, place: int | None) -> int:
    """A life with death at a place, and what is left once another worker took over."""
    reading = Reading(purse.database, purse.wallet)
    await reading.order()
    life = Life(reading)
    with doomed(Fate(place)) as fate, suppress(Killed):
        await life.live()
    assert fate.dead == (place is not None and fate.count == place)
    purse.anew()
    reading.work(purse.wallet)
    await life.live()
    await purse.wallet.heal()
    job = reading.job
    free, reserved, spent = await purse.account(job)
    # What nobody was told of stands as uncertain for an operator; nothing is charged twice.
    states = [state for state, _ in await purse.states(job)]
    unknown = states.count(ReservationState.UNCERTAIN)
    assert (free, reserved, spent) == (147 - 3 * unknown, 3 * unknown, 3)
    assert unknown <= 1
    assert await purse.here(job) == (0, 0)
    assert 2 <= len(reading.speaker.calls) <= 3
    assert [each for each in await purse.broken() if "not known" not in each] == []
    return fate.count


async def test_a_text_is_charged_once_wherever_its_worker_dies(
    purse: Purse, database: Database
) -> None:
    make_mortal(database)
    effects = await lived_through(purse, None)
    assert effects > 20
    for place in random.Random(seed()).sample(range(1, effects + 2), SAMPLE):
        await lived_through(purse, place)


@pytest.mark.slow
async def test_a_text_is_charged_once_at_every_place_its_worker_may_die(
    purse: Purse, database: Database
) -> None:
    make_mortal(database)
    effects = await lived_through(purse, None)
    for place in range(1, effects + 2):
        await lived_through(purse, place)
