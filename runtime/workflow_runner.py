"""The workflow sandbox, not asked about every payload that passes."""

from typing import Any

from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

_NOWHERE = StorageDriverStoreContext(target=None)


class SandboxRunner(SandboxedWorkflowRunner):
    """Temporal's own sandbox, with all its restrictions.

    For each payload of each task the worker asks the workflow what it belongs to, three times, and
    the sandbox compiles and runs a snippet for every answer: a tenth of the worker's time. The
    answer is for converters, codecs and payload stores that treat one workflow differently from
    another. Ours do not, so the sandbox is spared the question.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """One run of one workflow."""
        return _Instance(super().create_instance(det))


class _Instance(WorkflowInstance):
    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: Any) -> Any:
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        del command_info
        return None

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        del command_info
        return _NOWHERE

    def get_info(self) -> Info:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()
