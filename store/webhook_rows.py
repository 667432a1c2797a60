"""One message: how it is found for its owner, and how its row is read."""

from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Row, and_, bindparam

from contracts.webhooks import Delivery, Message
from store.webhook_tables import webhook_messages

OWN_MESSAGE: Final = and_(
    webhook_messages.c.event_id == bindparam("own_event"),
    webhook_messages.c.endpoint_id == bindparam("own_endpoint"),
    webhook_messages.c.user_id == bindparam("own_user"),
)
"""The condition; ``own_message`` has its values."""


def own_message(delivery: Delivery) -> dict[str, str]:
    """Values of ``OWN_MESSAGE``."""
    return {
        "own_event": delivery.event_id,
        "own_endpoint": delivery.endpoint_id,
        "own_user": delivery.user_id,
    }


def delivery_of_row(row: Row[Any]) -> Delivery:
    """Which message it is, and whose."""
    return Delivery(event_id=row.event_id, endpoint_id=row.endpoint_id, user_id=row.user_id)


def message_of_row(row: Row[Any]) -> Message:
    """All of it."""
    return Message(
        event_id=row.event_id,
        endpoint_id=row.endpoint_id,
        user_id=row.user_id,
        type=row.type,
        body=from_json(row.body),
        job_id=row.job_id,
        state=row.state,
        attempts=row.attempts,
        next_at=row.next_at,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
    )
