"""A job that does nothing but fail, or wait, as it is told."""

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from contracts import errors
    from contracts.values import Value


class Told(Value):
    """What to do.

    Attributes:
        fail: name of the failure to raise in the activity; anything Python can raise.
        message: what the failure says.
        retry_after: seconds, of the failure.
        tries: how often the activity is tried.
        wait: stay open until cancelled.
    """

    fail: str = ""
    message: str = ""
    retry_after: float | None = None
    tries: int = 1
    wait: bool = False


@activity.defn(name="obey")
async def obey(told: Told) -> str:
    """Raise what was asked for."""
    if told.fail == "InsufficientCredits":
        raise errors.InsufficientCredits(3, 1)
    if hasattr(errors, told.fail):
        raise getattr(errors, told.fail)(told.message, retry_after=told.retry_after)
    if told.fail:
        raise {"ValueError": ValueError, "KeyError": KeyError}[told.fail](told.message)
    return told.message


@workflow.defn(name="echo")
class EchoJob:
    """One activity, or a wait."""

    @workflow.run
    async def run(self, told: Told) -> Any:
        """Do as told."""
        if told.wait:
            await workflow.wait_condition(lambda: False)
        return await workflow.execute_activity(
            obey,
            told,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(
                maximum_attempts=told.tries, initial_interval=timedelta(seconds=30)
            ),
        )
