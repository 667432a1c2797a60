"""Webhooks we send: events, what their bodies hold, when they are tried again.

By Standard Webhooks 1.0: ``webhook-id`` stays the same on every attempt, the body is
``{type, timestamp, data}`` below 20 kB, a secret is ``whsec_`` and the base64 of 24 to 64 bytes.
Bodies hold ids, states and numbers, never what was said.
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from contracts.credits import Charge
from contracts.errors import InvalidInput, NotFound
from contracts.ids import is_uuid
from contracts.jobs import JobFailure
from contracts.values import Value

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - not a secret, the mark of one
SECRET_BYTES: Final = 32
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
MAX_BODY_BYTES: Final = 20_000

ROTATION_SECONDS: Final = 24 * 3600.0
"""So long after a rotation messages carry a second signature, by the secret before."""

_HOUR: Final = 3600.0
SCHEDULE: Final = (
    *(0.0, 5.0, 300.0, 1800.0),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds before each attempt, counted from the one before it; then the dead letters."""

JITTER: Final = 0.1
"""Pauses differ by up to this share, so that an endpoint that was away is not hit all at once."""


class WebhookEvent(StrEnum):
    """What a webhook can tell."""

    MEMO_CREATED = "memo.created"
    MEMO_TRANSCRIBED = "memo.transcribed"
    MEMO_COMPLETED = "memo.completed"
    MEMO_FAILED = "memo.failed"
    RECORDING_STARTED = "recording.started"
    RECORDING_COMPLETED = "recording.completed"
    RECORDING_FAILED = "recording.failed"
    SPEECH_READY = "speech.ready"
    SPEECH_FAILED = "speech.failed"
    CREDITS_LOW = "credits.low"
    TEST = "webhook.test"


class MemoEventData(Value):
    """Of every ``memo.…`` event; fields that are not known yet are null.

    Attributes:
        status: as on the memo: pending, completed, completed_no_transcript, failed, cancelled.
        seconds: measured length of the recording.
        credits: charged for it.
        tier: transcription tier that served.
    """

    memo_id: str
    job_id: str
    status: str
    seconds: float | None = None
    words: int | None = None
    credits: int | None = None
    tier: str | None = None
    error: JobFailure | None = None


class CreditsLowData(Value):
    """The balance fell below the threshold of the settings.

    Attributes:
        space_id: whose balance it is; the user's own when there is none.
    """

    credits: int
    threshold: int
    space_id: str | None = None


def credits_low(charge: Charge, threshold: int) -> CreditsLowData | None:
    """What is to be told of a charge; nothing unless the balance fell below by it."""
    if charge.balance is None or not charge.fell_below(threshold):
        return None
    return CreditsLowData(credits=charge.balance, threshold=threshold, space_id=charge.space_id)


class SpeechEventData(Value):
    """Of every ``speech.…`` event.

    Attributes:
        status: ``ready`` or ``failed``.
        characters: of the text that is read aloud.
        seconds: length of the audio.
        size: bytes of the file.
        credits: charged for it.
    """

    file_id: str
    job_id: str
    content_hash: str
    status: str
    format: str
    characters: int
    seconds: float | None = None
    size: int | None = None
    credits: int | None = None
    error: JobFailure | None = None


class TestData(Value):
    """Sent when an endpoint is test-fired."""

    endpoint_id: str


DATA: Final[Mapping[WebhookEvent, type[Value]]] = MappingProxyType(
    {
        WebhookEvent.MEMO_CREATED: MemoEventData,
        WebhookEvent.MEMO_TRANSCRIBED: MemoEventData,
        WebhookEvent.MEMO_COMPLETED: MemoEventData,
        WebhookEvent.MEMO_FAILED: MemoEventData,
        WebhookEvent.SPEECH_READY: SpeechEventData,
        WebhookEvent.SPEECH_FAILED: SpeechEventData,
        WebhookEvent.CREDITS_LOW: CreditsLowData,
        WebhookEvent.TEST: TestData,
    }
)
"""Shape of ``data`` by event; shapes only grow."""


class MessageState(StrEnum):
    """How far a message is.

    ``pending`` waits for its next attempt, ``dead`` is a dead letter: it is not tried again unless
    somebody asks for it.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Delivery(Value):
    """One message to one endpoint, as it travels through Temporal: ids alone."""

    event_id: str
    endpoint_id: str
    user_id: str

    @property
    def id(self) -> str:
        """Of the message, as its readers know it."""
        return f"{self.event_id}-{self.endpoint_id}"


class DeliveryJob(Value):
    """A message that is still to be delivered; the input of its workflow.

    Attributes:
        tried: attempts since it was announced, or asked for again.
        pause: seconds until the next one.
    """

    delivery: Delivery
    tried: int = 0
    pause: float = 0.0


RETRY_SIGNAL: Final = "retry_now"


class RetryNow(Value):
    """Somebody mended the endpoint and does not want to wait for the next attempt."""


class Deliveries(Value):
    """Several of them: what is to be tried once, or what that left over."""

    jobs: tuple[DeliveryJob, ...] = ()


class Outgoing(Value):
    """All that one attempt needs; a secret's holder, never through Temporal.

    Attributes:
        body: the bytes that are signed and sent, the same on every attempt.
        secrets: ``whsec_…``, the present one first.
        tried: attempts since it was announced, or asked for again.
        enabled: the endpoint takes messages; always, when it is only tested.
    """

    delivery: Delivery
    url: str
    body: str
    secrets: tuple[str, ...]
    tried: int = 0
    enabled: bool = True


class AttemptResult(Value):
    """How one attempt ended.

    Attributes:
        delivered: the endpoint answered 2xx.
        status: of its answer; none when there was none.
        code: of the failure, in ``contracts.errors`` or one of ``gone``, ``refused``, ``redirect``.
        retry_after: seconds the endpoint wants to be left alone, where that is honoured.
        gone: it answered 410: the endpoint is switched off.
    """

    delivered: bool
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    gone: bool = False
    seconds: float = 0.0


class Endpoint(Value):
    """Where somebody's webhooks go.

    Attributes:
        events: wanted; none wants all.
        disabled_reason: why it was switched off by us: ``gone``.
    """

    id: str
    user_id: str
    url: str
    description: str | None = None
    events: tuple[WebhookEvent, ...] = ()
    enabled: bool = True
    disabled_reason: str | None = None
    created_at: datetime
    updated_at: datetime


class Message(Value):
    """One event for one endpoint.

    Attributes:
        next_at: when it is tried next; none when it is not.
    """

    event_id: str
    endpoint_id: str
    user_id: str
    type: WebhookEvent
    body: dict[str, Any]
    job_id: str | None = None
    state: MessageState
    attempts: int = 0
    next_at: datetime | None = None
    created_at: datetime
    delivered_at: datetime | None = None

    @property
    def id(self) -> str:
        """What it is known by: an event may go to several endpoints."""
        return f"{self.event_id}-{self.endpoint_id}"


class MessageAttempt(Value):
    """One attempt of a message."""

    number: int
    at: datetime
    seconds: float
    status: int | None = None
    code: str | None = None


def new_secret() -> str:
    """A secret nobody has had before."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def check_secret(text: str) -> str:
    """A secret a client brings along.

    Raises:
        InvalidInput: it is not ``whsec_`` and the base64 of 24 to 64 bytes.
    """
    refusal = InvalidInput("webhook_secret must be whsec_ and the base64 of 24 to 64 bytes")
    if not text.startswith(SECRET_PREFIX):
        raise refusal
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise refusal
    return text


def delivery_of(message_id: str) -> tuple[str, str]:
    """Event and endpoint of a message's id.

    Raises:
        NotFound: it is the id of none.
    """
    event, _, endpoint = message_id.partition("-")
    if not event.startswith("msg_") or not is_uuid(endpoint):
        raise NotFound
    return event, endpoint


def event_id(subject: str, event: WebhookEvent, attempt_round: int = 1) -> str:
    """``webhook-id`` of what happened to a job: the same however often it is told.

    Args:
        subject: the job's id, or what else the event is about.
        attempt_round: 2, 3, … when the job was run again.
    """
    text = f"{subject}\n{event}\n{attempt_round}"
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def body_of(event: WebhookEvent, at: datetime, data: Value) -> str:
    """The text that is signed and sent.

    Args:
        at: when it happened, with its zone.

    Raises:
        ValueError: it is larger than webhooks may be.
    """
    body = {
        "type": event,
        "timestamp": at.isoformat(),
        "data": data.model_dump(mode="json", exclude_none=True),
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_BODY_BYTES:
        raise ValueError(f"A webhook of more than {MAX_BODY_BYTES} bytes")
    return text


def pause_before(attempt: int, spread: float, retry_after: float | None = None) -> float | None:
    """Seconds to wait before an attempt; none when there are no more.

    Args:
        attempt: 1 for the first.
        spread: -1..1, drawn at random.
        retry_after: what the endpoint asked for; the longer of the two counts, up to a day.
    """
    if attempt > len(SCHEDULE):
        return None
    planned = SCHEDULE[attempt - 1] * (1 + JITTER * spread)
    return max(planned, min(retry_after or 0.0, SCHEDULE[-1]))
