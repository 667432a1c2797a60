"""Bodies and answers about webhooks."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.shapes.fields import EXAMPLE_MEMO, EXAMPLE_TIME, Answer, Body, Omittable, Part, Time, Uuid
from api.shapes.fields import example as shown
from contracts.egress import MAX_URL
from contracts.errors import InvalidInput
from contracts.webhooks import (
    Endpoint,
    Message,
    MessageAttempt,
    MessageState,
    WebhookEvent,
    check_secret,
)

EXAMPLE_URL: Final = "https://example.com/voicekeep"
EXAMPLE_SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - of the documentation


def _secret(text: str) -> str:
    try:
        return check_secret(text)
    except InvalidInput as failure:
        raise PydanticCustomError("secret", "{message}", {"message": failure.message}) from None


Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
Secret = Annotated[str, StringConstraints(max_length=200), AfterValidator(_secret)]
Events = Annotated[
    list[Annotated[WebhookEvent, Field(strict=False)]], Field(max_length=len(WebhookEvent))
]
_Description = Annotated[str, StringConstraints(max_length=500)]


class NewEndpoint(Body):
    """Where events are to be sent."""

    model_config = shown({"url": EXAMPLE_URL, "events": ["memo.completed", "memo.failed"]})

    url: Url = Field(description="https, at a public address.", examples=[EXAMPLE_URL])
    events: Events = Field([], description="Events wanted; empty: all, new ones too.")
    description: Omittable[_Description] = Field(None)
    enabled: bool = Field(default=True)


class EndpointChange(Body):
    """What is to be changed of an endpoint; what is left out stays."""

    model_config = shown({"enabled": False})

    url: Omittable[Url] = Field(None)
    events: Omittable[Events] = Field(None)
    description: Omittable[_Description] = Field(None)
    enabled: Omittable[bool] = Field(None)


class EndpointView(Part):
    """An endpoint; its secret is shown when it is made, and never again."""

    id: str
    url: str
    events: list[WebhookEvent] = Field(description="Events wanted; empty: all.")
    description: str | None
    enabled: bool
    disabled_reason: str | None = Field(
        description="Why it was switched off without being told to: `gone`, it answered 410."
    )
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, endpoint: Endpoint) -> "EndpointView":
        """The view of a row."""
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            events=list(endpoint.events),
            description=endpoint.description,
            enabled=endpoint.enabled,
            disabled_reason=endpoint.disabled_reason,
            created_at=endpoint.created_at.isoformat(),
            updated_at=endpoint.updated_at.isoformat(),
        )


class OneEndpoint(Answer):
    """One endpoint."""

    endpoint: EndpointView


class EndpointCreated(OneEndpoint):
    """A new endpoint with its secret."""

    secret: str = Field(
        description="Signs every message (Standard Webhooks); shown this once.",
        examples=[EXAMPLE_SECRET],
    )


class EndpointList(Answer):
    """Every endpoint of the caller."""

    endpoints: list[EndpointView]


class EndpointRemoved(Answer):
    """That an endpoint is gone."""

    endpoint_id: str


class SecretAnswer(Answer):
    """A secret."""

    secret: str = Field(examples=[EXAMPLE_SECRET])


class MessageAttemptView(Part):
    """One attempt."""

    number: int
    at: str
    seconds: float
    status: int | None = Field(description="HTTP status of the answer; null when there was none.")
    code: str | None = Field(
        description="Why it failed: `refused`, `redirected`, `gone`, `timed_out`, "
        "`url_not_allowed`, …; null when it was delivered."
    )

    @classmethod
    def of(cls, attempt: MessageAttempt) -> "MessageAttemptView":
        """The view of a row."""
        fields = attempt.model_dump() | {"at": attempt.at.isoformat()}
        return cls(**fields)


class MessageView(Part):
    """One event for one endpoint."""

    id: str
    event_id: str = Field(description="The `webhook-id` header, the same on every attempt.")
    endpoint_id: str
    type: WebhookEvent
    status: MessageState
    attempts: int
    job_id: str | None
    body: dict[str, Any] = Field(description="As it is sent.")
    created_at: str
    next_attempt_at: str | None
    delivered_at: str | None

    @classmethod
    def of(cls, message: Message) -> "MessageView":
        """The view of a row."""
        return cls(
            id=message.id,
            event_id=message.event_id,
            endpoint_id=message.endpoint_id,
            type=message.type,
            status=message.state,
            attempts=message.attempts,
            job_id=message.job_id,
            body=message.body,
            created_at=message.created_at.isoformat(),
            next_attempt_at=message.next_at.isoformat() if message.next_at else None,
            delivered_at=message.delivered_at.isoformat() if message.delivered_at else None,
        )


class MessageList(Answer):
    """A page of messages, newest first."""

    messages: list[MessageView]
    limit: int
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class OneMessage(Answer):
    """A message with its attempts."""

    message: MessageView
    attempts: list[MessageAttemptView]


class MessageQueued(Answer):
    """That a message will be sent, now."""

    message_id: str
    status: MessageState


class ReplayRange(Body):
    """Which messages are to be sent again."""

    model_config = shown(
        {"endpointId": EXAMPLE_MEMO, "from": EXAMPLE_TIME, "to": "2026-02-01T00:00:00+00:00"}
    )

    endpoint_id: Uuid
    start: Time = Field(alias="from", description="Written at this time or later.")
    end: Time = Field(alias="to", description="Written before this time.")


class RangeQueued(Answer):
    """How many messages will be sent again, within a minute or two."""

    messages: int
