"""Messages as their owner reads them: one, a page, what came of each; and a time of them again."""

from datetime import datetime
from typing import Final

from sqlalchemy import exists, literal, select, tuple_, update

from contracts.errors import NotFound
from contracts.paging import Cursor
from contracts.webhooks import Delivery, Message, MessageAttempt, MessageState
from store.columns import Id, Moment
from store.session import Session
from store.webhook_rows import OWN_MESSAGE, message_of_row, own_message
from store.webhook_tables import webhook_attempts, webhook_messages

OVERDUE_SECONDS: Final = 3600.0

_FIND: Final = select(webhook_messages).where(OWN_MESSAGE)


class WebhookMessages:
    """The messages of their owner, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, delivery: Delivery) -> Message:
        """One message of its owner; raises NotFound."""
        row = await self._session.row(_FIND, own_message(delivery))
        if row is None:
            raise NotFound
        return message_of_row(row)

    async def attempts(self, delivery: Delivery) -> tuple[MessageAttempt, ...]:
        """Every attempt of a message of its owner, in order."""
        statement = (
            select(webhook_attempts)
            .where(
                webhook_attempts.c.event_id == delivery.event_id,
                webhook_attempts.c.endpoint_id == delivery.endpoint_id,
                exists().where(
                    webhook_messages.c.event_id == webhook_attempts.c.event_id,
                    webhook_messages.c.endpoint_id == webhook_attempts.c.endpoint_id,
                    webhook_messages.c.user_id == delivery.user_id,
                ),
            )
            .order_by(webhook_attempts.c.number)
        )
        rows = await self._session.rows(statement)
        return tuple(
            MessageAttempt(
                number=row.number, at=row.at, seconds=row.seconds, status=row.status, code=row.code
            )
            for row in rows
        )

    async def page(
        self,
        user_id: str,
        *,
        endpoint_id: str | None = None,
        state: MessageState | None = None,
        after: Cursor | None = None,
        limit: int,
    ) -> tuple[tuple[Message, ...], Cursor | None]:
        """Messages of a user, newest first, and where the next page begins."""
        messages = webhook_messages.c
        statement = select(webhook_messages).where(messages.user_id == user_id)
        if endpoint_id is not None:
            statement = statement.where(messages.endpoint_id == endpoint_id)
        if state is not None:
            statement = statement.where(messages.state == state)
        place = tuple_(messages.created_at, messages.event_id, messages.endpoint_id)
        if after is not None:
            event, _, endpoint = after.id.partition("-")
            statement = statement.where(
                place
                < tuple_(literal(after.created_at, Moment), literal(event), literal(endpoint, Id))
            )
        statement = statement.order_by(
            messages.created_at.desc(), messages.event_id.desc(), messages.endpoint_id.desc()
        ).limit(limit + 1)
        found = [message_of_row(row) for row in await self._session.rows(statement)]
        following = None
        if len(found) > limit:
            following = Cursor(created_at=found[limit - 1].created_at, id=found[limit - 1].id)
        return tuple(found[:limit]), following

    async def revive_range(
        self, user_id: str, endpoint_id: str, start: datetime, end: datetime
    ) -> int:
        """Make every message of an endpoint pending again that was written between two times.

        They are overdue from the beginning, so that ``reconcile`` takes them up with its next tick.
        """
        messages = webhook_messages.c
        statement = (
            update(webhook_messages)
            .where(
                messages.user_id == user_id,
                messages.endpoint_id == endpoint_id,
                messages.created_at >= start,
                messages.created_at < end,
            )
            .values(
                state=MessageState.PENDING,
                tried=0,
                next_at=self._session.before(OVERDUE_SECONDS),
                delivered_at=None,
            )
        )
        return await self._session.run(statement)
