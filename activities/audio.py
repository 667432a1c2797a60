"""What is done to the recording itself: probe, convert, look for speech."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from temporalio import activity

from activities.liveness import alive
from activities.ports import Database, Files, MediaTools, Transaction, VoiceActivity
from activities.wallet_ports import OwnWallet, Wallet
from contracts import ids
from contracts.audio import AudioFacts, MediaKind, check_bounds
from contracts.chunks import Chunk, make_chunks
from contracts.errors import MediaRejected, NotFound, NotThereYet
from contracts.jobs import Step
from contracts.memo import (
    ConvertAudio,
    ConvertedAudio,
    CutAudio,
    CutPlan,
    ListenForSpeech,
    MemoJob,
    ProbedAudio,
    VoiceFacts,
)
from contracts.pricing import transcription_price
from contracts.reservations import Need
from contracts.tiers import TierOffer, plan

One = TypeVar("One")
Other = TypeVar("Other")

WAIT_FIRST_SECONDS = 0.25
WAIT_MOST_SECONDS = 5.0


@dataclass(frozen=True)
class AudioLimits:
    """Bounds from the settings; ``max_seconds`` of decoded audio."""

    max_seconds: float


class AudioActivities:
    """Probe and conversion; the files they leave for others are in storage, never local paths."""

    def __init__(
        self,
        *,
        database: Database,
        files: Files,
        tools: MediaTools,
        voice: VoiceActivity,
        offers: Sequence[TierOffer],
        limits: AudioLimits,
        wallet: Wallet | None = None,
    ) -> None:
        self._database = database
        self._files = files
        self._tools = tools
        self._voice = voice
        self._offers = offers
        self._limits = limits
        self._wallet = wallet or OwnWallet()

    @activity.defn(name="probe")
    async def probe(self, job: MemoJob) -> ProbedAudio:
        """Measure the recording, plan its tiers and correct the hold to the measured seconds.

        Raises:
            NotThereYet: the file is still on its way; asked again until the job's wait is over.
            MediaRejected: no audio that can be taken, or it never came (``audio_not_found``).
            InsufficientCredits: the measured length costs more than is free.
        """
        began = time.monotonic()
        facts = await self._measure(job)
        check_bounds(facts, self._limits.max_seconds)
        tiers = plan(facts, job.languages, self._offers)
        key = ids.step_key(job.job_id, "hold_measured", job.round)
        price = transcription_price(facts.seconds)

        async def measured(_: Transaction) -> int:
            return price

        need = Need(job_id=job.job_id, user_id=job.user_id, key=key, round=job.round)
        await self._wallet.cover(need, measured)
        async with self._database.write() as tx:
            await tx.media.save_facts(job.audio_path, job.user_id, job.memo_id, facts)
            held = await tx.credits.adjust_hold(job.user_id, job.job_id, key, price)
            await self._wallet.adjusted(tx, job.job_id, job.user_id)
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.TRANSCRIBE,
                data={
                    "step": Step.PROBE,
                    "seconds": round(time.monotonic() - began, 3),
                    "audio_seconds": round(facts.seconds, 3),
                    "held": held,
                    "tiers": [tier.name for tier in tiers],
                },
            )
        await self._wallet.tell(job.job_id, job.user_id)
        return ProbedAudio(facts=facts, plan=tiers, held=held)

    async def _measure(self, job: MemoJob) -> AudioFacts:
        try:
            async with (
                alive(self._database, job.job_id, job.user_id),
                self._files.local(job.audio_path) as path,
            ):
                return await self._tools.probe(path)
        except NotFound:
            async with self._database.read() as tx:
                quiet = await tx.uploads.quiet_seconds(job.audio_path, job.user_id)
            raise _not_there(job, quiet) from None

    @activity.defn(name="convert")
    async def convert(self, order: ConvertAudio) -> ConvertedAudio:
        """Leave a 16 kHz mono WAV of the recording in storage, and say where it can be cut.

        The file has one name per job, so a second try replaces what a first one left. It is cut by
        what lies here, while it is being stored.
        """
        began = time.monotonic()
        job = order.job
        key = f"{ids.work_prefix(job.user_id, job.memo_id)}{job.job_id}.wav"
        done = 0.0

        def progress(seconds: float) -> None:
            nonlocal done
            done = seconds

        async with (
            alive(self._database, job.job_id, job.user_id, lambda: {"audio_seconds": done}),
            self._files.local(job.audio_path) as source,
        ):
            async with self._database.write() as tx:
                await tx.media.add(
                    key, job.user_id, kind=MediaKind.WORK, memo_id=job.memo_id, job_id=job.job_id
                )
                await tx.jobs.advance(job.job_id, job.user_id, Step.CONVERT)
            async with self._tools.workspace() as folder:
                target = folder / "audio.wav"
                seconds = await self._tools.convert(
                    source,
                    target,
                    order.facts,
                    max_seconds=self._limits.max_seconds,
                    progress=progress,
                )
                stored, chunks = await _both(
                    self._files.put_file(key, target, media_type="audio/wav"),
                    self._chunks(target, order.facts.seconds, order.chunk_seconds),
                )
        await self._converted(job, time.monotonic() - began)
        return ConvertedAudio(key=key, size=stored.size, seconds=seconds, chunks=chunks)

    async def _chunks(self, wav: Path, seconds: float, longest: float) -> tuple[Chunk, ...]:
        if not longest:
            return ()
        return make_chunks(await self._voice.cutting_places(wav), seconds, longest)

    async def _converted(self, job: MemoJob, seconds: float) -> None:
        async with self._database.write() as tx:
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.TRANSCRIBE,
                data={"step": Step.CONVERT, "seconds": round(seconds, 3)},
            )

    @activity.defn(name="cut")
    async def cut(self, order: CutAudio) -> CutPlan:
        """Find where a recording that was converted whole is cut into chunks after all."""
        job = order.job
        async with (
            alive(self._database, job.job_id, job.user_id),
            self._files.local(order.key) as path,
        ):
            return CutPlan(chunks=await self._chunks(path, order.seconds, order.chunk_seconds))

    @activity.defn(name="voice_activity")
    async def voice_activity(self, order: ListenForSpeech) -> VoiceFacts:
        """Seconds of speech in a converted recording, however many words were recognised in it."""
        job = order.job
        async with (
            alive(self._database, job.job_id, job.user_id),
            self._files.local(order.key) as path,
        ):
            return VoiceFacts(speech_seconds=await self._voice.speech_seconds(path))


async def _both(
    one: Coroutine[Any, Any, One], other: Coroutine[Any, Any, Other]
) -> tuple[One, Other]:
    """Do two things at once; when one fails the other is cancelled, and has ended."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return first.result(), second.result()


def _not_there(job: MemoJob, quiet_seconds: float | None) -> Exception:
    """Wait on, or give up; a file that is being uploaded is waited for while bytes of it come."""
    info = activity.info()
    # Both are the server's clock, so that a worker with a wrong one waits as long as any other.
    waited = info.current_attempt_scheduled_time - info.scheduled_time
    coming = quiet_seconds is not None and quiet_seconds < job.audio_wait_seconds
    if waited.total_seconds() >= job.audio_wait_seconds and not coming:
        return MediaRejected(
            f"No audio came to storage within {job.audio_wait_seconds:.0f} s",
            code="audio_not_found",
        )
    pause = min(WAIT_FIRST_SECONDS * 2 ** (info.attempt - 1), WAIT_MOST_SECONDS)
    return NotThereYet("The audio is not in storage yet", retry_after=pause)
