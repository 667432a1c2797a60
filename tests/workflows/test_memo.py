"""The memo workflow on a real server with a virtual clock."""

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.errors import (
    FormatNotTaken,
    InsufficientCredits,
    MediaRejected,
    NoSpeech,
    NotThereYet,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    Unavailable,
)
from contracts.jobs import JobFailure, JobState
from contracts.memo import EndMemo, Reserved, Settled, VoiceFacts
from contracts.tiers import PlannedTier
from tests.workflows.conftest import MemoRunner
from tests.workflows.script import BLOCK, Script, transcript

FIRST = PlannedTier(name="first", provider="fake")
SECOND = PlannedTier(name="second", provider="fake")


def ending(script: Script) -> EndMemo:
    (order,) = script.asked("end")
    assert isinstance(order, EndMemo)
    return order


async def failure_of(memos: MemoRunner, script: Script) -> str:
    with pytest.raises(WorkflowFailureError) as caught:
        await memos.run(script)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type is not None
    return cause.type


async def test_a_memo_is_reserved_probed_transcribed_settled_headlined_and_ended(
    memos: MemoRunner,
) -> None:
    script = Script()
    result = await memos.run(script)
    assert script.names() == ["reserve", "probe", "transcribe", "settle", "headline", "end"]
    assert (result.state, result.charged, result.words) == (JobState.COMPLETED, 3, 12)


async def test_a_row_that_was_withdrawn_ends_without_any_effect(memos: MemoRunner) -> None:
    script = Script(reserve=[Reserved(present=False)])
    result = await memos.run(script)
    assert script.names() == ["reserve"]
    assert result.state is JobState.CANCELLED


async def test_a_retry_of_a_transcribed_memo_buys_nothing_again(memos: MemoRunner) -> None:
    script = Script(reserve=[Reserved(present=True, held=3, result=transcript("old"))])
    result = await memos.run(script, memos.job(round=2))
    assert script.names() == ["reserve", "settle", "headline", "end"]
    assert result.tier == "old"


async def test_short_of_credits_fails_before_any_vendor_is_called(memos: MemoRunner) -> None:
    script = Script(reserve=[InsufficientCredits(3, 1)])
    assert await failure_of(memos, script) == "insufficient_credits"
    assert script.names() == ["reserve", "end"]
    assert ending(script).state is JobState.FAILED


async def test_audio_that_is_still_on_its_way_is_waited_for(memos: MemoRunner) -> None:
    late = NotThereYet("not yet", retry_after=5)
    script = Script()
    script.answers["probe"] = [late, late, late, *script.answers["probe"]]
    result = await memos.run(script)
    assert result.state is JobState.COMPLETED
    assert len(script.asked("probe")) == 4


async def test_audio_that_cannot_be_taken_fails_with_its_reason(memos: MemoRunner) -> None:
    script = Script(probe=[MediaRejected("no", code="audio_too_long")])
    assert await failure_of(memos, script) == "audio_too_long"
    assert ending(script).failure == JobFailure(code="audio_too_long", message="no")


async def test_a_busy_tier_is_tried_again_and_then_the_next_one(memos: MemoRunner) -> None:
    busy = ProviderBusy("429", retry_after=300)
    exhausted = ProviderFailure("429", code="provider_busy")
    script = Script(FIRST, SECOND, transcribe=[busy, exhausted, transcript("second")])
    result = await memos.run(script)
    assert [order.tier.name for order in script.asked("transcribe")] == ["first", "first", "second"]
    assert result.tier == "second"


@pytest.mark.parametrize("failure", [ProviderOut("401"), ProviderBroken("not JSON")])
async def test_a_tier_that_cannot_serve_leads_to_the_next(
    memos: MemoRunner, failure: ProviderFailure
) -> None:
    script = Script(FIRST, SECOND, transcribe=[failure, transcript("second")])
    assert (await memos.run(script)).tier == "second"


async def test_every_tier_in_vain_fails_free_of_charge(memos: MemoRunner) -> None:
    script = Script(FIRST, SECOND, transcribe=[ProviderOut("401"), ProviderBroken("no")])
    assert await failure_of(memos, script) == "provider_broken"
    assert "settle" not in script.names()
    assert ending(script).state is JobState.FAILED


async def test_a_format_that_is_not_taken_is_converted_once_and_cleaned_up(
    memos: MemoRunner,
) -> None:
    script = Script(transcribe=[FormatNotTaken("m4a"), transcript()])
    await memos.run(script)
    first, second = script.asked("transcribe")
    assert (first.key, first.facts.container) == ("u/m/audio.m4a", "mov")
    assert (second.key, second.facts.container) == ("u/m/work/j.wav", "wav")
    assert (second.facts.sample_rate, second.facts.seconds) == (16_000, first.facts.seconds)
    assert script.names().count("convert") == 1
    assert script.names()[-2:] == ["discard_work", "end"]


async def test_a_format_that_is_not_taken_even_converted_leads_to_the_next_tier(
    memos: MemoRunner,
) -> None:
    refused = FormatNotTaken("no")
    script = Script(FIRST, SECOND, transcribe=[refused, refused, transcript("second")])
    assert (await memos.run(script)).tier == "second"
    assert script.names().count("convert") == 1


async def test_silence_is_completed_without_transcript_and_free(memos: MemoRunner) -> None:
    script = Script(transcribe=[NoSpeech("none")])
    result = await memos.run(script)
    assert result.state is JobState.COMPLETED_NO_TRANSCRIPT
    assert "settle" not in script.names()
    assert "headline" not in script.names()


async def test_no_words_although_there_is_speech_leads_to_the_next_tier(memos: MemoRunner) -> None:
    script = Script(
        FIRST,
        SECOND,
        transcribe=[NoSpeech("none"), transcript("second")],
        voice_activity=[VoiceFacts(speech_seconds=40)],
    )
    assert (await memos.run(script)).tier == "second"


async def test_no_tier_hearing_words_in_speech_is_free_too(memos: MemoRunner) -> None:
    script = Script(
        FIRST,
        SECOND,
        transcribe=[NoSpeech("none"), ProviderOut("401")],
        voice_activity=[VoiceFacts(speech_seconds=40)],
    )
    assert (await memos.run(script)).state is JobState.COMPLETED_NO_TRANSCRIPT


async def test_a_failed_headline_leaves_a_completed_memo_with_the_reason(memos: MemoRunner) -> None:
    script = Script(headline=[ProviderBroken("nothing usable", code="headline_failed")])
    result = await memos.run(script)
    assert result.state is ending(script).state is JobState.COMPLETED
    expected = JobFailure(code="headline_failed", message="nothing usable")
    assert ending(script).headline_failure == expected


async def test_a_short_step_goes_on_patiently_while_the_database_is_away(
    memos: MemoRunner,
) -> None:
    script = Script(settle=[*[Unavailable("database")] * 12, Settled(charged=3)])
    result = await memos.run(script)
    assert result.charged == 3
    assert len(script.asked("settle")) == 13


@pytest.mark.parametrize("step", ["probe", "transcribe", "headline"])
async def test_cancelled_at_any_step_ends_cancelled(memos: MemoRunner, step: str) -> None:
    script = Script(**{step: [BLOCK]})
    async with memos.started(script) as handle:
        await script.blocked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    assert ending(script).state is JobState.CANCELLED
    assert script.names()[-2:] == ["discard_work", "end"]
