"""One attempt of one tier: recorded, resumed, bounded, and never bought twice."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

import pytest
from temporalio.testing import ActivityEnvironment

from activities import liveness
from activities.memo import MemoActivities
from activities.transcription import FREE_TRIES, TierBounds, TranscriptionActivities
from contracts import wav
from contracts.chunks import Chunk
from contracts.errors import (
    Conflict,
    NoSpeech,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
)
from contracts.jobs import JobState
from contracts.memo import EndMemo, HeardChunk, JoinChunks, MemoJob, TranscribeTier
from contracts.tiers import Attempt, AttemptOutcome, Capabilities, PlannedTier
from contracts.transcript import TranscriptPart, TranscriptRef
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.ports import FACTS, MemoryFiles, ScriptedTools, ScriptedTranscriber, part

PAID = Capabilities(free=False)


class Bench:
    """The activity over a real database, one memo and one scripted engine."""

    def __init__(self, database: Database, job: MemoJob, engine: ScriptedTranscriber) -> None:
        self.database = database
        self.job = job
        self.engine = engine
        self.files = files = MemoryFiles()
        files.files[job.audio_path] = b"RIFF"
        self.activities = TranscriptionActivities(
            database=database,
            files=files,
            tools=ScriptedTools(),
            transcribers={"local": engine},
            bounds=TierBounds(tries=2, backoff_seconds=2),
        )
        self.memo = MemoActivities(database, files)

    async def transcribe(self, tier: str = "local") -> TranscriptRef:
        order = TranscribeTier(
            job=self.job,
            tier=PlannedTier(name=tier, provider="scripted"),
            key=self.job.audio_path,
            facts=FACTS,
        )
        return await ActivityEnvironment().run(self.activities.transcribe, order)

    async def attempts(self) -> list[Attempt]:
        async with self.database.read() as tx:
            return list(await tx.attempts.list(self.job.job_id, self.job.user_id))


class NewBench(Protocol):
    async def __call__(
        self, *script: TranscriptPart | BaseException, paid: bool = False
    ) -> Bench: ...


@pytest.fixture
def bench(database: Database, new_memo: NewMemo) -> NewBench:
    async def build(*script: TranscriptPart | BaseException, paid: bool = False) -> Bench:
        engine = ScriptedTranscriber(*script, capabilities=PAID if paid else None)
        bench = Bench(database, await new_memo(), engine)
        await bench.memo.reserve(bench.job)
        return bench

    return build


async def test_a_recorded_transcript_is_never_bought_again(bench: NewBench) -> None:
    one = await bench(part(0, 90, "hello there world"))
    first = await one.transcribe()
    assert await one.transcribe() == first
    assert one.engine.asked == [0.0]
    (attempt,) = await one.attempts()
    assert (attempt.tier, attempt.outcome) == ("local", AttemptOutcome.SUCCEEDED)
    assert (first.words, first.language, first.seconds) == (3, "en-US", 90)


async def test_a_killed_attempt_goes_on_after_its_last_saved_part(bench: NewBench) -> None:
    one = await bench(
        part(0, 30, "one two"), ConnectionResetError("the worker died"), part(30, 90, "three")
    )
    with pytest.raises(ConnectionResetError):
        await one.transcribe()
    ref = await one.transcribe()
    assert one.engine.asked == [0.0, 30.0]
    assert ref.words == 3
    lost, done = await one.attempts()
    assert (lost.outcome, lost.error_code) == (AttemptOutcome.FAILED, "worker_lost")
    assert done.outcome is AttemptOutcome.SUCCEEDED
    async with one.database.read() as tx:
        transcript = await tx.transcripts.load(one.job.job_id, one.job.user_id)
    assert transcript.text == "one two three"


async def test_a_busy_tier_waits_as_told_and_then_gives_up(bench: NewBench) -> None:
    one = await bench(ProviderBusy("429", retry_after=17), ProviderBusy("503"), paid=True)
    with pytest.raises(ProviderBusy) as again:
        await one.transcribe()
    assert (again.value.retry_after, again.value.final) == (17, False)
    with pytest.raises(ProviderFailure) as last:
        await one.transcribe()
    assert (last.value.final, last.value.code) == (True, "provider_busy")
    assert [a.outcome for a in await one.attempts()] == [AttemptOutcome.FAILED] * 2


async def test_a_vendor_that_wants_to_be_left_alone_for_long_is_not_asked_again(
    bench: NewBench,
) -> None:
    one = await bench(ProviderBusy("429", retry_after=301), paid=True)
    with pytest.raises(ProviderFailure) as last:
        await one.transcribe()
    assert (last.value.final, last.value.code) == (True, "provider_busy")


async def test_an_answer_that_cannot_be_read_counts_as_a_try(bench: NewBench) -> None:
    unreadable = ProviderBusy("?", code="answer_malformed")
    one = await bench(unreadable, unreadable, paid=True)
    with pytest.raises(ProviderBusy):
        await one.transcribe()
    with pytest.raises(ProviderFailure) as last:
        await one.transcribe()
    assert (last.value.final, last.value.code) == (True, "answer_malformed")


async def test_a_key_that_is_refused_is_no_try_of_the_next_one(bench: NewBench) -> None:
    refused = ProviderBusy("401", code="credential_out")
    one = await bench(refused, refused, refused, part(0, 90, "one"), paid=True)
    for _ in range(3):
        with pytest.raises(ProviderBusy) as again:
            await one.transcribe()
        assert again.value.retry_after == 0
    assert (await one.transcribe()).words == 1


async def test_a_busy_tier_that_says_no_time_backs_off_doubling(bench: NewBench) -> None:
    one = await bench(ProviderBusy("503"), paid=True)
    with pytest.raises(ProviderBusy) as again:
        await one.transcribe()
    assert again.value.retry_after == 2


@pytest.mark.parametrize(("paid", "most"), [(True, 2), (False, FREE_TRIES)])
async def test_a_call_that_kills_its_worker_is_repeated_a_bounded_number_of_times(
    bench: NewBench, paid: bool, most: int
) -> None:
    one = await bench(*[ConnectionResetError("died")] * 20, paid=paid)
    for _ in range(most):
        with pytest.raises(ConnectionResetError):
            await one.transcribe()
    with pytest.raises(ProviderFailure) as caught:
        await one.transcribe()
    assert (caught.value.code, caught.value.final) == ("worker_lost", True)
    assert len(one.engine.asked) == most


async def test_no_words_is_an_empty_attempt_and_no_speech(bench: NewBench) -> None:
    one = await bench(part(0, 90, ""))
    with pytest.raises(NoSpeech):
        await one.transcribe()
    (attempt,) = await one.attempts()
    assert attempt.outcome is AttemptOutcome.EMPTY


async def test_a_tier_this_worker_does_not_have_is_out(bench: NewBench) -> None:
    one = await bench()
    with pytest.raises(ProviderOut):
        await one.transcribe("azure-fast")
    assert await one.attempts() == []


async def test_a_transcript_that_comes_after_the_end_is_not_kept(bench: NewBench) -> None:
    one = await bench(part(0, 90, "too late"))

    async def ending() -> AsyncGenerator[TranscriptPart, None]:
        await one.memo.end(EndMemo(job=one.job, state=JobState.CANCELLED))
        yield part(0, 90, "too late")

    one.engine.stream = ending
    with pytest.raises(Conflict):
        await one.transcribe()
    (attempt,) = await one.attempts()
    assert attempt.outcome is AttemptOutcome.SUPERSEDED
    async with one.database.read() as tx:
        assert await tx.transcripts.find(one.job.job_id, one.job.user_id) is None


async def test_a_job_that_ends_stops_the_call_that_is_still_at_work(
    bench: NewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "LOOK_SECONDS", 0.05)
    one = await bench()
    calling, closed = asyncio.Event(), asyncio.Event()

    async def hanging() -> AsyncGenerator[TranscriptPart, None]:
        calling.set()
        try:
            await asyncio.Event().wait()
            yield part(0, 90, "never")
        finally:
            closed.set()

    one.engine.stream = hanging
    call = asyncio.create_task(one.transcribe())
    await calling.wait()
    await one.memo.end(EndMemo(job=one.job, state=JobState.CANCELLED))
    with pytest.raises(asyncio.CancelledError):
        await call
    assert closed.is_set()
    (attempt,) = await one.attempts()
    assert attempt.outcome is AttemptOutcome.CANCELLED


CHUNK = Chunk(index=1, start=30.0, end=60.0, lead_in=2.0, speech=20.0)


async def in_chunk(one: Bench, chunk: Chunk = CHUNK) -> HeardChunk:
    order = TranscribeTier(
        job=one.job,
        tier=PlannedTier(name="local", provider="scripted"),
        key=one.job.audio_path,
        facts=FACTS.model_copy(update={"seconds": chunk.hears_to - chunk.hears_from}),
        chunk=chunk,
    )
    return await ActivityEnvironment().run(one.activities.transcribe_chunk, order)


async def join(one: Bench, *chunks: Chunk) -> TranscriptRef:
    order = JoinChunks(job=one.job, chunks=chunks, route="local", seconds=90)
    return await ActivityEnvironment().run(one.activities.join_chunks, order)


async def test_a_chunk_is_heard_from_its_own_bytes_and_kept_in_the_recordings_times(
    bench: NewBench,
) -> None:
    one = await bench(part(0, 32, "eight words are said in this short chunk"))
    one.files.files[one.job.audio_path] = wav.header(2_880_000) + bytes(2_880_000)
    assert (await in_chunk(one)).words == 8
    assert one.engine.heard == [wav.header(32 * 32_000) + bytes(32 * 32_000)]
    async with one.database.read() as tx:
        (kept,) = await tx.transcripts.parts(one.job.job_id, one.job.user_id, "chunks")
    assert (kept.start, kept.end, kept.words[0].offset) == (30, 60, 28_000)


async def test_a_chunk_that_is_kept_is_never_bought_again(bench: NewBench) -> None:
    one = await bench(part(0, 32, "once only"))
    one.files.files[one.job.audio_path] = wav.header(2_880_000) + bytes(2_880_000)
    assert await in_chunk(one) == await in_chunk(one)
    assert len(one.engine.asked) == 1
    (attempt,) = await one.attempts()
    assert attempt.chunk == 1


async def test_silence_in_a_chunk_is_an_answer_and_words_missing_in_speech_are_not(
    bench: NewBench,
) -> None:
    one = await bench()
    one.files.files[one.job.audio_path] = wav.header(2_880_000) + bytes(2_880_000)
    with pytest.raises(NoSpeech):
        await in_chunk(one)
    silent = CHUNK.model_copy(update={"speech": 0.0})
    assert (await in_chunk(one, silent)).words == 0


async def test_chunks_at_once_do_not_take_each_other_for_lost(bench: NewBench) -> None:
    one = await bench()
    async with one.database.write() as tx:
        for index in (0, 1):
            await tx.attempts.begin(one.job.job_id, one.job.user_id, "t", "p", 1, chunk=index)
    assert [attempt.outcome for attempt in await one.attempts()] == [None, None]
    async with one.database.write() as tx:
        await tx.attempts.begin(one.job.job_id, one.job.user_id, "t", "p", 1, chunk=0)
    assert [attempt.error_code for attempt in await one.attempts()] == ["worker_lost", None, None]


async def test_joined_chunks_are_recorded_once_with_their_gaps(bench: NewBench) -> None:
    one = await bench()
    one.files.files[one.job.audio_path] = wav.header(2_880_000) + bytes(2_880_000)
    chunks = [Chunk(index=n, start=n * 30, end=n * 30 + 30) for n in range(3)]
    for chunk, text in ((chunks[0], "first words"), (chunks[2], "last words")):
        one.engine.script.append(part(0, 30, text))
        await in_chunk(one, chunk)
    ref = await join(one, *chunks)
    assert await join(one, *chunks) == ref
    async with one.database.read() as tx:
        transcript = await tx.transcripts.load(one.job.job_id, one.job.user_id)
        assert await tx.transcripts.parts(one.job.job_id, one.job.user_id, "chunks") == []
    assert transcript.text == "first words last words"
    assert [u.offset for u in transcript.utterances] == [0, 60_000]
