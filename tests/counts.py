"""What one run of a workflow costs: actions, events and the largest payload, from its history."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

ACTIONS: Final = MappingProxyType(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: 1,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: 1,
        EventType.EVENT_TYPE_TIMER_STARTED: 1,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: 1,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: 1,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: 1,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: 1,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: 2,
        EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED: 1,
    }
)
"""Price list of Temporal Cloud (docs.temporal.io/cloud/actions), for what a history shows.

It does not show queries, heartbeats, or the two further actions of a schedule.
"""


class Counts(NamedTuple):
    """What one run costs.

    Attributes:
        actions: what Temporal Cloud would charge for.
        events: length of the history.
        largest_payload: bytes of the largest argument, result or detail in it.
    """

    actions: int
    events: int
    largest_payload: int


def count(history: WorkflowHistory) -> Counts:
    """Count one run; a child workflow's own history is not in it, its two actions are."""
    return Counts(
        actions=actions(history.events),
        events=len(history.events),
        largest_payload=max((len(p.data) for p in payloads_in(history.events)), default=0),
    )


def actions(events: Sequence[HistoryEvent]) -> int:
    """Listed events, retries of activities, and one for all local activities of a workflow task."""
    listed = sum(ACTIONS.get(event.event_type, 0) for event in events)
    retries = sum(
        event.activity_task_started_event_attributes.attempt - 1
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    )
    tasks_with_markers = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    }
    return listed + retries + len(tasks_with_markers)


def payloads_in(value: Any) -> Iterator[Payload]:
    """Every payload in an event or in a list of them, at any depth."""
    if isinstance(value, Payload):
        yield value
    elif isinstance(value, Message):
        for _, inner in value.ListFields():
            yield from payloads_in(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from payloads_in(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for inner in value:
            yield from payloads_in(inner)
