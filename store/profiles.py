"""Profiles: a user's settings, merged key by key in SQL."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from contracts.profile import Profile
from store.expressions import by_dialect, merged, unless_there
from store.schema import profiles
from store.session import Session

_OWN: Final = profiles.c.user_id == bindparam("own_user")
_FIND: Final = select(profiles).where(_OWN)
_MAKE: Final = unless_there(profiles)
_LEARN: Final = by_dialect(
    profiles,
    lambda insert: insert.on_conflict_do_update(
        index_elements=[profiles.c.user_id],
        set_={"email": insert.excluded.email, "updated_at": insert.excluded.updated_at},
        where=profiles.c.email.is_(None),
    ),
)


class Profiles:
    """The profile rows, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, user_id: str) -> Profile | None:
        """The user's profile; none before anything is known of them."""
        row = await self._session.row(_FIND, {"own_user": user_id})
        return None if row is None else Profile.model_validate(row._asdict())

    async def learn_email(self, user_id: str, email: str) -> None:
        """Keep an address of a user of whom none is kept; the row is made when it is not there."""
        row = {
            "user_id": user_id,
            "email": email,
            "app_settings": {},
            "updated_at": self._session.now,
        }
        await self._session.run(_LEARN[self._session.dialect], row)

    async def change(
        self,
        user_id: str,
        *,
        settings: Mapping[str, Any] | None = None,
        **columns: str | None,
    ) -> Profile:
        """Merge settings and write columns; the row is made when it is not there.

        Args:
            settings: merged into ``app_settings`` at every depth.
            columns: ``email``, ``display_name``, ``avatar_url``, ``bio``.
        """
        now = self._session.now
        row = {"user_id": user_id, "app_settings": {}, "updated_at": now}
        await self._session.run(_MAKE[self._session.dialect], row)
        values: dict[Any, Any] = {profiles.c[name]: value for name, value in columns.items()}
        if settings:
            values[profiles.c.app_settings] = merged(
                profiles.c.app_settings, settings, self._session.dialect
            )
        statement = update(profiles).where(_OWN).values({**values, profiles.c.updated_at: now})
        changed = await self._session.row(statement.returning(profiles), {"own_user": user_id})
        if changed is None:
            raise RuntimeError("A profile that was made is not there")
        return Profile.model_validate(changed._asdict())
