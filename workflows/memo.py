"""A memo: reserve, probe, transcribe by tiers, settle, headline, announce."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.audio import AudioActivities
    from activities.headline import HeadlineActivities
    from activities.memo import MemoActivities
    from activities.outside import OutsideActivities
    from activities.transcription import TranscriptionActivities
    from contracts import ids, queues
    from contracts.audio import AudioFacts, as_converted
    from contracts.errors import NoSpeech
    from contracts.jobs import JobFailure, JobState
    from contracts.memo import (
        ConvertAudio,
        ConvertedAudio,
        EndMemo,
        HeadlineMemo,
        ListenForSpeech,
        MemoJob,
        MemoResult,
        OrderBlueprint,
        ProbedAudio,
        Reserved,
        SettleMemo,
        TranscribeTier,
    )
    from contracts.outside import REPORT_SIGNAL, VENDOR_SIGNAL, OutsideReport, VendorEvent
    from contracts.tiers import PlannedTier, after_failure
    from contracts.transcript import TranscriptRef
    from workflows import policies
    from workflows.batch import transcribe_in_batch
    from workflows.blueprint import write_memories
    from workflows.fetch import fetched
    from workflows.long_audio import LongAudio, longest_chunk
    from workflows.outside import Outsiders
    from workflows.steps import StepFailed, looked_at, outcome, short_step, unless
    from workflows.webhooks import Announcements

SPEECH_SECONDS = 0.5
"""Less speech than this in the whole recording is none."""


@workflow.defn(name=ids.MEMO)
class MemoWorkflow:
    """One recording becomes one transcript, charged once, whatever is killed meanwhile.

    Input and progress are ids and small facts; words stay in the database. A cancelled job releases
    what it held and ends cancelled; a failed one ends failed with its reason and is not charged.
    """

    @workflow.init
    def __init__(self, job: MemoJob) -> None:
        self._job = job
        self._converted: ConvertedAudio | None = None
        self._outsiders = Outsiders(job)
        self._announcements = Announcements()
        self._overtaken: asyncio.Task[TranscriptRef | None] | None = None
        self._failure = JobFailure(code="no_tier", message="No transcription tier is configured")

    @workflow.run
    async def run(self, job: MemoJob) -> MemoResult:
        """Carry the memo from its row to its end."""
        try:
            reservation = await short_step(MemoActivities.reserve, job)
            if not reservation.present:
                return MemoResult(state=JobState.CANCELLED)
            if job.round == 1:
                self._announcements.send(job.announced)
            result = await self._carry(reservation)
        except asyncio.CancelledError:
            await self._end(EndMemo(job=job, state=JobState.CANCELLED))
            await self._wind_up()
            raise
        except StepFailed as step:
            failure = step.failure
        else:
            await self._wind_up()
            return result
        await self._end(EndMemo(job=job, state=JobState.FAILED, failure=failure))
        await self._wind_up()
        raise ApplicationError(failure.message, type=failure.code, non_retryable=True)

    @workflow.signal(name=REPORT_SIGNAL)
    def external_transcript(self, report: OutsideReport) -> None:
        """An outside transcriber has reported; what was said is in the database."""
        self._outsiders.report(report)

    @workflow.signal(name=VENDOR_SIGNAL)
    def vendor_event(self, event: VendorEvent) -> None:
        """A vendor has something to tell of its job."""
        self._outsiders.event(event)

    async def _carry(self, reservation: Reserved) -> MemoResult:
        transcript = reservation.result or await self._transcript()
        if transcript is None:
            return await self._nothing_said()
        charged = await self._settle(transcript)
        headline_failure = await self._enrich(transcript)
        return await self._announce(transcript, charged, headline_failure)

    async def _transcript(self) -> TranscriptRef | None:
        """By our tiers or from outside, whichever is recorded first; none when nothing was said."""
        try:
            audio = await self._probe()
        except StepFailed:
            if not self._outsiders.came:
                raise
            return await self._adopt()
        tiers = asyncio.create_task(self._by_tiers(audio))
        if await unless(tiers, lambda: self._outsiders.came) and not self._outsiders.came:
            return tiers.result()
        # It ends beside the next steps; what it began is put away before the workflow ends.
        self._overtaken = tiers
        tiers.cancel()
        tiers.add_done_callback(looked_at)
        return await self._adopt()

    async def _adopt(self) -> TranscriptRef:
        self._tell("Taking over a transcript from outside")
        return await short_step(OutsideActivities.adopt_outside, self._job)

    async def _wind_up(self) -> None:
        """Wait for what a transcript from outside has overtaken, and for webhooks."""
        await self._announcements.sent()
        while self._overtaken is not None and not self._overtaken.done():
            # A job that has had its last word cannot be cancelled any more.
            with suppress(asyncio.CancelledError):
                await workflow.wait([self._overtaken])

    async def _probe(self) -> ProbedAudio:
        if self._job.fetch:
            self._tell("Fetching the recording")
            self._job = await fetched(self._job)
        job = self._job
        self._tell("Looking into the recording")
        with outcome():
            return await workflow.execute_activity_method(
                AudioActivities.probe,
                job,
                start_to_close_timeout=policies.PROBE_TRY,
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"claimed {job.claimed_seconds:.0f} s",
            )

    async def _by_tiers(self, audio: ProbedAudio) -> TranscriptRef | None:
        """Try the tiers in their order; none when nothing was said."""
        heard_nothing = False
        tiers = audio.plan
        while tiers:
            tier, rest = tiers[0], tiers[1:]
            try:
                if tier.chunk_seconds:
                    rest = tuple(other for other in rest if other.outside)
                    ours = [other for other in tiers if not other.outside]
                    return await self._in_chunks(audio.facts, ours)
                return await self._attempt(tier, audio.facts)
            except StepFailed as step:
                self._failure = step.failure
            if self._failure.code == NoSpeech.code:
                if not await self._speech(audio.facts):
                    return None
                heard_nothing = True
            tiers = after_failure(self._failure.code, tier, rest)
        if heard_nothing:
            return None
        raise StepFailed(self._failure, final=True)

    async def _in_chunks(
        self, facts: AudioFacts, tiers: Sequence[PlannedTier]
    ) -> TranscriptRef | None:
        """The rest of the tiers, chunk by chunk."""
        converted = await self._convert(facts, longest_chunk(tiers))
        self._tell(f"Transcribing {facts.seconds:.0f} s in chunks, first by `{tiers[0].name}`")
        return await LongAudio(self._job, converted, facts, tiers).transcribe()

    async def _attempt(self, tier: PlannedTier, facts: AudioFacts) -> TranscriptRef:
        job = self._job
        key, heard = job.audio_path, facts
        if tier.convert:
            converted = await self._convert(facts)
            key, heard = converted.key, as_converted(facts, converted.size)
        self._tell(f"Transcribing {facts.seconds:.0f} s by tier `{tier.name}`")
        order = TranscribeTier(job=job, tier=tier, key=key, facts=heard)
        if tier.outside:
            await self._outsiders.wait(order)
        if tier.batch:
            return await transcribe_in_batch(order, self._outsiders)
        with outcome():
            return await workflow.execute_activity_method(
                TranscriptionActivities.transcribe,
                order,
                task_queue=queues.MEDIA if tier.free else None,
                start_to_close_timeout=policies.call_time(tier.call_seconds, facts.seconds),
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"{tier.name} · {facts.seconds:.0f} s",
            )

    async def _convert(self, facts: AudioFacts, chunk_seconds: float = 0.0) -> ConvertedAudio:
        """The 16 kHz mono WAV, made at most once."""
        if self._converted is None:
            self._tell(f"Converting {facts.container}/{facts.codec} to 16 kHz mono")
            with outcome():
                self._converted = await workflow.execute_activity_method(
                    AudioActivities.convert,
                    ConvertAudio(job=self._job, facts=facts, chunk_seconds=chunk_seconds),
                    task_queue=queues.MEDIA,
                    start_to_close_timeout=policies.conversion_time(facts.seconds),
                    schedule_to_close_timeout=policies.PATIENT,
                    heartbeat_timeout=timedelta(seconds=self._job.heartbeat_seconds),
                    retry_policy=policies.PATIENT_RETRY,
                    summary=f"{facts.container}/{facts.codec} · {facts.seconds:.0f} s",
                )
        return self._converted

    async def _speech(self, facts: AudioFacts) -> bool:
        """Whether there is speech in the recording although a tier heard no words."""
        converted = await self._convert(facts)
        with outcome():
            voice = await workflow.execute_activity_method(
                AudioActivities.voice_activity,
                ListenForSpeech(job=self._job, key=converted.key),
                task_queue=queues.MEDIA,
                start_to_close_timeout=policies.conversion_time(facts.seconds),
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=self._job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary="is there speech at all?",
            )
        return voice.speech_seconds >= SPEECH_SECONDS

    async def _settle(self, transcript: TranscriptRef) -> int:
        order = SettleMemo(job=self._job, transcript=transcript, seconds=transcript.seconds)
        settled = await short_step(MemoActivities.settle, order)
        self._announcements.send(settled.announced)
        return settled.charged

    async def _enrich(self, transcript: TranscriptRef) -> JobFailure | None:
        """Headline, and beside it the memories of a blueprint; why there is no headline."""
        if self._job.blueprint_id is None:
            return await self._headline(transcript)
        order = OrderBlueprint(job=self._job, language=transcript.language)
        failure, _ = await asyncio.gather(self._headline(transcript), write_memories(order))
        return failure

    async def _headline(self, transcript: TranscriptRef) -> JobFailure | None:
        """Headline and intro; a memo without them is complete, with the reason kept."""
        self._tell(f"Transcribed by tier `{transcript.tier}`: {transcript.words} words")
        try:
            with outcome():
                await workflow.execute_activity_method(
                    HeadlineActivities.headline,
                    HeadlineMemo(job=self._job, transcript=transcript),
                    start_to_close_timeout=policies.HEADLINE_TRY,
                    schedule_to_close_timeout=policies.HEADLINE_IN_ALL,
                    heartbeat_timeout=timedelta(seconds=self._job.heartbeat_seconds),
                    retry_policy=policies.PATIENT_RETRY,
                    summary=transcript.language or "language not told",
                )
        except StepFailed as step:
            return step.failure
        return None

    async def _announce(
        self, transcript: TranscriptRef, charged: int, headline_failure: JobFailure | None
    ) -> MemoResult:
        result = MemoResult(
            state=JobState.COMPLETED,
            charged=charged,
            seconds=transcript.seconds,
            tier=transcript.tier,
            words=transcript.words,
        )
        await self._end(
            EndMemo(
                job=self._job,
                state=result.state,
                headline_failure=headline_failure,
                result=result.model_dump(mode="json"),
            )
        )
        self._tell(f"Completed: {transcript.words} words, {charged} credits")
        return result

    async def _nothing_said(self) -> MemoResult:
        result = MemoResult(state=JobState.COMPLETED_NO_TRANSCRIPT)
        await self._end(
            EndMemo(job=self._job, state=result.state, result=result.model_dump(mode="json"))
        )
        self._tell("Completed: nothing was said, nothing is charged")
        return result

    async def _end(self, order: EndMemo) -> None:
        left = self._converted is not None or self._overtaken is not None
        half_fetched = self._job.fetch and order.state is JobState.FAILED
        if left or half_fetched or order.state is JobState.CANCELLED:
            await short_step(MemoActivities.discard_work, self._job)
        ended = await short_step(MemoActivities.end, order)
        self._announcements.send(ended.announced)

    def _tell(self, now: str) -> None:
        """What an operator reads in the Temporal UI: free of charge and of spoken words."""
        job = self._job
        workflow.set_current_details(f"**{now}**\n\nmemo `{job.memo_id}` · round {job.round}")
