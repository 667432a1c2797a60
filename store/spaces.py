"""Spaces: who belongs to one, and which memos are shared by it."""

from typing import Final

from sqlalchemy import and_, bindparam, delete, insert, select, update

from contracts.errors import Forbidden, NotFound
from store.expressions import unless_there
from store.schema import memo_spaces, memos, space_members, spaces
from store.session import Session

OWNER: Final = "owner"
MEMBER: Final = "member"

_ROLE: Final = select(space_members.c.role).where(
    space_members.c.space_id == bindparam("own_space"),
    space_members.c.user_id == bindparam("own_user"),
)
_IS_OWNER: Final = select(memos.c.id).where(
    memos.c.id == bindparam("own_memo"),
    memos.c.user_id == bindparam("own_user"),
    memos.c.deleted_at.is_(None),
)
_PAYS: Final = (
    select(spaces.c.pays)
    .join(space_members, space_members.c.space_id == spaces.c.id)
    .where(spaces.c.id == bindparam("own_space"), space_members.c.user_id == bindparam("own_user"))
)
_OWNER_OF: Final = select(spaces.c.owner_id).where(spaces.c.id == bindparam("own_space"))
_LET_PAY: Final = (
    update(spaces)
    .where(spaces.c.id == bindparam("own_space"), spaces.c.owner_id == bindparam("own_user"))
    .values({spaces.c.pays: bindparam("decision"), spaces.c.updated_at: bindparam("now")})
)
_LEAVE: Final = delete(space_members).where(
    space_members.c.space_id == bindparam("own_space"),
    space_members.c.user_id == bindparam("own_user"),
)
_JOIN: Final = unless_there(space_members)
_LINK: Final = unless_there(memo_spaces)
_UNLINK: Final = delete(memo_spaces).where(
    and_(
        memo_spaces.c.memo_id == bindparam("own_memo"),
        memo_spaces.c.space_id == bindparam("own_space"),
    )
)


class Spaces:
    """Membership and links, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(
        self, space_id: str, owner_id: str, name: str, description: str | None
    ) -> None:
        """Make a space; its creator is its owner and first member."""
        now = self._session.now
        row = {
            "id": space_id,
            "name": name,
            "description": description,
            "owner_id": owner_id,
            "created_at": now,
            "updated_at": now,
        }
        await self._session.run(insert(spaces), row)
        await self.join(space_id, owner_id, OWNER)

    async def join(self, space_id: str, user_id: str, role: str = MEMBER) -> None:
        """Make a user a member; whoever is one stays what they are."""
        row = {
            "space_id": space_id,
            "user_id": user_id,
            "role": role,
            "joined_at": self._session.now,
        }
        await self._session.run(_JOIN[self._session.dialect], row)

    async def role(self, space_id: str, user_id: str) -> str | None:
        """What the user is in the space; none: no member, or there is no such space."""
        own = {"own_space": space_id, "own_user": user_id}
        role: str | None = await self._session.value(_ROLE, own)
        return role

    async def leave(self, space_id: str, user_id: str) -> bool:
        """End a membership; false when there was none."""
        own = {"own_space": space_id, "own_user": user_id}
        return bool(await self._session.run(_LEAVE, own))

    async def owner(self, space_id: str) -> str | None:
        """Id of its owner; none: there is no such space."""
        owner: str | None = await self._session.value(_OWNER_OF, {"own_space": space_id})
        return owner

    async def pays(self, space_id: str, user_id: str) -> bool | None:
        """Whether it pays for its members' memos; none: the user is no member, or it is not."""
        own = {"own_space": space_id, "own_user": user_id}
        pays: bool | None = await self._session.value(_PAYS, own)
        return pays

    async def let_pay(self, space_id: str, owner_id: str, *, pays: bool) -> None:
        """Decide whether the space pays for its members' memos from now on.

        Raises:
            Forbidden: the user is not its owner, or there is no such space.
        """
        values = {
            "own_space": space_id,
            "own_user": owner_id,
            "decision": pays,
            "now": self._session.now,
        }
        if not await self._session.run(_LET_PAY, values):
            raise Forbidden("Only the owner of a space decides what it pays")

    async def link(self, memo_id: str, space_id: str, user_id: str) -> None:
        """Share a memo of the user's own with a space of theirs; a second time changes nothing.

        Raises:
            NotFound: not their memo, or not their space.
        """
        await self._check(memo_id, space_id, user_id)
        row = {"memo_id": memo_id, "space_id": space_id, "created_at": self._session.now}
        await self._session.run(_LINK[self._session.dialect], row)

    async def unlink(self, memo_id: str, space_id: str, user_id: str) -> None:
        """Take a memo of the user's own out of a space of theirs; a second time changes nothing.

        Raises:
            NotFound: not their memo, or not their space.
        """
        await self._check(memo_id, space_id, user_id)
        await self._session.run(_UNLINK, {"own_memo": memo_id, "own_space": space_id})

    async def _check(self, memo_id: str, space_id: str, user_id: str) -> None:
        own = {"own_memo": memo_id, "own_user": user_id}
        if await self._session.value(_IS_OWNER, own) is None:
            raise NotFound
        if await self.role(space_id, user_id) is None:
            raise NotFound
