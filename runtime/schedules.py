"""The schedules: applied by one deploy step (``voicekeep schedules apply``), not by workers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from contracts import ids
from contracts.queues import MAIN

CATCH_UP: Final = timedelta(hours=1)
"""Ticks missed while Temporal was down are made up for this long; its own default is a year."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Wanted:
    """One schedule.

    Attributes:
        workflow: its name, and the prefix of the ids of its runs.
        every: time between two ticks.
        longest: a tick that takes longer is ended by Temporal.
        note: what operators read beside it.
    """

    workflow: str
    every: timedelta
    longest: timedelta
    note: str


SCHEDULES: Final = (
    Wanted(
        workflow=ids.RECONCILE,
        every=timedelta(minutes=1),
        longest=timedelta(minutes=30),
        note="Starts jobs that never began, ends those whose workflow is gone, clears up",
    ),
)


async def apply(client: Client) -> list[str]:
    """Create the schedules, or bring them up to date; a pause made by an operator stays.

    Returns:
        What was done, one sentence each.
    """
    return [await _apply(client, wanted) for wanted in SCHEDULES]


async def _apply(client: Client, wanted: Wanted) -> str:
    schedule = _schedule(wanted)
    try:
        await client.create_schedule(wanted.workflow, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(wanted.workflow).update(
            lambda present: _updated(present, schedule)
        )
        return f"{wanted.workflow}: up to date, every {wanted.every}"
    log.info("schedule.created", schedule=wanted.workflow)
    return f"{wanted.workflow}: created, every {wanted.every}"


def _updated(present: ScheduleUpdateInput, schedule: Schedule) -> ScheduleUpdate:
    schedule.state = present.description.schedule.state
    return ScheduleUpdate(schedule=schedule)


def _schedule(wanted: Wanted) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            wanted.workflow,
            id=wanted.workflow,
            task_queue=MAIN,
            execution_timeout=wanted.longest,
            static_summary=wanted.note,
        ),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=wanted.every)], jitter=timedelta(seconds=5)
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )
