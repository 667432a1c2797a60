"""The memories a new memo's blueprint asks for, while its headline is written."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.blueprint import BlueprintActivities
    from contracts import ids
    from contracts.jobs import LONGEST_JOB_SECONDS
    from contracts.language_job import LanguageJob
    from contracts.memo import OrderBlueprint
    from workflows import policies
    from workflows.steps import StepFailed, short_step

_KIND: Final = SearchAttributeKey.for_keyword(ids.JOB_KIND)
_USER: Final = SearchAttributeKey.for_keyword(ids.USER_ID)
_SUBJECT: Final = SearchAttributeKey.for_keyword(ids.SUBJECT_ID)


async def write_memories(order: OrderBlueprint) -> None:
    """Have them written by a job of their own, and wait for it a while.

    The memo does not depend on it: a job that fails says so itself, and one that takes longer goes
    on when the memo is complete.
    """
    try:
        ordered = await short_step(BlueprintActivities.order_blueprint, order)
    except StepFailed as step:
        workflow.logger.warning("blueprint.not_ordered", extra={"code": step.failure.code})
        return
    if ordered.job is None:
        return
    try:
        child = await _started(ordered.job)
    except WorkflowAlreadyStartedError:
        # A row that stood alone for a while is started by `reconcile` too.
        return
    ended = asyncio.create_task(_ended(child))
    try:
        await workflow.wait([ended], timeout=policies.BLUEPRINT_WAIT.total_seconds())
    except asyncio.CancelledError:
        child.cancel()
        # A workflow that closes at once never delivers what it asked of its child.
        await workflow.wait([ended])
        raise


async def _started(job: LanguageJob) -> workflow.ChildWorkflowHandle[Any, Any]:
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(_KIND, job.use.value),
            SearchAttributePair(_USER, job.user_id),
            SearchAttributePair(_SUBJECT, job.subject_id),
        ]
    )
    return await workflow.start_child_workflow(
        ids.LANGUAGE,
        job,
        id=job.job_id,
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_REQUESTED,
        execution_timeout=timedelta(seconds=LONGEST_JOB_SECONDS),
        search_attributes=attributes,
        priority=Priority(fairness_key=job.user_id[:64]),
        static_summary="Write what a blueprint asks for",
    )


async def _ended(child: workflow.ChildWorkflowHandle[Any, Any]) -> None:
    try:
        await child
    except ChildWorkflowError as error:
        workflow.logger.info("blueprint.failed", extra={"cause": type(error.cause).__name__})
