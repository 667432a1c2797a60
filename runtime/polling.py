"""Who serves the task queues, as the server sees it."""

from collections.abc import Sequence

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError


async def pollers(client: Client, queue: str) -> frozenset[str]:
    """Identities of the workers that polled a queue's activities of late; none when it is away."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    try:
        answer = await client.workflow_service.describe_task_queue(request)
    except RPCError:
        return frozenset()
    return frozenset(poller.identity for poller in answer.pollers)


async def hosts_by_queue(client: Client, queues: Sequence[str]) -> dict[str, frozenset[str]]:
    """The hosts whose workers poll each queue, by the identity the SDK gives them: ``pid@host``."""
    return {
        queue: frozenset(name.partition("@")[2] for name in await pollers(client, queue))
        for queue in queues
    }
