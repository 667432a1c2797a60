"""Messages we send: one row for an event and an endpoint, written with what it tells of."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    String,
    and_,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from contracts.errors import NotFound
from contracts.values import Value
from contracts.webhooks import (
    AttemptResult,
    Delivery,
    MessageState,
    Outgoing,
    WebhookEvent,
    body_of,
    event_id,
)
from store.columns import Id, Moment, Words
from store.session import Session
from store.webhook_rows import OWN_MESSAGE, delivery_of_row, own_message
from store.webhook_tables import (
    IS_PENDING,
    webhook_accounts,
    webhook_attempts,
    webhook_endpoints,
    webhook_messages,
)

_WANTED: Final = and_(
    webhook_endpoints.c.user_id == bindparam("own_user", type_=Id),
    webhook_endpoints.c.enabled,
    or_(
        webhook_endpoints.c.job_id.is_(None),
        webhook_endpoints.c.job_id == bindparam("own_job", type_=String),
    ),
    or_(
        webhook_endpoints.c.events.is_(None),
        webhook_endpoints.c.events.contains(bindparam("sought", type_=String)),
    ),
)
_COLUMNS: Final = (
    *("event_id", "endpoint_id", "user_id", "type", "body", "job_id"),
    *("state", "attempts", "tried", "created_at", "next_at"),
)
_ONE_EACH: Final = select(
    bindparam("own_event", type_=String),
    webhook_endpoints.c.id,
    webhook_endpoints.c.user_id,
    bindparam("new_type", type_=String),
    bindparam("new_body", type_=Words),
    bindparam("own_job", type_=String),
    literal(MessageState.PENDING, String),
    literal(0),
    literal(0),
    bindparam("now", type_=Moment),
    bindparam("now", type_=Moment),
)


def _announcing(dialect: str, wanted: Any) -> Any:
    """One message for each endpoint that wants it; a second time changes nothing."""
    module = postgresql if dialect == "postgresql" else sqlite
    return (
        module.insert(webhook_messages)
        .from_select(_COLUMNS, _ONE_EACH.where(wanted))
        .on_conflict_do_nothing()
        .returning(webhook_messages.c.endpoint_id)
    )


_ANNOUNCE: Final = {name: _announcing(name, _WANTED) for name in ("sqlite", "postgresql")}
_TO_ONE: Final = {
    name: _announcing(
        name,
        and_(
            webhook_endpoints.c.user_id == bindparam("own_user", type_=Id),
            webhook_endpoints.c.id == bindparam("own_endpoint", type_=Id),
        ),
    )
    for name in ("sqlite", "postgresql")
}
_OUTGOING: Final = (
    select(
        webhook_messages,
        webhook_endpoints.c.url,
        webhook_endpoints.c.enabled,
        webhook_endpoints.c.secret,
        webhook_endpoints.c.previous_secret,
        webhook_endpoints.c.previous_until,
        webhook_accounts.c.secret.label("account_secret"),
        webhook_accounts.c.previous_secret.label("account_previous"),
        webhook_accounts.c.previous_until.label("account_until"),
    )
    .join(webhook_endpoints, webhook_endpoints.c.id == webhook_messages.c.endpoint_id)
    .outerjoin(webhook_accounts, webhook_accounts.c.user_id == webhook_messages.c.user_id)
    .where(OWN_MESSAGE, IS_PENDING)
)
_COUNT: Final = (
    update(webhook_messages)
    .where(OWN_MESSAGE)
    .values(attempts=webhook_messages.c.attempts + 1, tried=webhook_messages.c.tried + 1)
    .returning(webhook_messages.c.attempts)
)
_STATE: Final = (
    update(webhook_messages)
    .where(OWN_MESSAGE)
    .values(
        state=bindparam("new_state"),
        next_at=bindparam("new_next", type_=Moment),
        delivered_at=bindparam("new_delivered", type_=Moment),
    )
)
_GONE: Final = (
    update(webhook_endpoints)
    .where(
        webhook_endpoints.c.id == bindparam("own_endpoint"),
        webhook_endpoints.c.user_id == bindparam("own_user"),
        webhook_endpoints.c.enabled,
    )
    .values(enabled=False, disabled_reason="gone", updated_at=bindparam("now", type_=Moment))
)
_REVIVE: Final = (
    update(webhook_messages)
    .where(OWN_MESSAGE)
    .values(
        state=MessageState.PENDING,
        tried=0,
        next_at=bindparam("now", type_=Moment),
        delivered_at=None,
    )
)
_DUE: Final = (
    select(
        webhook_messages.c.event_id,
        webhook_messages.c.endpoint_id,
        webhook_messages.c.user_id,
        webhook_messages.c.tried,
    )
    .where(IS_PENDING, webhook_messages.c.next_at < bindparam("until", type_=Moment))
    .order_by(webhook_messages.c.next_at, webhook_messages.c.event_id)
    .limit(bindparam("most"))
)


class _Event(NamedTuple):
    id: str
    type: WebhookEvent
    data: Value


class Webhooks:
    """Messages and their attempts, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def announce(
        self,
        user_id: str,
        event: WebhookEvent,
        data: Value,
        *,
        subject: str,
        job_id: str | None = None,
        attempt_round: int = 1,
    ) -> tuple[Delivery, ...]:
        """Write a message for each endpoint of the user, and of the job, that wants the event.

        Args:
            subject: what the event happened to, a job's id for one: the same subject, event and
                round are one event, whoever tells it again.

        Returns:
            The messages that are new; none when it was announced before.
        """
        what = _Event(event_id(subject, event, attempt_round), event, data)
        choice = {"own_user": user_id, "sought": f",{event},", "own_job": job_id}
        return await self._announce(_ANNOUNCE, what, choice)

    async def announce_to(
        self, user_id: str, endpoint_id: str, event: WebhookEvent, data: Value, *, subject: str
    ) -> tuple[Delivery, ...]:
        """Write a message for one endpoint, enabled or not, whatever events it wants."""
        what = _Event(event_id(subject, event), event, data)
        choice = {"own_user": user_id, "own_endpoint": endpoint_id, "own_job": None}
        return await self._announce(_TO_ONE, what, choice)

    async def _announce(
        self, statements: Mapping[str, Any], what: _Event, choice: Mapping[str, str | None]
    ) -> tuple[Delivery, ...]:
        values = {
            **choice,
            "own_event": what.id,
            "new_type": what.type,
            "new_body": body_of(what.type, self._session.now, what.data),
            "now": self._session.now,
        }
        rows = await self._session.rows(statements[self._session.dialect], values)
        user_id = str(choice["own_user"])
        return tuple(
            Delivery(event_id=what.id, endpoint_id=row.endpoint_id, user_id=user_id) for row in rows
        )

    async def outgoing(self, delivery: Delivery) -> Outgoing | None:
        """What the next attempt needs; none when the message is not to be sent (any more)."""
        row = await self._session.row(_OUTGOING, own_message(delivery))
        if row is None:
            return None
        if row.secret is not None:
            secrets = self._secrets(row.secret, row.previous_secret, row.previous_until)
        else:
            secrets = self._secrets(row.account_secret, row.account_previous, row.account_until)
        return Outgoing(
            delivery=delivery,
            url=row.url,
            body=row.body,
            secrets=secrets,
            tried=row.tried,
            enabled=row.enabled or row.type == WebhookEvent.TEST,
        )

    def _secrets(
        self, present: str | None, previous: str | None, until: datetime | None
    ) -> tuple[str, ...]:
        valid = previous is not None and until is not None and until > self._session.now
        return tuple(each for each in (present, previous if valid else None) if each is not None)

    async def record(
        self, delivery: Delivery, result: AttemptResult, *, pause: float | None
    ) -> None:
        """Write an attempt and what it comes to.

        Args:
            pause: seconds until the next attempt; none: a failed one was the last.

        Raises:
            NotFound: the message has been removed meanwhile.
        """
        now = self._session.now
        own = own_message(delivery)
        number = await self._session.value(_COUNT, own)
        if number is None:
            raise NotFound
        await self._session.run(
            insert(webhook_attempts),
            {
                "event_id": delivery.event_id,
                "endpoint_id": delivery.endpoint_id,
                "number": number,
                "at": now,
                "seconds": max(result.seconds, 0.0),
                "status": result.status,
                "code": result.code,
            },
        )
        if result.gone:
            await self._session.run(_GONE, {**own, "now": now})
        await self._session.run(_STATE, {**own, **_outcome(result, pause, now)})

    async def dismiss(self, delivery: Delivery) -> None:
        """Make a message a dead letter without an attempt: its endpoint is switched off."""
        dead = {"new_state": MessageState.DEAD, "new_next": None, "new_delivered": None}
        await self._session.run(_STATE, {**own_message(delivery), **dead})

    async def revive(self, delivery: Delivery) -> None:
        """Make a message pending again, whatever became of it, with the whole schedule before it.

        Raises:
            NotFound: there is no such message of this user.
        """
        if not await self._session.run(
            _REVIVE, {**own_message(delivery), "now": self._session.now}
        ):
            raise NotFound

    async def overdue(self, *, seconds: float, limit: int) -> tuple[tuple[Delivery, int], ...]:
        """Pending messages of every owner, so late, and how often each was tried."""
        values = {"until": self._session.before(seconds), "most": limit}
        rows = await self._session.rows(_DUE, values)
        return tuple((delivery_of_row(row), row.tried) for row in rows)

    async def forget(self, job_id: str, user_id: str) -> int:
        """Remove the messages about a job and the address that came with it."""
        gone = await self._session.run(
            delete(webhook_messages).where(
                webhook_messages.c.job_id == job_id, webhook_messages.c.user_id == user_id
            )
        )
        await self._session.run(
            delete(webhook_endpoints).where(
                webhook_endpoints.c.job_id == job_id, webhook_endpoints.c.user_id == user_id
            )
        )
        return gone


def _outcome(result: AttemptResult, pause: float | None, now: datetime) -> dict[str, Any]:
    if result.delivered:
        state, upcoming = MessageState.DELIVERED, None
    elif pause is None or result.gone:
        state, upcoming = MessageState.DEAD, None
    else:
        state, upcoming = MessageState.PENDING, now + timedelta(seconds=pause)
    return {
        "new_state": state,
        "new_next": upcoming,
        "new_delivered": now if result.delivered else None,
    }
