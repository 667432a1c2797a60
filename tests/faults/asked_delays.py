"""What activities ask of Temporal: the delay before they are tried again, by the workflow."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)


class Asked(NamedTuple):
    """One failed try of an activity.

    Attributes:
        delay: seconds before the next one; none: as the policy has it.
        final: there is to be no next one.
    """

    step: str
    code: str
    delay: float | None
    final: bool


class AskedDelays(Interceptor):
    """Keeps every failure that leaves an activity, as Temporal gets it."""

    def __init__(self) -> None:
        self.of: defaultdict[str, list[Asked]] = defaultdict(list)
        self.told: dict[str, Callable[[Asked], None]] = {}
        """By the workflow's id: who wants to know at once."""

    def plugin(self) -> SimplePlugin:
        """For a client, before the plugin that makes the failures."""
        return SimplePlugin("asked-delays", interceptors=[self])

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Keeping(next, self)

    def keep(self, job_id: str, asked: Asked) -> None:
        self.of[job_id].append(asked)
        if job_id in self.told:
            self.told[job_id](asked)


class _Keeping(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, kept: AskedDelays) -> None:
        super().__init__(following)
        self._kept = kept

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - as above
        info = activity.info()
        try:
            return await self.next.execute_activity(input)
        except ApplicationError as error:
            delay = error.next_retry_delay
            seconds = None if delay is None else delay.total_seconds()
            asked = Asked(info.activity_type, error.type or "", seconds, error.non_retryable)
            self._kept.keep(str(info.workflow_id), asked)
            raise
