"""Counting what a run costs, on histories made by hand."""

from collections.abc import Callable

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from tests.counts import Counts, count


def event(kind: str, fill: Callable[[HistoryEvent], None] = lambda _: None) -> HistoryEvent:
    made = HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind}"))
    fill(made)
    return made


def started(attempt: int) -> HistoryEvent:
    def fill(made: HistoryEvent) -> None:
        made.activity_task_started_event_attributes.attempt = attempt

    return event("ACTIVITY_TASK_STARTED", fill)


def marker(workflow_task: int, **details: bytes) -> HistoryEvent:
    def fill(made: HistoryEvent) -> None:
        attributes = made.marker_recorded_event_attributes
        attributes.workflow_task_completed_event_id = workflow_task
        for name, data in details.items():
            attributes.details[name].CopyFrom(Payloads(payloads=[Payload(data=data)]))

    return event("MARKER_RECORDED", fill)


def counted(*events: HistoryEvent) -> Counts:
    return count(WorkflowHistory("id", list(events)))


def test_a_start_an_activity_its_retries_a_timer_and_a_signal_cost_one_each() -> None:
    assert counted(
        event("WORKFLOW_EXECUTION_STARTED"),
        event("WORKFLOW_TASK_SCHEDULED"),
        event("ACTIVITY_TASK_SCHEDULED"),
        started(attempt=3),
        event("TIMER_STARTED"),
        event("TIMER_FIRED"),
        event("WORKFLOW_EXECUTION_SIGNALED"),
        event("WORKFLOW_EXECUTION_COMPLETED"),
    ) == Counts(actions=1 + 1 + 2 + 1 + 1, events=8, largest_payload=0)


def test_all_local_activities_of_one_workflow_task_cost_one_together() -> None:
    assert counted(marker(4), marker(4), marker(9)).actions == 2


def test_a_child_workflow_costs_its_parent_two() -> None:
    assert counted(event("START_CHILD_WORKFLOW_EXECUTION_INITIATED")).actions == 2


def test_the_largest_payload_is_found_wherever_it_is() -> None:
    def fill(made: HistoryEvent) -> None:
        attributes = made.workflow_execution_started_event_attributes
        attributes.input.payloads.append(Payload(data=b"four"))
        attributes.search_attributes.indexed_fields["JobKind"].data = b"sixsix"

    beginning = event("WORKFLOW_EXECUTION_STARTED", fill)
    assert counted(beginning).largest_payload == 6
    assert counted(beginning, marker(4, result=b"it is nine")).largest_payload == 10


def test_an_empty_history_costs_nothing() -> None:
    assert counted() == Counts(0, 0, 0)
