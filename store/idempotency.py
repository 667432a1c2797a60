"""Requests that came with an ``Idempotency-Key``, for 24 hours.

A row is written in the transaction of the work it stands for, with the answer in it; its status is
set once the work is known to be under way.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, delete, func, select, update

from contracts.errors import Conflict
from contracts.idempotency import IN_USE, KEPT_SECONDS, KeptAnswer
from store.columns import Moment
from store.expressions import unless_there
from store.schema import idempotency_keys
from store.session import Session

_OWN: Final = and_(
    idempotency_keys.c.principal == bindparam("own_user"),
    idempotency_keys.c.key == bindparam("own_key"),
)
_KEEP: Final = unless_there(idempotency_keys)
_FIND: Final = select(idempotency_keys).where(_OWN).with_for_update()
_EXTEND: Final = (
    update(idempotency_keys).where(_OWN).values(busy_until=bindparam("until", type_=Moment))
)
_FINISH: Final = update(idempotency_keys).where(_OWN).values(status=bindparam("new_status"))
_FORGET: Final = delete(idempotency_keys).where(_OWN)


class Idempotency:
    """The keys of each principal, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, user_id: str, key: str, *, busy_seconds: float) -> KeptAnswer | None:
        """What a key came with before; none when it is new, or was last used 24 hours ago.

        Whoever finds a request that is neither finished nor busy goes on in its place, and has
        ``busy_seconds`` for it.
        """
        now = self._session.now
        row = await self._session.row(_FIND, _own(user_id, key))
        if row is None:
            return None
        if row.created_at < self._session.before(KEPT_SECONDS):
            await self.forget(user_id, key)
            return None
        kept = _kept(row, busy=row.status is None and row.busy_until > now)
        if not kept.finished and not kept.busy:
            until = now + timedelta(seconds=busy_seconds)
            await self._session.run(_EXTEND, {**_own(user_id, key), "until": until})
        return kept

    async def keep(
        self,
        user_id: str,
        key: str,
        fingerprint: str,
        *,
        answer: Mapping[str, Any],
        busy_seconds: float,
    ) -> None:
        """Take a key for the work this transaction does.

        Args:
            answer: what the client is told when it comes again.
            busy_seconds: after so long without ``finish`` another request may go on in its place.

        Raises:
            Conflict: ``key_in_use``, another request took it since ``find``.
        """
        now = self._session.now
        row = {
            "principal": user_id,
            "key": key,
            "fingerprint": fingerprint,
            "status": None,
            "response": dict(answer),
            "busy_until": now + timedelta(seconds=busy_seconds),
            "created_at": now,
        }
        if not await self._session.run(_KEEP[self._session.dialect], row):
            raise Conflict(IN_USE, code="key_in_use", retry_after=1)

    async def finish(self, user_id: str, key: str, status: int) -> None:
        """The work is under way: from now on the answer is given again."""
        await self._session.run(_FINISH, {**_own(user_id, key), "new_status": status})

    async def forget(self, user_id: str, key: str) -> None:
        """The work was taken back: the key is free again."""
        await self._session.run(_FORGET, _own(user_id, key))

    async def forget_expired(self, limit: int) -> int:
        """Remove the oldest keys of every owner whose 24 hours are over; returns how many.

        Args:
            limit: about how many at most: those of one moment go together.
        """
        created = idempotency_keys.c.created_at
        oldest = (
            select(created)
            .where(created < self._session.before(KEPT_SECONDS))
            .order_by(created)
            .limit(limit)
            .subquery()
        )
        until = await self._session.value(select(func.max(oldest.c.created_at)))
        if until is None:
            return 0
        return await self._session.run(delete(idempotency_keys).where(created <= until))


def _own(user_id: str, key: str) -> dict[str, Any]:
    return {"own_user": user_id, "own_key": key}


def _kept(row: Row[Any], *, busy: bool) -> KeptAnswer:
    return KeptAnswer(
        fingerprint=row.fingerprint,
        answer=row.response,
        finished=row.status is not None,
        busy=busy,
    )
