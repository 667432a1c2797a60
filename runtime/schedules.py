"""What runs by the clock, and what a namespace must know before a job can start.

Applied by one deploy step (`voicekeep schedules apply`), not by every worker.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
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
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from contracts import ids
from contracts.errors import Unavailable
from contracts.queues import MAIN
from runtime.settings_groups import TemporalSettings
from runtime.temporal import connect_when_up
from runtime.temporal_jobs import JOB_KIND, SUBJECT_ID, USER_ID

WAIT_SECONDS: Final = 60.0
"""How long the server is waited for: a deploy starts it beside this step."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tick:
    """A workflow without an argument that is started again and again.

    Attributes:
        kind: name of the workflow, and id of its schedule.
        every: interval; a tick that is still running when the next is due is not started twice.
        jitter: spreads the ticks of many installations on one cluster.
        longest: execution timeout of one tick.
    """

    kind: str
    every: timedelta
    jitter: timedelta
    longest: timedelta


TICKS: Final = (
    Tick(
        kind=ids.RECONCILE,
        every=timedelta(minutes=1),
        jitter=timedelta(seconds=5),
        longest=timedelta(minutes=20),
    ),
    Tick(
        kind=ids.SPEECH_EXPIRY,
        every=timedelta(hours=1),
        jitter=timedelta(minutes=5),
        longest=timedelta(minutes=50),
    ),
)

CATCH_UP: Final = timedelta(hours=1)
"""Ticks missed for longer than this are not made up for (the server's default is a year)."""


async def prepare(settings: TemporalSettings) -> None:
    """Wait for the server, then register search attributes and schedules.

    Raises:
        Unavailable: it does not answer, or refuses.
    """
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            client = await connect_when_up(settings)
    except TimeoutError as error:
        raise Unavailable(f"Temporal does not answer at {settings.address}") from error
    await register_search_attributes(client)
    try:
        for tick in TICKS:
            await apply(client, tick)
    except RPCError as error:
        raise Unavailable(f"Temporal refuses the schedules: {error.status.name}") from error


async def apply(client: Client, tick: Tick) -> None:
    """Create the schedule, or bring it up to date; an operator's pause survives."""
    wanted = _schedule(tick)
    try:
        await client.create_schedule(tick.kind, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(tick.kind).update(lambda seen: _keep_state(wanted, seen))
    log.info("schedule.applied", schedule=tick.kind, seconds=tick.every.total_seconds())


async def register_search_attributes(client: Client) -> None:
    """See to it that jobs can carry their attributes.

    Temporal Cloud does not let clients register them: then the log says what to do by hand.
    """
    wanted = {key.name for key in (JOB_KIND, USER_ID, SUBJECT_ID)}
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = wanted - set(known.custom_attributes)
        if missing:
            keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace,
                    search_attributes=dict.fromkeys(sorted(missing), keyword),
                )
            )
    except RPCError as error:
        log.warning(
            "search_attributes.unknown",
            status=error.status.name,
            mend=f"register {', '.join(sorted(wanted))} as Keyword in namespace {client.namespace}",
        )


def _schedule(tick: Tick) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            tick.kind,
            id=tick.kind,
            task_queue=MAIN,
            execution_timeout=tick.longest,
            typed_search_attributes=TypedSearchAttributes(
                [SearchAttributePair(JOB_KIND, tick.kind)]
            ),
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=tick.every)], jitter=tick.jitter),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )


def _keep_state(wanted: Schedule, seen: ScheduleUpdateInput) -> ScheduleUpdate:
    return ScheduleUpdate(schedule=replace(wanted, state=seen.description.schedule.state))
