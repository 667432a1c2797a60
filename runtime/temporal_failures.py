"""What an activity's failure looks like to Temporal."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NoReturn

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, FailureError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from contracts.errors import (
    Failure,
    FormatNotTaken,
    NoSpeech,
    NotThereYet,
    Rejected,
    TooLongForProvider,
)

EXPECTED: Final = (Rejected, NotThereYet, NoSpeech, FormatNotTaken, TooLongForProvider)
"""Part of an ordinary day: no error log, no error metric."""

log = structlog.get_logger()


class FailureInterceptor(Interceptor):
    """Turns what activities raise into failures that say whether, and when, to try again."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap every activity."""
        return _FailingWell(next)


class _FailingWell(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        user = info.priority.fairness_key or user_of(input.args)
        job = {"job_id": info.workflow_id, "user_id": user}
        with structlog.contextvars.bound_contextvars(**job, activity=info.activity_type):
            try:
                return await self.next.execute_activity(input)
            except Failure as failure:
                _report(failure, info.attempt)
                raise to_application_error(failure) from None
            except FailureError:
                raise
            except Exception as error:  # noqa: BLE001 - a bug: told apart from failures, said once
                _crash(error, info)


def user_of(args: Sequence[Any]) -> str | None:
    """Whose job a step is of, by what it is given.

    Local activities, and those that a worker begins without asking the server, are not told the
    fairness key (Temporal server 1.32).
    """
    order = args[0] if args else None
    for value in (order, getattr(order, "job", None)):
        user = getattr(value, "user_id", None)
        if isinstance(user, str):
            return user
    return None


def to_application_error(failure: Failure) -> ApplicationError:
    """The same failure in Temporal's words.

    Type is the code; finality is decided by the class; what it carries beside the message goes
    along as its one detail.
    """
    delay = failure.retry_after
    benign = isinstance(failure, EXPECTED)
    return ApplicationError(
        failure.message,
        *([failure.extra] if failure.extra else []),
        type=failure.code,
        non_retryable=failure.final,
        next_retry_delay=None if delay is None else timedelta(seconds=delay),
        category=ApplicationErrorCategory.BENIGN
        if benign
        else ApplicationErrorCategory.UNSPECIFIED,
    )


def _report(failure: Failure, attempt: int) -> None:
    facts: Mapping[str, Any] = {
        "code": failure.code,
        "attempt": attempt,
        "final": failure.final,
        "retry_after": failure.retry_after,
    }
    if isinstance(failure, EXPECTED):
        log.info("activity.declined", **facts)
    else:
        log.warning("activity.failed", **facts, message=failure.message)


def _crash(error: Exception, info: activity.Info) -> NoReturn:
    """Log where a bug is and fail with its type alone.

    Messages of unknown exceptions quote the data they choked on (words, tokens, addresses): they
    stay out of the history, and of the log too (``runtime.logs``).
    """
    kind = type(error).__name__
    log.error("activity.crashed", attempt=info.attempt, exc_info=error)
    raise ApplicationError(
        f"{info.activity_type} met an unexpected {kind}", type="internal_error"
    ) from None
