"""Replays the history of a job on the present code."""

from collections.abc import Sequence

from temporalio.client import WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from contracts.errors import Conflict, NotFound, Unavailable
from runtime.settings_groups import TemporalSettings
from runtime.temporal import connect, make_plugin


async def replay_job(settings: TemporalSettings, job_id: str, workflows: Sequence[type]) -> int:
    """Fetch the history of a job's latest run and replay it; returns the number of its events.

    Raises:
        NotFound: Temporal knows of no such job (any more).
        Conflict: ``does_not_replay``; the present code would have decided otherwise.
        Unavailable: Temporal does not answer.
    """
    client = await connect(settings)
    try:
        history = await client.get_workflow_handle(job_id).fetch_history()
    except RPCError as error:
        if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
            raise NotFound(f"Temporal knows of no job {job_id}") from error
        raise Unavailable("Temporal does not answer") from error
    await replay_history(settings, history, workflows)
    return len(history.events)


async def replay_history(
    settings: TemporalSettings, history: WorkflowHistory, workflows: Sequence[type]
) -> None:
    """Replay one history with the plugin of clients and workers.

    Raises:
        Conflict: ``does_not_replay``.
    """
    replayer = Replayer(
        workflows=workflows,
        namespace=settings.namespace,
        plugins=[make_plugin(settings.payload_keys)],
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    if result.replay_failure is not None:
        raise Conflict(
            f"{history.workflow_id} does not replay: {result.replay_failure}",
            code="does_not_replay",
        )
