"""A recording no provider takes whole: cut at silences, transcribed in parallel, joined."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.audio import AudioActivities
    from activities.transcription import TranscriptionActivities
    from contracts import queues
    from contracts.audio import CONVERTED_BYTES_PER_SECOND, AudioFacts, as_converted
    from contracts.chunks import Chunk
    from contracts.errors import NoSpeech, ProviderOut
    from contracts.jobs import JobFailure
    from contracts.memo import (
        ConvertedAudio,
        CutAudio,
        HeardChunk,
        JoinChunks,
        MemoJob,
        TranscribeTier,
    )
    from contracts.tiers import PlannedTier
    from contracts.transcript import Gap, TranscriptRef
    from workflows import policies
    from workflows.steps import StepFailed, outcome

WINDOW: Final = 16
"""Chunks transcribed at once."""

MIXED: Final = "mixed"


def longest_chunk(tiers: Sequence[PlannedTier]) -> float:
    """Seconds that every one of the tiers takes at once."""
    return min(tier.chunk_seconds for tier in tiers if tier.chunk_seconds)


class LongAudio:
    """Each chunk is durable by itself and goes through the tiers by itself.

    Args:
        converted: the 16 kHz mono WAV, cut already or not.
        tiers: in order; a chunk is short enough for each of them.
    """

    def __init__(
        self,
        job: MemoJob,
        converted: ConvertedAudio,
        facts: AudioFacts,
        tiers: Sequence[PlannedTier],
    ) -> None:
        self._job = job
        self._converted = converted
        self._facts = facts
        self._tiers = tiers
        self._out: set[str] = set()

    async def transcribe(self) -> TranscriptRef | None:
        """The transcript, with gaps where every tier failed; none when nothing was said.

        Raises:
            StepFailed: every tier failed in every chunk.
        """
        chunks = self._converted.chunks or await self._cut()
        window = asyncio.Semaphore(WINDOW)

        async def in_window(chunk: Chunk) -> HeardChunk | Gap:
            async with window:
                return await self._hear(chunk)

        results = await asyncio.gather(*(in_window(chunk) for chunk in chunks))
        gaps = tuple(result for result in results if isinstance(result, Gap))
        heard = [result for result in results if isinstance(result, HeardChunk)]
        if gaps and not heard:
            message = "Every tier failed in every part of the recording"
            raise StepFailed(JobFailure(code=gaps[-1].error, message=message), final=True)
        tiers = {one.tier for one in heard if one.words}
        if not tiers:
            return None
        route = tiers.pop() if len(tiers) == 1 else MIXED
        return await self._join(chunks, gaps, route)

    async def _cut(self) -> tuple[Chunk, ...]:
        seconds = longest_chunk(self._tiers)
        with outcome():
            plan = await workflow.execute_activity_method(
                AudioActivities.cut,
                CutAudio(
                    job=self._job,
                    key=self._converted.key,
                    seconds=self._facts.seconds,
                    chunk_seconds=seconds,
                ),
                task_queue=queues.MEDIA,
                start_to_close_timeout=policies.conversion_time(self._facts.seconds),
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=self._job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"into chunks of at most {seconds:.0f} s",
            )
        return plan.chunks

    async def _hear(self, chunk: Chunk) -> HeardChunk | Gap:
        failure = JobFailure(code=ProviderOut.code, message="No tier is left")
        for tier in self._tiers:
            if tier.name in self._out:
                continue
            try:
                return await self._attempt(tier, chunk)
            except StepFailed as step:
                failure = step.failure
                if failure.code == ProviderOut.code:
                    self._out.add(tier.name)
        if failure.code == NoSpeech.code:
            return HeardChunk(index=chunk.index, tier="", words=0)
        return Gap(start=chunk.start, end=chunk.end, error=failure.code)

    async def _attempt(self, tier: PlannedTier, chunk: Chunk) -> HeardChunk:
        seconds = chunk.hears_to - chunk.hears_from
        facts = as_converted(self._facts, int(seconds * CONVERTED_BYTES_PER_SECOND))
        order = TranscribeTier(
            job=self._job,
            tier=tier,
            key=self._converted.key,
            facts=facts.model_copy(update={"seconds": seconds}),
            chunk=chunk,
        )
        with outcome():
            return await workflow.execute_activity_method(
                TranscriptionActivities.transcribe_chunk,
                order,
                task_queue=queues.MEDIA if tier.free else None,
                start_to_close_timeout=policies.call_time(tier.call_seconds, seconds),
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=self._job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"{tier.name} · {chunk.start:.0f}-{chunk.end:.0f} s",
            )

    async def _join(
        self, chunks: tuple[Chunk, ...], gaps: tuple[Gap, ...], route: str
    ) -> TranscriptRef | None:
        order = JoinChunks(
            job=self._job, chunks=chunks, gaps=gaps, route=route, seconds=self._facts.seconds
        )
        with outcome():
            return await workflow.execute_activity_method(
                TranscriptionActivities.join_chunks,
                order,
                start_to_close_timeout=policies.PATIENT_TRY,
                schedule_to_close_timeout=policies.PATIENT,
                retry_policy=policies.PATIENT_RETRY,
                summary=f"{len(chunks)} chunks, {len(gaps)} gaps",
            )
