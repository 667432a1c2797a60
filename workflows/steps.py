"""How workflows call activities: short steps in place, long ones on their queue.

Either way a step ends in one of three ways: its answer, ``StepFailed``, or ``CancelledError``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutError,  # noqa: A004 - Temporal's own, which is what an activity ends with
    is_cancelled_exception,
)

from contracts.jobs import JobFailure
from workflows import policies

Order = TypeVar("Order")
Answer = TypeVar("Answer")


class StepFailed(Exception):
    """A step ended without an answer; ``failure`` says why, ``final`` whether for good."""

    def __init__(self, failure: JobFailure, *, final: bool) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.final = final


async def short_step(method: Callable[[Any, Order], Awaitable[Answer]], order: Order) -> Answer:
    """Run a short idempotent step as a local activity: no round trip, one marker in the history.

    When it cannot finish in seconds, say because the database is away, it goes on as an ordinary
    activity that is retried for a day, so nothing spins inside a workflow task.
    """
    try:
        with outcome():
            return await workflow.execute_local_activity_method(
                method,
                order,
                start_to_close_timeout=policies.SHORT_TRY,
                schedule_to_close_timeout=policies.SHORT_STEP,
                retry_policy=policies.SHORT_RETRY,
            )
    except StepFailed as step:
        if step.final:
            raise
    with outcome():
        return await workflow.execute_activity_method(
            method,
            order,
            start_to_close_timeout=policies.PATIENT_TRY,
            schedule_to_close_timeout=policies.PATIENT,
            retry_policy=policies.PATIENT_RETRY,
            summary="again, patiently",
        )


async def unless(task: "asyncio.Task[Any]", happened: Callable[[], bool]) -> bool:
    """Wait for a task, unless something happens before its end; whether it has ended.

    Waiting writes no history. Cancelled meanwhile, the task is too, and has ended then.
    """
    try:
        await workflow.wait_condition(lambda: task.done() or happened())
    except asyncio.CancelledError:
        await cancel(task)
        raise
    return task.done()


async def cancel(task: "asyncio.Task[Any]") -> None:
    """End a task and wait until it has put away what it began; its own outcome is nobody's."""
    task.cancel()
    await workflow.wait([task])
    looked_at(task)


def looked_at(task: "asyncio.Task[Any]") -> None:
    """Look at how a task failed that nobody waits for any more; else there is a warning."""
    if not task.cancelled():
        task.exception()


@contextmanager
def outcome() -> Iterator[None]:
    """Turn what an activity call raises into StepFailed or CancelledError."""
    try:
        yield
    except FailureError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        # A local activity raises its failure bare, an ordinary one wraps it.
        cause = error.cause if isinstance(error, ActivityError) else error
        final = isinstance(cause, ApplicationError) and cause.non_retryable
        raise StepFailed(_failure(cause), final=final) from error


def _failure(cause: BaseException | None) -> JobFailure:
    if isinstance(cause, ApplicationError):
        return JobFailure(code=cause.type or "failed", message=cause.message)
    if isinstance(cause, TimeoutError):
        kind = cause.type.name.lower() if cause.type is not None else "time"
        return JobFailure(code="timed_out", message=f"The step ran into its {kind} limit")
    return JobFailure(code="failed", message="The step failed")
