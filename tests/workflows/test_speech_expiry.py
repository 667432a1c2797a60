"""The hourly tick that removes what nobody has listened to: its workflow and its schedule."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.client import ScheduleActionExecutionStartWorkflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from contracts import ids
from contracts.errors import Unavailable
from contracts.queues import MAIN
from contracts.speech_job import Expired
from runtime.schedules import TICKS, apply
from workflows import policies
from workflows.speech import SpeechExpiryWorkflow


async def test_a_tick_of_the_expiry_goes_on_once_storage_is_there_again(
    skipping: WorkflowEnvironment,
) -> None:
    tries = 0

    @activity.defn(name="expire_speech")
    async def expire() -> Expired:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("storage")
        return Expired(files=2, parts=5)

    queue = f"expiry-{uuid4()}"
    worker = Worker(
        skipping.client, task_queue=queue, workflows=[SpeechExpiryWorkflow], activities=[expire]
    )
    async with worker:
        removed = await skipping.client.execute_workflow(
            SpeechExpiryWorkflow.run,
            id=queue,
            task_queue=queue,
            execution_timeout=policies.PATIENT,
        )
    assert (removed, tries) == (Expired(files=2, parts=5), 3)


async def test_the_schedule_begins_a_tick_each_hour_and_none_beside_one_that_runs(
    skipping: WorkflowEnvironment,
) -> None:
    begun, over = 0, asyncio.Event()

    @activity.defn(name="expire_speech")
    async def expire() -> Expired:
        nonlocal begun
        begun += 1
        while not over.is_set():
            activity.heartbeat()
            await asyncio.sleep(0.05)
        return Expired(files=1)

    (tick,) = (each for each in TICKS if each.kind == ids.SPEECH_EXPIRY)
    await apply(skipping.client, tick)
    handle = skipping.client.get_schedule_handle(tick.kind)
    worker = Worker(
        skipping.client, task_queue=MAIN, workflows=[SpeechExpiryWorkflow], activities=[expire]
    )
    try:
        (every,) = (await handle.describe()).schedule.spec.intervals
        assert every.every == timedelta(hours=1)
        async with worker:
            await handle.trigger()
            while not begun:
                await asyncio.sleep(0.05)
            await handle.trigger()
            while not (told := (await handle.describe()).info).num_actions_skipped_overlap:
                await asyncio.sleep(0.05)
            assert (told.num_actions, begun) == (1, 1)
            over.set()
            (action,) = told.recent_actions
            assert isinstance(action.action, ScheduleActionExecutionStartWorkflow)
            run = skipping.client.get_workflow_handle(action.action.workflow_id)
            assert Expired.model_validate(await run.result()) == Expired(files=1)
    finally:
        await handle.delete()
