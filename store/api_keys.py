"""The API keys of each user: what is left of them once they were shown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Row, and_, bindparam, delete, func, insert, or_, select, text, update

from contracts.api_keys import ApiKey, DrawnKey, Scope
from contracts.errors import Conflict, NotFound
from store.api_key_tables import api_keys
from store.columns import Moment
from store.session import Session

MOST_KEYS: Final = 50
"""Of one user, those that have expired among them: a list that a person can look through."""

USED_SECONDS: Final = 60.0
"""How far behind ``last_used_at`` may be."""

_OWN: Final = and_(
    api_keys.c.id == bindparam("own_id"),
    api_keys.c.user_id == bindparam("own_user"),
)
_LISTED: Final = api_keys.c.user_id == bindparam("own_user")
_LIST: Final = select(api_keys).where(_LISTED).order_by(api_keys.c.created_at, api_keys.c.id)
_COUNT: Final = select(func.count()).select_from(api_keys).where(_LISTED)
_FIND: Final = select(api_keys).where(_OWN)
_SHOWN: Final = select(api_keys).where(
    api_keys.c.digest == bindparam("shown_digest"),
    or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > bindparam("now", type_=Moment)),
)
_USED: Final = (
    update(api_keys)
    .where(
        _OWN,
        or_(
            api_keys.c.last_used_at.is_(None),
            api_keys.c.last_used_at < bindparam("before", type_=Moment),
        ),
    )
    .values(last_used_at=bindparam("now", type_=Moment))
)
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtext('api_keys' || :own_user))")


class ApiKeys:
    """The keys, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(
        self,
        user_id: str,
        key: DrawnKey,
        *,
        name: str,
        scopes: Iterable[Scope],
        expires_at: datetime | None = None,
    ) -> ApiKey:
        """A new key, which works until ``expires_at``.

        Raises:
            Conflict: ``too_many_api_keys``.
        """
        if self._session.dialect == "postgresql":
            await self._session.rows(_ONE_AT_A_TIME, {"own_user": user_id})
        if (await self._session.value(_COUNT, {"own_user": user_id}) or 0) >= MOST_KEYS:
            raise Conflict(f"An account has at most {MOST_KEYS} API keys", code="too_many_api_keys")
        row = {
            "id": str(uuid4()),
            "user_id": user_id,
            **key._asdict(),
            "name": name,
            "scopes": ",".join(dict.fromkeys(scopes)),
            "created_at": self._session.now,
            "expires_at": expires_at,
        }
        await self._session.run(insert(api_keys), row)
        return await self.find(row["id"], user_id)

    async def list(self, user_id: str) -> Sequence[ApiKey]:
        """Every key of a user, oldest first."""
        return [_key(row) for row in await self._session.rows(_LIST, {"own_user": user_id})]

    async def find(self, key_id: str, user_id: str) -> ApiKey:
        """One key of a user; raises NotFound."""
        row = await self._session.row(_FIND, {"own_id": key_id, "own_user": user_id})
        if row is None:
            raise NotFound
        return _key(row)

    async def shown(self, digest: str) -> ApiKey | None:
        """The key somebody shows, while it works: neither revoked nor expired."""
        values = {"shown_digest": digest, "now": self._session.now}
        row = await self._session.row(_SHOWN, values)
        return None if row is None else _key(row)

    async def used(self, key_id: str, user_id: str) -> None:
        """Write down that a key is in use, unless that was done within the minute."""
        values = {
            "own_id": key_id,
            "own_user": user_id,
            "now": self._session.now,
            "before": self._session.before(USED_SECONDS),
        }
        await self._session.run(_USED, values)

    async def revoke(self, key_id: str, user_id: str) -> None:
        """Make a key worthless for good, from the next request on.

        Raises:
            NotFound: there is no such key of this user.
        """
        own = {"own_id": key_id, "own_user": user_id}
        if not await self._session.run(delete(api_keys).where(_OWN), own):
            raise NotFound


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        prefix=row.prefix,
        last4=row.last4,
        scopes=tuple(Scope(name) for name in row.scopes.split(",")),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
