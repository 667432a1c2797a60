"""Transcripts and events from outside, on a real server with a virtual clock."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from contracts.errors import (
    InsufficientCredits,
    MediaRejected,
    NoSpeech,
    NotThereYet,
    ProviderBroken,
)
from contracts.jobs import JobState
from contracts.memo import MemoResult
from contracts.outside import OutsideEnd, OutsideReport, VendorEvent
from contracts.tiers import PlannedTier
from tests.counts import Counts, count
from tests.workflows.conftest import MemoRunner
from tests.workflows.script import BLOCK, CHUNKS, Script, transcript
from workflows import policies
from workflows.memo import MemoWorkflow

WAIT = 900.0
OUTSIDE = PlannedTier(name="external", provider="external", outside=True, call_seconds=WAIT)
NEXT = PlannedTier(name="second", provider="fake")
BATCH = PlannedTier(name="batch", provider="azure", batch=True)
CHUNKED = PlannedTier(name="first", provider="fake", convert=True, chunk_seconds=30)
CAME = OutsideReport(round=1, success=True)
FAILED = OutsideReport(round=1, success=False, code="external_failed")
HOUR = NotThereYet("The vendor's job is still at work", retry_after=3600)
DONE = VendorEvent(vendor_job="v1")

Handle = WorkflowHandle[MemoWorkflow, MemoResult]


async def waits(script: Script, step: str, times: int = 1) -> None:
    """Until a step has been begun so often."""
    while len(script.asked(step)) < times:
        await asyncio.sleep(0.02)


async def tell(handle: Handle, report: OutsideReport) -> None:
    await handle.signal(MemoWorkflow.external_transcript, report)


async def seconds_of(handle: Handle) -> float:
    """How long the workflow took by the server's clock."""
    told = await handle.describe()
    assert told.close_time is not None
    return (told.close_time - told.start_time).total_seconds()


def ends(script: Script) -> list[OutsideEnd]:
    return [order.end for order in script.asked("end_outside")]


async def test_a_report_in_time_is_taken_over_and_no_tier_is_asked(memos: MemoRunner) -> None:
    script = Script(OUTSIDE, NEXT)
    async with memos.by_the_clock(script) as handle:
        await waits(script, "await_outside")
        await asyncio.sleep(0.2)
        await tell(handle, CAME)
        result = await handle.result()
        counts = count(await handle.fetch_history())
    assert (result.state, result.tier, result.charged) == (JobState.COMPLETED, "external", 3)
    assert "transcribe" not in script.names()
    assert script.names().count("adopt_outside") == 1
    assert ends(script) == []
    # One timer, one signal, and no more however long it is waited.
    assert (counts.actions, counts.events) == (9, 29)


async def test_nobody_reporting_leads_to_the_next_tier_when_the_time_is_over(
    memos: MemoRunner,
) -> None:
    script = Script(OUTSIDE, NEXT, transcribe=[transcript("second")])
    async with memos.started(script) as handle:
        result = await handle.result()
        assert WAIT <= await seconds_of(handle) < WAIT + 60
    assert result.tier == "second"
    assert ends(script) == [OutsideEnd.SILENT]


async def test_nobody_reporting_to_the_only_tier_fails_the_memo(memos: MemoRunner) -> None:
    script = Script(OUTSIDE)
    with pytest.raises(WorkflowFailureError) as caught:
        await memos.run(script)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "external_timed_out"
    assert "settle" not in script.names()


async def test_a_reported_failure_leads_to_the_next_tier_at_once(memos: MemoRunner) -> None:
    script = Script(OUTSIDE, NEXT, transcribe=[transcript("second")])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "await_outside")
        await tell(handle, FAILED)
        assert (await handle.result()).tier == "second"
        assert await seconds_of(handle) < WAIT
    assert ends(script) == [OutsideEnd.FAILED]


async def test_a_failure_that_was_reported_before_the_tier_began_is_not_waited_for(
    memos: MemoRunner,
) -> None:
    script = Script(OUTSIDE, NEXT, await_outside=[FAILED], transcribe=[transcript("second")])
    async with memos.started(script) as handle:
        assert (await handle.result()).tier == "second"
        assert await seconds_of(handle) < WAIT


async def test_a_failure_of_another_round_is_no_answer_to_this_one(memos: MemoRunner) -> None:
    script = Script(OUTSIDE, NEXT, transcribe=[transcript("second")])
    async with memos.by_the_clock(script, memos.job(round=2)) as handle:
        await waits(script, "await_outside")
        await tell(handle, FAILED)
        await memos.environment.fast_forward(handle)
        await handle.result()
        assert await seconds_of(handle) >= WAIT


async def test_no_words_heard_outside_are_words_for_the_next_tier_when_there_is_speech(
    memos: MemoRunner,
) -> None:
    silent = OutsideReport(round=1, success=False, code=NoSpeech.code)
    script = Script(OUTSIDE, NEXT, await_outside=[silent])
    result = await memos.run(script)
    assert result.state is JobState.COMPLETED_NO_TRANSCRIPT
    assert "voice_activity" in script.names()


async def test_a_report_ends_a_tier_that_is_at_work(memos: MemoRunner) -> None:
    script = Script(NEXT, transcribe=[BLOCK])
    async with memos.by_the_clock(script) as handle:
        await script.blocked.wait()
        await tell(handle, CAME)
        result = await handle.result()
    assert (result.tier, result.charged) == ("external", 3)
    assert script.names().count("transcribe") == 1
    assert script.names().count("settle") == 1
    assert script.names()[-2:] == ["discard_work", "end"]


async def test_a_tier_that_was_recorded_first_stays(memos: MemoRunner) -> None:
    script = Script(NEXT, transcribe=[BLOCK], adopt_outside=[transcript("second")])
    async with memos.by_the_clock(script) as handle:
        await script.blocked.wait()
        await tell(handle, CAME)
        assert (await handle.result()).tier == "second"
    assert script.names().count("settle") == 1


async def test_a_report_ends_chunks_that_are_at_work(memos: MemoRunner) -> None:
    script = Script(CHUNKED, transcribe_chunk=[BLOCK])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "transcribe_chunk", len(CHUNKS))
        await tell(handle, CAME)
        assert (await handle.result()).tier == "external"
    assert "join_chunks" not in script.names()


async def test_chunks_are_no_matter_of_the_tier_that_waits(memos: MemoRunner) -> None:
    script = Script(CHUNKED, OUTSIDE, transcribe_chunk=[ProviderBroken("no")])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "await_outside")
        await tell(handle, CAME)
        assert (await handle.result()).tier == "external"
    tiers = {order.tier.name for order in script.asked("transcribe_chunk")}
    assert tiers == {"first"}


async def test_a_report_completes_a_memo_whose_recording_cannot_be_read(memos: MemoRunner) -> None:
    script = Script(probe=[NotThereYet("no", retry_after=0.2)])
    refused = MediaRejected("no", code="audio_not_found")
    async with memos.by_the_clock(script) as handle:
        await waits(script, "probe")
        await tell(handle, CAME)
        script.answers["probe"] = [refused]
        assert (await handle.result()).tier == "external"


async def test_a_report_that_cannot_be_paid_fails_the_memo(memos: MemoRunner) -> None:
    script = Script(OUTSIDE, adopt_outside=[InsufficientCredits(30, 2)])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "await_outside")
        await tell(handle, CAME)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "insufficient_credits"
    assert "settle" not in script.names()


async def test_a_cancelled_memo_waits_for_nobody(memos: MemoRunner) -> None:
    script = Script(OUTSIDE)
    async with memos.by_the_clock(script) as handle:
        await waits(script, "await_outside")
        await asyncio.sleep(0.2)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert ends(script) == [OutsideEnd.CANCELLED]
    assert script.asked("end")[0].state is JobState.CANCELLED


async def test_a_report_after_the_transcript_changes_nothing(memos: MemoRunner) -> None:
    script = Script(headline=[BLOCK])
    async with memos.by_the_clock(script) as handle:
        await script.blocked.wait()
        await tell(handle, CAME)
        script.answers["headline"] = [ProviderBroken("no")]
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert "adopt_outside" not in script.names()


async def costs(handle: Handle) -> Counts:
    return count(await handle.fetch_history())


async def test_an_event_ends_the_pause_of_a_batch_job_at_once(memos: MemoRunner) -> None:
    script = Script(BATCH, collect_batch=[HOUR, transcript("batch")])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "collect_batch")
        await asyncio.sleep(0.2)
        await handle.signal(MemoWorkflow.vendor_event, DONE)
        result = await handle.result()
        assert await seconds_of(handle) < 3600
        woken = await costs(handle)
    assert (result.tier, len(script.asked("collect_batch"))) == ("batch", 2)
    assert script.names().count("discard_batch") == 1
    # 38 events without it: the signal, its workflow task, the cancelling and one look more.
    assert (woken.events, woken.actions) == (48, 11)


async def test_without_an_event_waiting_costs_no_history(memos: MemoRunner) -> None:
    script = Script(BATCH, collect_batch=[*[HOUR] * 20, transcript("batch")])
    async with memos.started(script) as handle:
        await handle.result()
        assert await seconds_of(handle) >= 20 * 3600
        skips = 20  # the server writes each down; time that passes by itself is none
        assert (await costs(handle)).events == 38 + skips


async def test_an_event_before_the_wait_makes_no_second_look(memos: MemoRunner) -> None:
    script = Script(BATCH)
    async with memos.by_the_clock(script) as handle:
        await handle.signal(MemoWorkflow.vendor_event, DONE)
        await handle.result()
    assert len(script.asked("collect_batch")) == 1


async def test_an_event_of_another_job_of_the_vendor_wakes_nobody(memos: MemoRunner) -> None:
    script = Script(BATCH, collect_batch=[HOUR, transcript("batch")])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "collect_batch")
        await asyncio.sleep(0.2)
        await handle.signal(MemoWorkflow.vendor_event, VendorEvent(vendor_job="v2"))
        await asyncio.sleep(0.5)
        assert len(script.asked("collect_batch")) == 1
        await handle.signal(MemoWorkflow.vendor_event, DONE)
        await handle.result()
    assert len(script.asked("collect_batch")) == 2


async def test_a_storm_of_events_makes_few_looks_and_a_bounded_history(memos: MemoRunner) -> None:
    script = Script(BATCH, collect_batch=[HOUR])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "collect_batch")
        for _ in range(20):
            await asyncio.gather(
                *(handle.signal(MemoWorkflow.vendor_event, DONE) for _ in range(50))
            )
        script.answers["collect_batch"] = [transcript("batch")]
        await memos.environment.fast_forward(handle)
        await handle.result()
        counts = await costs(handle)
    # The first look, one for each of so many wakes, and the last one.
    assert len(script.asked("collect_batch")) <= policies.MOST_WAKES + 2
    # A signal stands in the history, with a task of three events where none was open.
    assert counts.events <= 4 * 1000 + 100


async def test_a_report_from_outside_discards_the_batch_job_that_is_waited_for(
    memos: MemoRunner,
) -> None:
    script = Script(BATCH, collect_batch=[HOUR])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "collect_batch")
        await tell(handle, CAME)
        assert (await handle.result()).tier == "external"
        assert await seconds_of(handle) < 3600
    assert script.names().count("discard_batch") == 1


async def test_a_vendor_that_cannot_be_asked_holds_no_completed_memo_back(
    memos: MemoRunner,
) -> None:
    away = NotThereYet("The vendor does not answer", retry_after=0.3)
    script = Script(BATCH, collect_batch=[HOUR], discard_batch=[*[away] * 5, 2])
    async with memos.by_the_clock(script) as handle:
        await waits(script, "collect_batch")
        await tell(handle, CAME)
        await handle.result()
    assert script.names().index("end") < len(script.names()) - 1
    assert script.names().count("discard_batch") == 6
