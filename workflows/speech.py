"""A text that is read aloud: plan, speak each part, join."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import dropwhile

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.speech import SpeechActivities
    from activities.speech_end import SpeechEndings
    from activities.speech_expiry import SpeechExpiry
    from activities.speech_parts import PART_GONE
    from contracts import ids, queues
    from contracts.jobs import JobFailure, JobState
    from contracts.speech import PlannedVoice
    from contracts.speech_job import (
        EndSpeech,
        Expired,
        JoinSpeech,
        PlannedTexts,
        SpeakPart,
        SpeechEnded,
        SpeechJob,
        SpeechPlan,
        SpeechReady,
        SpeechResult,
        SpokenPart,
    )
    from workflows import policies
    from workflows.reconcile import TICK_RETRY
    from workflows.steps import StepFailed, cancel, outcome, short_step
    from workflows.webhooks import Announcements

OVER = frozenset({"deleted", "job_ended"})
"""Codes of failures that no other tier can mend."""

MENDS = 3
"""So often are parts that were lost before they could be joined spoken again."""


@workflow.defn(name=ids.SPEECH)
class SpeechWorkflow:
    """One file, in one voice, charged once; each distinct part of the text is bought once.

    A tier that fails in one part gives way to the next in all of them: a voice never changes in
    the middle of a text. Text and audio stay in the database and in storage.
    """

    def __init__(self) -> None:
        self._announcements = Announcements()
        self._bought = 0

    @workflow.run
    async def run(self, job: SpeechJob) -> SpeechResult:
        """Carry the job from its row to its end."""
        try:
            plan = await short_step(SpeechActivities.plan_speech, job)
            if not plan.present:
                return SpeechResult(state=JobState.CANCELLED)
            result = await self._speak(job, plan)
        except asyncio.CancelledError:
            ended = await self._end(job, JobState.CANCELLED)
            if ended.ready is None:
                raise
            return SpeechResult(state=ended.state, ready=ended.ready, bought=self._bought)
        except StepFailed as step:
            failure = step.failure
        else:
            await self._announcements.sent()
            return result
        ended = await self._end(job, JobState.FAILED, failure)
        self._announcements.send(ended.announced)
        await self._announcements.sent()
        if ended.ready is None:
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True)
        return SpeechResult(state=ended.state, ready=ended.ready, bought=self._bought)

    async def _speak(self, job: SpeechJob, plan: SpeechPlan) -> SpeechResult:
        tier, ready = await self._made(job, plan.tiers)
        self._announcements.send(ready.announced)
        self._tell(job, f"Ready: {ready.seconds:.0f} s by `{tier.voice.name}`")
        return SpeechResult(
            state=JobState.COMPLETED,
            tier=tier.voice.name,
            parts=tier.parts,
            bought=self._bought,
            ready=ready,
        )

    async def _made(
        self, job: SpeechJob, tiers: Sequence[PlannedTexts]
    ) -> tuple[PlannedTexts, SpeechReady]:
        """Spoken and joined; parts that were lost in between are spoken again."""
        mends = 0
        while True:
            tier = await self._spoken(job, tiers)
            try:
                return tier, await self._join(job, tier)
            except StepFailed as step:
                mends += 1
                if step.failure.code != PART_GONE or mends > MENDS:
                    raise
                tiers = await self._left(job, tier)
                if not tiers:
                    raise

    async def _left(self, job: SpeechJob, tier: PlannedTexts) -> list[PlannedTexts]:
        """What is missing now, for the tier that speaks and those behind it."""
        plan = await short_step(SpeechActivities.plan_speech, job)
        return list(dropwhile(lambda each: each.voice != tier.voice, plan.tiers))

    async def _spoken(self, job: SpeechJob, tiers: Sequence[PlannedTexts]) -> PlannedTexts:
        """Every part, by the first tier that speaks them all."""
        *others, last = tiers
        for tier in others:
            try:
                return await self._by(job, tier)
            except StepFailed as step:
                if step.failure.code in OVER:
                    raise
        return await self._by(job, last)

    async def _by(self, job: SpeechJob, tier: PlannedTexts) -> PlannedTexts:
        self._tell(job, f"`{tier.voice.name}` speaks {len(tier.missing)} of {tier.parts} parts")
        await self._parts(job, tier)
        return tier

    async def _parts(self, job: SpeechJob, tier: PlannedTexts) -> None:
        """Every part that is missing, some at once; the first failure ends them all."""
        window = asyncio.Semaphore(job.window)

        async def in_window(index: int) -> None:
            async with window:
                spoken = await self._part(job, tier.voice, index)
            self._bought += spoken.bought

        tasks = [asyncio.create_task(in_window(index)) for index in tier.missing]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                await cancel(task)

    async def _part(self, job: SpeechJob, voice: PlannedVoice, index: int) -> SpokenPart:
        with outcome():
            return await workflow.execute_activity_method(
                SpeechActivities.speak_part,
                SpeakPart(job=job, voice=voice, index=index),
                task_queue=queues.MEDIA if voice.free else None,
                start_to_close_timeout=timedelta(seconds=voice.call_seconds) + policies.CALL_MARGIN,
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"{voice.name} · part {index + 1}",
            )

    async def _join(self, job: SpeechJob, tier: PlannedTexts) -> SpeechReady:
        with outcome():
            return await workflow.execute_activity_method(
                SpeechActivities.join_speech,
                JoinSpeech(job=job, voice=tier.voice),
                task_queue=queues.MEDIA,
                start_to_close_timeout=policies.CONVERSION,
                schedule_to_close_timeout=policies.PATIENT,
                heartbeat_timeout=timedelta(seconds=job.heartbeat_seconds),
                retry_policy=policies.PATIENT_RETRY,
                summary=f"{tier.parts} part{'s' if tier.parts > 1 else ''} as {job.form}",
            )

    async def _end(
        self, job: SpeechJob, state: JobState, failure: JobFailure | None = None
    ) -> SpeechEnded:
        order = EndSpeech(job=job, state=state, failure=failure)
        return await short_step(SpeechEndings.end_speech, order)

    def _tell(self, job: SpeechJob, now: str) -> None:
        """What an operator reads in the Temporal UI: free of charge and of anybody's words."""
        workflow.set_current_details(f"**{now}**\n\nfile `{job.file_id}` · round {job.round}")


@workflow.defn(name=ids.SPEECH_EXPIRY)
class SpeechExpiryWorkflow:
    """Remove what nobody has listened to for long."""

    @workflow.run
    async def run(self) -> Expired:
        """One tick; what it removed, counted."""
        return await workflow.execute_activity_method(
            SpeechExpiry.expire_speech,
            start_to_close_timeout=policies.HEAL_TRY,
            heartbeat_timeout=policies.ERASE_HEARTBEAT,
            retry_policy=TICK_RETRY,
        )
