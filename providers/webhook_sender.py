"""Webhooks by Standard Webhooks 1.0: signed, sent once, not followed anywhere.

After the specification: ``webhook-id`` is the event's and stays, ``webhook-timestamp`` is the
attempt's, ``webhook-signature`` holds one signature per valid secret. Only 2xx is a success; 410
says that nobody wants them any more; 429, 502, 503 and 504 may say when to come again.
"""

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from standardwebhooks.webhooks import Webhook

from contracts.errors import Failure
from contracts.webhooks import AttemptResult, Outgoing
from providers import failures
from providers.egress import Bounds, Outside, succeeded

CALL_SECONDS: Final = 15.0
_PATIENT: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class WebhookSender:
    """Implements ``WebhookSender`` of ``activities.webhook_ports``.

    Args:
        outside: calls addresses of strangers.
        seconds: bound of one attempt.
    """

    def __init__(self, outside: Outside, *, seconds: float = CALL_SECONDS) -> None:
        self._outside = outside
        self._bounds = Bounds(seconds=seconds, max_bytes=0, idle_seconds=seconds)

    async def send(self, outgoing: Outgoing) -> AttemptResult:
        """Make one attempt. The body of the answer is not read: it could be anything."""
        began = time.monotonic()
        try:
            async with self._outside.opened(
                "POST",
                outgoing.url,
                bounds=self._bounds,
                headers=signed(outgoing, datetime.now(UTC)),
                content=outgoing.body.encode(),
            ) as answer:
                result = judged(answer.status, failures.retry_after(answer.headers))
        except Failure as failure:
            result = AttemptResult(delivered=False, code=failure.code)
        return result.model_copy(update={"seconds": round(time.monotonic() - began, 3)})


def signed(outgoing: Outgoing, at: datetime) -> dict[str, str]:
    """The headers of an attempt.

    Args:
        at: its time, in UTC.
    """
    event = outgoing.delivery.event_id
    signatures = (Webhook(secret).sign(event, at, outgoing.body) for secret in outgoing.secrets)
    return {
        "Content-Type": "application/json",
        "webhook-id": event,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def judged(status: int, retry_after: float | None) -> AttemptResult:
    """What an answer's status means."""
    if succeeded(status):
        return AttemptResult(delivered=True, status=status)
    if status == HTTPStatus.GONE:
        return AttemptResult(delivered=False, status=status, code="gone", gone=True)
    redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    return AttemptResult(
        delivered=False,
        status=status,
        code="redirected" if redirect else "refused",
        retry_after=retry_after if status in _PATIENT else None,
    )
