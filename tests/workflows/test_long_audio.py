"""Recordings in chunks: each with its own tiers, gaps where all of them failed."""

from collections.abc import Callable

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from contracts.errors import NoSpeech, ProviderBroken, ProviderOut
from contracts.jobs import JobState
from contracts.memo import ConvertedAudio, HeardChunk, JoinChunks, TranscribeTier
from contracts.tiers import PlannedTier
from tests.workflows.conftest import MemoRunner
from tests.workflows.script import CHUNKS, Script

FIRST = PlannedTier(name="first", provider="fake", convert=True, chunk_seconds=30)
SECOND = PlannedTier(name="second", provider="fake", convert=True)


def heard(order: TranscribeTier) -> HeardChunk:
    assert order.chunk is not None
    return HeardChunk(index=order.chunk.index, tier=order.tier.name, words=5)


def failing(*failures: tuple[int, str, Exception]) -> Callable[[TranscribeTier], HeardChunk]:
    table = {(index, tier): failure for index, tier, failure in failures}

    def answer(order: TranscribeTier) -> HeardChunk:
        assert order.chunk is not None
        failure = table.get((order.chunk.index, order.tier.name))
        if failure is not None:
            raise failure
        return heard(order)

    return answer


def joined(script: Script) -> JoinChunks:
    (order,) = script.asked("join_chunks")
    assert isinstance(order, JoinChunks)
    return order


def tried(script: Script) -> list[tuple[int, str]]:
    orders = script.asked("transcribe_chunk")
    return sorted((order.chunk.index, order.tier.name) for order in orders)


async def test_every_chunk_is_transcribed_once_and_joined(memos: MemoRunner) -> None:
    script = Script(FIRST, SECOND, transcribe_chunk=[heard])
    result = await memos.run(script)
    assert result.state is JobState.COMPLETED
    assert tried(script) == [(0, "first"), (1, "first"), (2, "first")]
    assert (joined(script).route, joined(script).gaps) == ("first", ())
    assert script.names().count("convert") == 1


async def test_a_conversion_that_cuts_saves_the_cutting(memos: MemoRunner) -> None:
    cut = ConvertedAudio(key="u/m/work/j.wav", size=1, seconds=90, chunks=CHUNKS)
    script = Script(FIRST, SECOND, convert=[cut], transcribe_chunk=[heard])
    await memos.run(script)
    (order,) = script.asked("convert")
    assert order.chunk_seconds == FIRST.chunk_seconds
    assert joined(script).chunks == CHUNKS
    assert "cut" not in script.names()


async def test_a_recording_that_was_converted_whole_is_cut_afterwards(memos: MemoRunner) -> None:
    whole = PlannedTier(name="whole", provider="other", convert=True)
    script = Script(whole, FIRST, transcribe=[ProviderBroken("no JSON")], transcribe_chunk=[heard])
    await memos.run(script)
    assert [order.chunk_seconds for order in script.asked("convert")] == [0]
    assert [order.chunk_seconds for order in script.asked("cut")] == [FIRST.chunk_seconds]
    assert joined(script).chunks == CHUNKS


async def test_a_chunk_that_one_tier_fails_goes_to_the_next_by_itself(memos: MemoRunner) -> None:
    script = Script(
        FIRST, SECOND, transcribe_chunk=[failing((1, "first", ProviderBroken("no JSON")))]
    )
    await memos.run(script)
    assert tried(script) == [(0, "first"), (1, "first"), (1, "second"), (2, "first")]
    assert joined(script).route == "mixed"


async def test_a_chunk_that_every_tier_fails_is_a_gap_in_a_completed_memo(
    memos: MemoRunner,
) -> None:
    failures = [(1, tier, ProviderBroken("no")) for tier in ("first", "second")]
    script = Script(FIRST, SECOND, transcribe_chunk=[failing(*failures)])
    result = await memos.run(script)
    assert result.state is JobState.COMPLETED
    (gap,) = joined(script).gaps
    assert (gap.start, gap.end, gap.error) == (30, 60, "provider_broken")


async def test_every_chunk_failing_fails_the_memo_free_of_charge(memos: MemoRunner) -> None:
    script = Script(FIRST, transcribe_chunk=[ProviderOut("401")])
    with pytest.raises(WorkflowFailureError) as caught:
        await memos.run(script)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "provider_out"
    assert "settle" not in script.names()


async def test_no_words_in_any_chunk_is_no_transcript(memos: MemoRunner) -> None:
    script = Script(FIRST, SECOND, transcribe_chunk=[NoSpeech("none")])
    result = await memos.run(script)
    assert result.state is JobState.COMPLETED_NO_TRANSCRIPT
    assert "join_chunks" not in script.names()
