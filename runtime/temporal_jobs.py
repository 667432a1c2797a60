"""Starts, cancels and looks up the workflows of jobs; the job's id is the workflow's id."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from contracts import ids
from contracts.errors import Unavailable
from contracts.jobs import LONGEST_JOB_SECONDS
from contracts.language import USES, Use
from contracts.queues import MAIN
from contracts.values import Value

JOB_KIND: Final = SearchAttributeKey.for_keyword(ids.JOB_KIND)
USER_ID: Final = SearchAttributeKey.for_keyword(ids.USER_ID)
SUBJECT_ID: Final = SearchAttributeKey.for_keyword(ids.SUBJECT_ID)

RPC_TIMEOUT: Final = timedelta(seconds=5)
LONGEST_JOB: Final = timedelta(seconds=LONGEST_JOB_SECONDS)

SUMMARIES: Final[Mapping[str, str]] = {
    "memo": "Transcribe one recording",
    "erase": "Erase one memo for good",
    Use.HEADLINE: "Write headline and intro of a memo",
    Use.QUESTION: "Answer a question about a memo",
    Use.COMBINE: "Combine memos into one",
    Use.MEMORY: "Write what a prompt asks for",
    Use.BLUEPRINT: "Write what a blueprint asks for",
    Use.TRANSLATE: "Translate what was said into English",
    ids.SPEECH: "Read a text aloud",
    ids.WEBHOOK_DELIVERY: "Deliver a webhook that is still to be delivered",
}

LONGER: Final[Mapping[str, timedelta]] = {ids.WEBHOOK_DELIVERY: timedelta(days=7)}
"""Kinds that may take longer than other jobs."""

log = structlog.get_logger()


class TemporalJobs:
    """The port ``JobStarter`` over a Temporal client, and what operators ask beside it.

    Args:
        client: lazy or not.
        longest: execution timeout of a job.
    """

    def __init__(self, client: Client, *, longest: timedelta = LONGEST_JOB) -> None:
        self._client = client
        self._longest = longest

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        """Start the job's workflow; false when it runs already.

        A job that has ended may be started again (a retry). Summary, attributes and id hold no
        personal text: they stand unsealed in the Temporal UI.

        Raises:
            Unavailable: Temporal does not answer.
        """
        written = kind in USES
        subject = request["subject_id"] if written else job_id.removeprefix(f"{kind}-")
        attributes = TypedSearchAttributes(
            [
                SearchAttributePair(JOB_KIND, kind),
                SearchAttributePair(USER_ID, user_id),
                SearchAttributePair(SUBJECT_ID, subject),
            ]
        )
        with _answering("start"):
            try:
                await self._client.start_workflow(
                    ids.LANGUAGE if written else kind,
                    dict(request),
                    id=job_id,
                    task_queue=MAIN,
                    # Not USE_EXISTING, whose answer does not say which of the two it was.
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    search_attributes=attributes,
                    static_summary=SUMMARIES.get(kind, kind),
                    priority=Priority(fairness_key=user_id[:64]),
                    execution_timeout=LONGER.get(kind, self._longest),
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def cancel(self, job_id: str) -> bool:
        """Ask the job's workflow to end; false when none runs. Asking twice is asking once.

        Raises:
            Unavailable: Temporal does not answer.
        """
        # The server takes a request to cancel what has ended, and says nothing of it.
        if not await self.running(job_id):
            return False
        with _answering("cancel"):
            await self._client.get_workflow_handle(job_id).cancel(rpc_timeout=RPC_TIMEOUT)
        return True

    async def signal(self, job_id: str, name: str, value: Value) -> bool:
        """Tell the job's workflow something; false when none runs.

        The server keeps it until the workflow takes it; each one stands in the history.

        Raises:
            Unavailable: Temporal does not answer.
        """
        handle = self._client.get_workflow_handle(job_id)
        with _answering("signal"):
            try:
                await handle.signal(name, value, rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return True

    async def running(self, job_id: str) -> bool:
        """Whether the job's workflow runs now.

        Raises:
            Unavailable: Temporal does not answer.
        """
        return await self.status(job_id) is WorkflowExecutionStatus.RUNNING

    async def status(self, job_id: str) -> WorkflowExecutionStatus | None:
        """Status of the job's latest run; none when the server knows of none (any more).

        Raises:
            Unavailable: Temporal does not answer.
        """
        handle = self._client.get_workflow_handle(job_id)
        with _answering("describe"):
            try:
                return (await handle.describe(rpc_timeout=RPC_TIMEOUT)).status
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise

    async def health(self) -> None:
        """Return when the server answers.

        Raises:
            Unavailable: it does not.
        """
        with _answering("health"):
            if not await self._client.service_client.check_health(timeout=RPC_TIMEOUT):
                raise Unavailable("Temporal is not serving", retry_after=1)


@contextmanager
def _answering(call: str) -> Iterator[None]:
    """Calls that Temporal leaves unanswered, or refuses, are Unavailable."""
    try:
        yield
    except (RPCError, RuntimeError) as error:
        # A lazy client that finds no server raises RuntimeError.
        status = error.status.name if isinstance(error, RPCError) else "NO_CONNECTION"
        log.warning("temporal.unanswered", call=call, status=status)
        raise Unavailable("Temporal does not answer", retry_after=1) from error
