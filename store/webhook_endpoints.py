"""Where a user's webhooks go, and what they are signed with.

Secrets come here sealed, or as they are, and are kept as they come.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Row, and_, bindparam, delete, func, insert, select, update

from contracts.errors import Conflict, NotFound
from contracts.webhooks import ROTATION_SECONDS, Endpoint, WebhookEvent
from store.columns import Moment
from store.expressions import unless_there
from store.session import Session
from store.webhook_tables import webhook_accounts, webhook_endpoints

MOST_ENDPOINTS: Final = 20
"""Of one user: each one is a call for each event."""

_OWN: Final = and_(
    webhook_endpoints.c.id == bindparam("own_id"),
    webhook_endpoints.c.user_id == bindparam("own_user"),
    webhook_endpoints.c.job_id.is_(None),
)
_FIND: Final = select(webhook_endpoints).where(_OWN)
_LISTED: Final = and_(
    webhook_endpoints.c.user_id == bindparam("own_user"), webhook_endpoints.c.job_id.is_(None)
)
_LIST: Final = (
    select(webhook_endpoints)
    .where(_LISTED)
    .order_by(webhook_endpoints.c.created_at, webhook_endpoints.c.id)
)
_COUNT: Final = select(func.count()).where(_LISTED)
_ROTATE: Final = (
    update(webhook_endpoints)
    .where(_OWN)
    .values(
        previous_secret=webhook_endpoints.c.secret,
        previous_until=bindparam("until", type_=Moment),
        secret=bindparam("new_secret"),
        updated_at=bindparam("now", type_=Moment),
    )
)
_ACCOUNT: Final = webhook_accounts.c.user_id == bindparam("own_user")
_ADD_ACCOUNT: Final = unless_there(webhook_accounts)
_SECRET: Final = select(webhook_accounts.c.secret).where(_ACCOUNT)
_ROTATE_ACCOUNT: Final = (
    update(webhook_accounts)
    .where(_ACCOUNT)
    .values(
        previous_secret=webhook_accounts.c.secret,
        previous_until=bindparam("until", type_=Moment),
        secret=bindparam("new_secret"),
        updated_at=bindparam("now", type_=Moment),
    )
)


class WebhookEndpoints:
    """Endpoints and secrets, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(
        self,
        user_id: str,
        url: str,
        secret: str,
        *,
        events: Sequence[WebhookEvent] = (),
        description: str | None = None,
        enabled: bool = True,
    ) -> Endpoint:
        """A new endpoint.

        Raises:
            Conflict: ``too_many_endpoints``.
        """
        if (await self._session.value(_COUNT, {"own_user": user_id}) or 0) >= MOST_ENDPOINTS:
            message = f"An account has at most {MOST_ENDPOINTS} webhook endpoints"
            raise Conflict(message, code="too_many_endpoints")
        row = self._row(user_id, url, secret) | {
            "description": description,
            "events": _spelled(events),
            "enabled": enabled,
        }
        await self._session.run(insert(webhook_endpoints), row)
        return await self.find(row["id"], user_id)

    async def add_for_job(self, user_id: str, job_id: str, url: str, *, secret: str | None) -> None:
        """The address that came with a job; without a secret it is signed with the account's.

        A second time, when the job is run again, the address is changed.
        """
        own = {"own_user": user_id, "own_job": job_id}
        values = {"url": url, "secret": secret, "updated_at": self._session.now}
        changed = await self._session.run(
            update(webhook_endpoints)
            .where(
                webhook_endpoints.c.job_id == bindparam("own_job"),
                webhook_endpoints.c.user_id == bindparam("own_user"),
            )
            .values(**values),
            own,
        )
        if not changed:
            row = self._row(user_id, url, secret) | {"job_id": job_id, "enabled": True}
            await self._session.run(insert(webhook_endpoints), row)

    def _row(self, user_id: str, url: str, secret: str | None) -> dict[str, Any]:
        now = self._session.now
        return {
            "id": str(uuid4()),
            "user_id": user_id,
            "url": url,
            "secret": secret,
            "created_at": now,
            "updated_at": now,
        }

    async def list(self, user_id: str) -> Sequence[Endpoint]:
        """Every endpoint of a user, oldest first."""
        return [_endpoint(row) for row in await self._session.rows(_LIST, {"own_user": user_id})]

    async def find(self, endpoint_id: str, user_id: str) -> Endpoint:
        """One endpoint of a user; raises NotFound."""
        own = {"own_id": endpoint_id, "own_user": user_id}
        row = await self._session.row(_FIND, own)
        if row is None:
            raise NotFound
        return _endpoint(row)

    async def change(
        self,
        endpoint_id: str,
        user_id: str,
        *,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Endpoint:
        """Change what is given; switched on again, it is forgotten why it was off.

        Raises:
            NotFound: there is no such endpoint of this user.
        """
        given: dict[str, Any] = {"url": url, "description": description, "enabled": enabled}
        changes = {name: value for name, value in given.items() if value is not None}
        if events is not None:
            changes["events"] = _spelled(events)
        if enabled:
            changes["disabled_reason"] = None
        statement = update(webhook_endpoints).where(_OWN)
        own = {"own_id": endpoint_id, "own_user": user_id}
        if not await self._session.run(
            statement.values(**changes, updated_at=self._session.now), own
        ):
            raise NotFound
        return await self.find(endpoint_id, user_id)

    async def remove(self, endpoint_id: str, user_id: str) -> None:
        """Remove an endpoint with its messages.

        Raises:
            NotFound: there is no such endpoint of this user.
        """
        own = {"own_id": endpoint_id, "own_user": user_id}
        if not await self._session.run(delete(webhook_endpoints).where(_OWN), own):
            raise NotFound

    async def rotate(self, endpoint_id: str, user_id: str, secret: str) -> None:
        """Take a new secret; the one before signs too, for a day.

        Raises:
            NotFound: there is no such endpoint of this user.
        """
        own = {"own_id": endpoint_id, "own_user": user_id}
        await self._rotate(_ROTATE, own, secret)

    async def account_secret(self, user_id: str, fresh: str) -> str:
        """The account's own secret; ``fresh`` from now on, when it had none."""
        secret = await self._session.value(_SECRET, {"own_user": user_id})
        if secret is None:
            row = {"user_id": user_id, "secret": fresh, "updated_at": self._session.now}
            await self._session.run(_ADD_ACCOUNT[self._session.dialect], row)
            secret = await self._session.value(_SECRET, {"own_user": user_id})
        return str(secret)

    async def rotate_account(self, user_id: str, secret: str) -> None:
        """Take a new secret of the account; the one before signs too, for a day."""
        if await self.account_secret(user_id, secret) != secret:
            await self._rotate(_ROTATE_ACCOUNT, {"own_user": user_id}, secret)

    async def _rotate(self, statement: Any, own: dict[str, str], secret: str) -> None:
        now = self._session.now
        values = {
            **own,
            "new_secret": secret,
            "until": now + timedelta(seconds=ROTATION_SECONDS),
            "now": now,
        }
        if not await self._session.run(statement, values):
            raise NotFound


def _spelled(events: Sequence[WebhookEvent]) -> str | None:
    """As it is searched in: each name between two commas."""
    return f",{','.join(dict.fromkeys(events))}," if events else None


def _endpoint(row: Row[Any]) -> Endpoint:
    names = row.events.strip(",").split(",") if row.events else ()
    return Endpoint(
        id=row.id,
        user_id=row.user_id,
        url=row.url,
        description=row.description,
        events=tuple(WebhookEvent(name) for name in names),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
