"""The healing tick, every minute by schedule."""

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.reconcile import ReconcileActivities
    from contracts import ids
    from contracts.memo import Healed
    from workflows import policies

TICK_RETRY = RetryPolicy(maximum_attempts=3)
"""A tick that cannot work leaves it to the next one."""


@workflow.defn(name=ids.RECONCILE)
class ReconcileWorkflow:
    """Start what was never started, end what lost its workflow, remove what nobody comes for."""

    @workflow.run
    async def run(self) -> Healed:
        """One tick; what it mended, counted."""
        return await workflow.execute_activity_method(
            ReconcileActivities.heal,
            start_to_close_timeout=policies.HEAL_TRY,
            heartbeat_timeout=policies.ERASE_HEARTBEAT,
            retry_policy=TICK_RETRY,
        )
