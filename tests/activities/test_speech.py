"""The steps of reading a text aloud, each done twice, too late, or over what is gone."""

import asyncio
from uuid import uuid4

import pytest

from activities.speech_parts import at_hand
from contracts.audio import MediaKind
from contracts.errors import (
    Conflict,
    InsufficientCredits,
    NotFound,
    ProviderBusy,
    ProviderFailure,
)
from contracts.jobs import JobState, Step
from contracts.speech import (
    SAMPLE_BYTES,
    PlannedVoice,
)
from contracts.speech_division import divide
from contracts.speech_job import SpeechState
from contracts.tiers import AttemptOutcome
from store.database import Database
from tests.activities.reading import Reading
from tests.fakes.scripted_speech import SECONDS_OF_PART, TEXT


@pytest.fixture
async def reading(database: Database) -> Reading:
    reading = Reading(database)
    await reading.order()
    return reading


async def test_a_plan_made_twice_holds_the_price_once(reading: Reading) -> None:
    first = await reading.plan()
    assert (await reading.plan(), await reading.money()) == (first, (150, 3))
    (tier,) = first.tiers
    assert (tier.parts, tier.missing, first.characters) == (2, (0, 1), len(TEXT))


async def test_a_plan_tells_which_voices_may_speak_and_none_of_the_words(
    reading: Reading,
) -> None:
    (tier,) = (await reading.plan()).tiers
    async with reading.database.read() as tx:
        *_, event = await tx.jobs.events_after({reading.job.job_id: 0}, reading.user)
    assert event.data["state"] == JobState.RUNNING
    (voice,) = event.data["voices"]
    assert (
        divide(PlannedVoice.model_validate(voice), TEXT).hashes == divide(tier.voice, TEXT).hashes
    )
    assert "ships" not in str(event.data)


async def test_a_text_that_was_withdrawn_has_no_plan_and_one_that_is_too_dear_no_job(
    reading: Reading,
) -> None:
    reading.job, ordered = reading.job.model_copy(update={"file_id": str(uuid4())}), reading.job
    assert not (await reading.plan()).present
    reading.job = ordered.model_copy(update={"price": 151})
    with pytest.raises(InsufficientCredits):
        await reading.plan()
    async with reading.database.read() as tx:
        assert await tx.jobs.state(ordered.job_id, reading.user) is JobState.QUEUED
    assert await reading.money() == (150, 0)


async def test_a_part_is_bought_once_however_often_and_by_how_many_at_once(
    reading: Reading,
) -> None:
    plan = await reading.plan()
    bought = await asyncio.gather(*(reading.speak(plan, 0) for _ in range(5)))
    assert sorted(bought) == [False] * 4 + [True]
    assert len(reading.speaker.calls) == 1
    assert await reading.outcomes() == [AttemptOutcome.SUCCEEDED]


async def test_what_was_spoken_for_one_text_is_not_missing_in_another(reading: Reading) -> None:
    plan = await reading.plan()
    await reading.speak(plan, 0)
    await reading.order(text=TEXT.replace("second", "third"))
    (tier,) = (await reading.plan()).tiers
    assert (tier.parts, tier.missing) == (2, (1,))


async def test_an_engine_that_is_busy_is_asked_again_and_then_given_up(reading: Reading) -> None:
    plan = await reading.plan()
    reading.speaker.faults = [ProviderBusy("busy") for _ in range(2)]
    with pytest.raises(ProviderBusy):
        await reading.speak(plan, 0)
    with pytest.raises(Exception, match="busy") as raised:
        await reading.speak(plan, 0)
    assert not isinstance(raised.value, ProviderBusy)
    assert await reading.outcomes() == [AttemptOutcome.FAILED] * 2


@pytest.mark.parametrize("lost", [False, True])
async def test_a_call_without_an_answer_leaves_no_file_announced_unless_one_may_be_there(
    reading: Reading, lost: bool
) -> None:
    plan, job = await reading.plan(), reading.job
    if lost:  # by a worker that may have stored its answer
        async with reading.database.write() as tx:
            await tx.attempts.begin(
                job.job_id, job.user_id, "tier", "scripted", 1, chunk=0, step=Step.SPEAK
            )
    reading.speaker.faults = [ProviderBusy("busy")]
    with pytest.raises(ProviderFailure):
        await reading.speak(plan, 0)
    async with reading.database.read() as tx:
        announced = await tx.media.of_job(job.job_id, job.user_id, MediaKind.WORK)
    assert len(announced) == lost


async def test_no_engine_is_asked_for_a_text_that_was_deleted(reading: Reading) -> None:
    plan = await reading.plan()
    async with reading.database.write() as tx:
        await tx.speech.remove(reading.job.file_id, reading.user)
    with pytest.raises(NotFound) as raised:
        await reading.speak(plan, 0)
    assert (raised.value.code, reading.speaker.calls) == ("deleted", [])


async def test_a_part_that_comes_after_the_end_of_its_job_is_not_kept(reading: Reading) -> None:
    async def ends() -> None:
        async with reading.database.write() as tx:
            await tx.jobs.move(reading.job.job_id, reading.user, JobState.CANCELLED, step=Step.DONE)

    plan = await reading.plan()
    reading.speaker.meanwhile = ends
    with pytest.raises(Conflict) as raised:
        await reading.speak(plan, 0)
    assert raised.value.code == "job_ended"
    assert await reading.outcomes() == [AttemptOutcome.SUPERSEDED]
    async with reading.database.read() as tx:
        # Its samples are loose: the sweep finds them.
        loose = await tx.media.abandoned(older_than_seconds=-1, limit=9)
    assert [owned.key for owned in loose] == [*reading.files.files]


async def test_a_file_joined_twice_is_one_and_charged_once(reading: Reading) -> None:
    plan = await reading.plan()
    for index in (1, 0):
        await reading.speak(plan, index)
    assert [await reading.join(plan) for _ in range(2)] == [2 * SECONDS_OF_PART] * 2
    assert await reading.money() == (147, 0)
    async with reading.database.read() as tx:
        file = await tx.speech.find(reading.job.file_id, reading.user)
        timings = await tx.speech.timings(reading.job.file_id, reading.user)
    assert file is not None
    assert (file.state, file.seconds, file.tier) == (SpeechState.READY, 1.0, "tier")
    samples = reading.files.files[file.key or ""]
    assert (samples[0], samples[-SAMPLE_BYTES]) == (2, 1)
    said = [(timing.text, timing.start, timing.end) for timing in timings]
    assert said == [("first", 0.1, 0.3), ("second", 0.6, 0.8)]


async def test_times_of_words_shrink_with_a_speed_the_engine_does_not_do(reading: Reading) -> None:
    await reading.order(speed=2.0)
    plan = await reading.plan()
    for index in (0, 1):
        await reading.speak(plan, index)
    assert await reading.join(plan) == SECONDS_OF_PART
    async with reading.database.read() as tx:
        timings = await tx.speech.timings(reading.job.file_id, reading.user)
    assert [timing.start for timing in timings] == pytest.approx([0.05, 0.3])


@pytest.mark.parametrize("lost", [(0,), (0, 1)])
async def test_parts_whose_files_are_lost_are_all_missing_in_the_next_plan_and_bought_anew(
    reading: Reading, lost: tuple[int, ...]
) -> None:
    plan = await reading.plan()
    for index in (0, 1):
        await reading.speak(plan, index)
    stored = [*reading.files.files]
    for index in lost:
        del reading.files.files[stored[index]]
    with pytest.raises(NotFound) as raised:
        await reading.join(plan)
    assert raised.value.code == "part_gone"
    assert (await reading.plan()).tiers[0].missing == lost
    for index in lost:
        assert await reading.speak(plan, index)
    assert await reading.join(plan) == 2 * SECONDS_OF_PART
    assert len(reading.speaker.calls) == 2 + len(lost)
    assert await reading.money() == (147, 0)


async def test_a_part_that_was_bought_anew_meanwhile_is_not_forgotten_as_lost(
    reading: Reading,
) -> None:
    plan = await reading.plan()
    await reading.speak(plan, 0)
    part_hash = divide(plan.tiers[0].voice, TEXT).hashes[0]
    async with reading.database.read() as tx:
        (lost,) = (await tx.speech.parts(reading.user, [part_hash])).values()
    reading.files.files.clear()
    # Two texts find it lost; the first has it bought anew before the second says so.
    for form in ("pcm", "flac"):
        with pytest.raises(NotFound):
            async with at_hand(reading.database, reading.files, reading.user, [lost]):
                raise AssertionError("a file that is not there was opened")
        await reading.order(format=form)
        await reading.speak(await reading.plan(), 0)
    assert len(reading.speaker.calls) == 2


async def test_a_part_whose_row_is_gone_is_not_left_out(reading: Reading) -> None:
    plan = await reading.plan()
    await reading.speak(plan, 0)
    with pytest.raises(NotFound) as raised:
        await reading.join(plan)
    assert raised.value.code == "part_gone"
    assert await reading.money() == (150, 3)
