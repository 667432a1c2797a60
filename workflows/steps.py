"""How workflows call activities: short steps in place, long ones on their queue."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from contracts.jobs import JobFailure
from workflows import policies

Order = TypeVar("Order")
Answer = TypeVar("Answer")


async def short_step(method: Callable[[Any, Order], Awaitable[Answer]], order: Order) -> Answer:
    """Run a short idempotent step as a local activity: no round trip, one marker in the history.

    When it cannot finish in seconds, say because the database is away, it goes on as an ordinary
    activity that is retried for a day, so nothing spins inside a workflow task.

    Raises:
        ActivityError: the step's failure is final.
    """
    try:
        return await workflow.execute_local_activity_method(
            method,
            order,
            start_to_close_timeout=policies.SHORT_TRY,
            schedule_to_close_timeout=policies.SHORT_STEP,
            retry_policy=policies.SHORT_RETRY,
        )
    except ActivityError as error:
        if is_cancelled_exception(error) or _is_final(error):
            raise
    return await workflow.execute_activity_method(
        method,
        order,
        start_to_close_timeout=policies.PATIENT_TRY,
        schedule_to_close_timeout=policies.PATIENT,
        retry_policy=policies.PATIENT_RETRY,
        summary="again, patiently",
    )


def failure_of(error: ActivityError) -> JobFailure:
    """The failure an activity ended with, by code and sentence."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return JobFailure(code=cause.type or "failed", message=cause.message)
    if cause is not None:
        return JobFailure(code="timed_out", message=f"{error.activity_type} took too long")
    return JobFailure(code="failed", message=f"{error.activity_type} failed")


def _is_final(error: ActivityError) -> bool:
    return isinstance(error.cause, ApplicationError) and error.cause.non_retryable
