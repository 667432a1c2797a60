"""The speech workflow on a real server with a virtual clock."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from activities.speech_parts import gone
from contracts import queues
from contracts.errors import (
    Conflict,
    Failure,
    InsufficientCredits,
    NotFound,
    ProviderBroken,
    ProviderBusy,
    ProviderOut,
    Unavailable,
)
from contracts.jobs import JobFailure, JobState
from contracts.speech_job import (
    EndSpeech,
    SpeakPart,
    SpeechEnded,
    SpeechPlan,
    SpeechReady,
    SpokenPart,
)
from tests.workflows.conftest import SpeechRunner
from tests.workflows.script import BLOCK, Script, planned, speech_ended, texts
from workflows.speech import MENDS

HOUR = 3600.0
SPOKEN = SpokenPart(samples=24_000)
READY = SpeechReady(seconds=3, size=9, charged=3)


def spoken(script: Script) -> list[tuple[str, int]]:
    """Who was asked for which part, in any order within a tier."""
    orders = script.asked("speak_part")
    names = list(dict.fromkeys(order.voice.name for order in orders))
    return sorted(
        ((order.voice.name, order.index) for order in orders),
        key=lambda each: (names.index(each[0]), each[1]),
    )


def ending(script: Script) -> EndSpeech:
    """What the end was; the server may have it done twice when a part's own end comes meanwhile."""
    order, *others = script.asked("end_speech")
    assert isinstance(order, EndSpeech)
    assert all(other == order for other in others)
    return order


async def failure_of(reading: SpeechRunner, script: Script) -> str:
    with pytest.raises(WorkflowFailureError) as caught:
        await reading.run(script)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type is not None
    assert ending(script).state is JobState.FAILED
    assert ending(script).failure == JobFailure(code=cause.type, message=cause.message)
    return cause.type


def failing(tier: str, index: int, failure: Failure) -> Callable[[SpeakPart], SpokenPart]:
    """One part of one tier cannot be spoken."""

    def answer(order: SpeakPart) -> SpokenPart:
        if (order.voice.name, order.index) == (tier, index):
            raise failure
        return SPOKEN

    return answer


async def test_a_text_is_planned_spoken_and_joined_with_nothing_beside(
    reading: SpeechRunner,
) -> None:
    script = Script()
    result = await reading.run(script)
    assert script.names() == ["plan_speech", *["speak_part"] * 3, "join_speech"]
    assert spoken(script) == [("first", 0), ("first", 1), ("first", 2)]
    assert (result.state, result.tier, result.parts, result.bought, result.ready) == (
        *(JobState.COMPLETED, "first", 3, 3),
        READY,
    )


async def test_parts_that_are_there_are_not_asked_for(reading: SpeechRunner) -> None:
    script = Script(plan_speech=[planned(texts("first", 1, 4, parts=6))])
    result = await reading.run(script)
    assert spoken(script) == [("first", 1), ("first", 4)]
    assert (result.parts, result.bought) == (6, 2)


async def test_a_text_that_was_withdrawn_has_no_effect_at_all(reading: SpeechRunner) -> None:
    script = Script(plan_speech=[SpeechPlan(present=False)])
    assert (await reading.run(script)).state is JobState.CANCELLED
    assert script.names() == ["plan_speech"]


async def test_short_of_credits_fails_before_any_engine_is_called(reading: SpeechRunner) -> None:
    script = Script(plan_speech=[InsufficientCredits(3, 1)])
    assert await failure_of(reading, script) == "insufficient_credits"
    assert script.names() == ["plan_speech", "end_speech"]


@pytest.mark.parametrize("window", [1, 3])
async def test_no_more_parts_are_spoken_at_once_than_the_window_holds(
    reading: SpeechRunner, window: int
) -> None:
    open_now, most = 0, 0

    async def slowly(_: SpeakPart) -> SpokenPart:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if window > 1 and open_now == window:
            full.set()
        # Whoever comes first waits until the window is full, so that it is seen to be.
        await full.wait()
        await asyncio.sleep(0.02)
        open_now -= 1
        return SPOKEN

    full = asyncio.Event()
    if window == 1:
        full.set()
    script = Script(plan_speech=[planned(texts("first", parts=9))], speak_part=[slowly])
    result = await reading.run(script, window=window)
    assert (most, result.bought, len(script.asked("speak_part"))) == (window, 9, 9)


async def test_voices_of_this_machine_speak_on_the_queue_of_its_resources(
    reading: SpeechRunner,
) -> None:
    seen: set[str] = set()

    def answer(_: SpeakPart) -> SpokenPart:
        seen.add(activity.info().task_queue)
        return SPOKEN

    script = Script(plan_speech=[planned(texts("local", free=True))], speak_part=[answer])
    await reading.run(script)
    assert seen == {queues.MEDIA}


@pytest.mark.parametrize("failure", [ProviderOut("401"), ProviderBroken("half a sample")])
@pytest.mark.parametrize("at", [0, 2])
async def test_a_tier_that_fails_in_one_part_gives_way_in_all_of_them(
    reading: SpeechRunner, at: int, failure: Failure
) -> None:
    script = Script(speak_part=[failing("first", at, failure)])
    result = await reading.run(script, window=1)
    first = [("first", index) for index in range(at + 1)]
    assert spoken(script) == [*first, ("second", 0), ("second", 1), ("second", 2)]
    (joined,) = script.asked("join_speech")
    assert (joined.voice.name, result.tier, result.bought) == ("second", "second", at + 3)


async def test_calls_under_way_are_ended_when_their_tier_gives_way(reading: SpeechRunner) -> None:
    under_way, ended = set[int](), set[int]()
    both, all_ended = asyncio.Event(), asyncio.Event()

    async def answer(order: SpeakPart) -> SpokenPart:
        if order.voice.name == "second":
            return SPOKEN
        if order.index == 0:
            await both.wait()
            raise ProviderBroken("no")
        under_way.add(order.index)
        if len(under_way) == 2:
            both.set()
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            ended.add(order.index)
            if ended == under_way:
                all_ended.set()
            raise

    script = Script(speak_part=[answer])
    async with reading.started(script, window=3, heartbeat_seconds=1.0) as handle:
        result = await handle.result()
        # By its heartbeats a call learns that nobody wants it: not by the end of its worker.
        async with asyncio.timeout(20):
            await all_ended.wait()
    assert (result.tier, result.bought, ended) == ("second", 3, {1, 2})


async def test_every_tier_in_vain_fails_with_the_last_ones_reason(reading: SpeechRunner) -> None:
    script = Script(speak_part=[ProviderOut("401"), ProviderBroken("no")])
    script.answers["plan_speech"] = [planned(texts("first", 0), texts("second", 0))]
    assert await failure_of(reading, script) == "provider_broken"
    assert "join_speech" not in script.names()


@pytest.mark.parametrize(
    "failure", [NotFound("deleted", code="deleted"), Conflict("over", code="job_ended")]
)
@pytest.mark.parametrize("step", ["speak_part", "join_speech"])
async def test_no_other_tier_is_asked_for_a_text_nobody_waits_for_any_more(
    reading: SpeechRunner, step: str, failure: Failure
) -> None:
    script = Script(**{step: [failure]})
    assert await failure_of(reading, script) == failure.code
    assert {order.voice.name for order in script.asked("speak_part")} == {"first"}


async def test_a_busy_engine_is_left_alone_for_the_hours_it_asks_for(
    reading: SpeechRunner,
) -> None:
    busy = ProviderBusy("429", retry_after=4 * HOUR)
    script = Script(plan_speech=[planned(texts("first", 0))], speak_part=[busy, busy, SPOKEN])
    async with reading.started(script) as handle:
        result = await handle.result()
        told = await handle.describe()
    assert (result.tier, len(script.asked("speak_part"))) == ("first", 3)
    assert told.close_time is not None
    assert told.close_time - told.start_time >= timedelta(hours=8)


@pytest.mark.parametrize("step", ["speak_part", "join_speech"])
async def test_what_we_need_may_be_away_for_most_of_a_day(reading: SpeechRunner, step: str) -> None:
    away = Unavailable("no room on the disk", retry_after=5 * HOUR)
    script = Script(plan_speech=[planned(texts("first", 0))])
    script.answers[step] = [*[away] * 4, *script.answers[step]]
    result = await reading.run(script)
    assert (result.state, len(script.asked(step))) == (JobState.COMPLETED, 5)


async def test_an_engine_away_for_more_than_a_day_gives_way(reading: SpeechRunner) -> None:
    def answer(order: SpeakPart) -> SpokenPart:
        if order.voice.name == "first":
            raise Unavailable("away", retry_after=9 * HOUR)
        return SPOKEN

    script = Script(speak_part=[answer])
    script.answers["plan_speech"] = [planned(texts("first", 0), texts("second", 0))]
    assert (await reading.run(script)).tier == "second"
    assert spoken(script) == [*[("first", 0)] * 3, ("second", 0)]


@pytest.mark.parametrize("step", ["speak_part", "join_speech"])
async def test_a_step_whose_worker_gives_no_sign_of_life_is_given_to_another(
    reading: SpeechRunner, step: str
) -> None:
    async def silent(_: object) -> None:
        await asyncio.Event().wait()

    script = Script(plan_speech=[planned(texts("first", 0))])
    script.answers[step] = [silent, *script.answers[step]]
    result = await reading.run(script, heartbeat_seconds=1.0)
    assert result.state is JobState.COMPLETED
    assert len(script.asked(step)) >= 2  # a busy machine may be silent for a second more
    assert "end_speech" not in script.names()


@pytest.mark.parametrize("step", ["speak_part", "join_speech"])
async def test_cancelled_in_the_middle_ends_cancelled_after_its_parts(
    reading: SpeechRunner, step: str
) -> None:
    script = Script(**{step: [BLOCK]})
    async with reading.started(script) as handle:
        await script.blocked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    assert (ending(script).state, ending(script).failure) == (JobState.CANCELLED, None)
    assert script.names()[-1] == "end_speech"
    assert {order.voice.name for order in script.asked("speak_part")} == {"first"}


async def test_cancelled_too_late_is_completed(reading: SpeechRunner) -> None:
    script = Script(join_speech=[BLOCK])
    script.answers["end_speech"] = [SpeechEnded(state=JobState.COMPLETED, ready=READY)]
    async with reading.started(script) as handle:
        await script.blocked.wait()
        await handle.cancel()
        result = await handle.result()
    assert (result.state, result.ready, result.bought) == (JobState.COMPLETED, READY, 3)


async def test_a_join_whose_answer_was_lost_for_good_is_completed(reading: SpeechRunner) -> None:
    script = Script(join_speech=[Conflict("over", code="job_ended")])
    script.answers["end_speech"] = [SpeechEnded(state=JobState.COMPLETED, ready=READY)]
    result = await reading.run(script)
    assert (result.state, result.ready) == (JobState.COMPLETED, READY)


async def test_a_part_that_was_lost_before_it_was_joined_is_spoken_once_more(
    reading: SpeechRunner,
) -> None:
    script = Script(join_speech=[gone(), READY])
    script.answers["plan_speech"] = [
        planned(texts("first"), texts("second")),
        planned(texts("first", 1), texts("second")),
    ]
    result = await reading.run(script)
    assert spoken(script) == [("first", 0), ("first", 1), ("first", 1), ("first", 2)]
    assert script.names()[-4:] == ["join_speech", "plan_speech", "speak_part", "join_speech"]
    assert (result.state, result.tier, result.bought) == (JobState.COMPLETED, "first", 4)


async def test_a_tier_that_failed_is_not_asked_for_lost_parts_and_the_next_one_may_be(
    reading: SpeechRunner,
) -> None:
    def answer(order: SpeakPart) -> SpokenPart:
        again = len(script.asked("plan_speech")) > 1
        if order.voice.name == "first" or (again and order.voice.name == "second"):
            raise ProviderOut("401")
        return SPOKEN

    names = ("first", "second", "third")
    script = Script(join_speech=[gone(), READY], speak_part=[answer])
    script.answers["plan_speech"] = [planned(*(texts(name, 0, parts=1) for name in names))]
    result = await reading.run(script)
    asked = [order.voice.name for order in script.asked("speak_part")]
    assert asked == ["first", "second", "second", "third"]
    assert result.tier == "third"


async def test_parts_that_are_lost_again_and_again_fail_the_job_in_the_end(
    reading: SpeechRunner,
) -> None:
    script = Script(join_speech=[gone()])
    assert await failure_of(reading, script) == "part_gone"
    assert len(script.asked("join_speech")) == MENDS + 1
    assert len(script.asked("plan_speech")) == MENDS + 1


async def test_a_text_that_was_deleted_meanwhile_is_not_mended(reading: SpeechRunner) -> None:
    script = Script(join_speech=[gone()])
    script.answers["plan_speech"].append(SpeechPlan(present=False))
    assert await failure_of(reading, script) == "part_gone"
    assert len(script.asked("speak_part")) == 3


async def test_the_end_is_written_however_long_the_database_is_away(reading: SpeechRunner) -> None:
    script = Script(speak_part=[ProviderOut("401")])
    script.answers["plan_speech"] = [planned(texts("first", 0))]
    script.answers["end_speech"] = [*[Unavailable("database")] * 12, speech_ended]
    with pytest.raises(WorkflowFailureError):
        await reading.run(script)
    assert len(script.asked("end_speech")) == 13
