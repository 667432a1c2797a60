"""The sandbox is not asked what payloads belong to, and nobody of ours wants to know."""

import base64

import pytest
from pydantic import SecretBytes
from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

from runtime.settings_values import PayloadKey
from runtime.temporal import converter, make_plugin
from runtime.workflow_runner import SandboxRunner

KEY = PayloadKey(id="k", key=SecretBytes(base64.b64decode(b"A" * 43 + b"=")))


@pytest.mark.parametrize("keys", [(), (KEY,)])
@pytest.mark.parametrize(
    "context",
    [
        WorkflowSerializationContext(namespace="default", workflow_id="memo-1"),
        ActivitySerializationContext(
            namespace="default",
            activity_id="1",
            activity_type="probe",
            activity_task_queue="voicekeep",
            workflow_id="memo-1",
            workflow_type="memo",
            is_local=False,
        ),
    ],
)
def test_no_converter_treats_one_workflow_differently_from_another(
    keys: tuple[PayloadKey, ...], context: SerializationContext
) -> None:
    used = converter(keys)
    assert used.with_context(context) is used
    assert used.external_storage is None


def test_workflows_run_in_the_sandbox() -> None:
    plugin = make_plugin()
    assert isinstance(plugin.workflow_runner, SandboxRunner)
    assert "contracts" in plugin.workflow_runner.restrictions.passthrough_modules
