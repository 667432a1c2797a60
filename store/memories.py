"""What was written about memos: answers, and what prompts asked for."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Integer, and_, bindparam, delete, exists, func, insert, or_, select, update

from contracts.errors import NotFound
from contracts.memory import MemoMemory, NewMemory
from store.columns import Id, Moment
from store.expressions import greatest
from store.schema import memo_spaces, memories, memos, space_members
from store.session import Session

_USER: Final = bindparam("own_user", type_=Id)
_READER: Final = or_(
    memos.c.user_id == _USER,
    exists().where(
        memo_spaces.c.memo_id == memos.c.id,
        memo_spaces.c.space_id == space_members.c.space_id,
        space_members.c.user_id == _USER,
    ),
)
_READABLE: Final = and_(
    memos.c.id == bindparam("own_id", type_=Id), memos.c.deleted_at.is_(None), _READER
)
_NEXT: Final = (
    select(func.coalesce(func.max(memories.c.sort_order) + 1, 0))
    .where(memories.c.memo_id == bindparam("own_id", type_=Id))
    .scalar_subquery()
)
# The memo's row is locked: two jobs at once number their memories one after the other.
_LOCK: Final = select(memos.c.id).where(_READABLE).with_for_update(of=memos)
_PLACE: Final = select(_NEXT.label("place"))
_ADD: Final = insert(memories)
_ONE: Final = memories.c.id == bindparam("memory_id", type_=Id)
_FIND: Final = (
    select(memories)
    .join(memos, memos.c.id == memories.c.memo_id)
    .where(_ONE, memos.c.deleted_at.is_(None), _READER)
)
_OF_OWN: Final = and_(
    _ONE,
    exists().where(
        memos.c.id == memories.c.memo_id, memos.c.deleted_at.is_(None), memos.c.user_id == _USER
    ),
)
_DELETE: Final = delete(memories).where(_OF_OWN)
_LIST: Final = (
    select(memories)
    .join(memos, memos.c.id == memories.c.memo_id)
    .where(_READABLE)
    .order_by(memories.c.sort_order, memories.c.created_at)
    .limit(bindparam("most", type_=Integer))
)

MOST: Final = 1000
"""Memories of one memo that are read at once."""


class Memories:
    """The memory rows, inside a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, memo_id: str, user_id: str, written: Sequence[NewMemory]) -> None:
        """Write memories of a memo that is the user's, or shared with them, after those it has.

        Raises:
            NotFound: there is no such memo (any more).
        """
        own = {"own_id": memo_id, "own_user": user_id}
        if await self._session.row(_LOCK, own) is None:
            raise NotFound
        place = int(await self._session.value(_PLACE, {"own_id": memo_id}))
        now = self._session.now
        for number, memory in enumerate(written, start=place):
            row = {
                **memory.model_dump(),
                "memo_id": memo_id,
                "media": None,
                "style": None,
                "sort_order": number,
                "created_at": now,
                "updated_at": now,
            }
            await self._session.run(_ADD, row)

    async def list(self, memo_id: str, user_id: str, *, limit: int = MOST) -> Sequence[MemoMemory]:
        """The memories of a memo that is the user's, or shared with them, in their order.

        Others' memos have none, like those that are not there.
        """
        values: dict[str, Any] = {"own_id": memo_id, "own_user": user_id, "most": limit}
        rows = await self._session.rows(_LIST, values)
        return [MemoMemory.model_validate(row._asdict()) for row in rows]

    async def find(self, memory_id: str, user_id: str) -> MemoMemory:
        """A memory of a memo that is the user's, or shared with them.

        Raises:
            NotFound: there is none.
        """
        row = await self._session.row(_FIND, {"memory_id": memory_id, "own_user": user_id})
        if row is None:
            raise NotFound
        return MemoMemory.model_validate(row._asdict())

    async def patch(
        self,
        memory_id: str,
        user_id: str,
        *,
        title: str | None = None,
        content: str | None = None,
    ) -> MemoMemory:
        """Change what is given; only the owner of the memo may.

        Raises:
            NotFound: there is no such memory of a memo of this user.
        """
        given = {"title": title, "content": content}
        values = {memories.c[name]: value for name, value in given.items() if value is not None}
        updated = greatest(memories.c.updated_at, bindparam("now", type_=Moment))
        statement = (
            update(memories)
            .where(_OF_OWN)
            .values({**values, memories.c.updated_at: updated})
            .returning(memories)
        )
        own = {"memory_id": memory_id, "own_user": user_id, "now": self._session.now}
        row = await self._session.row(statement, own)
        if row is None:
            raise NotFound
        return MemoMemory.model_validate(row._asdict())

    async def delete(self, memory_id: str, user_id: str) -> bool:
        """Remove it for good; only the owner of the memo may. False when it is not there."""
        return bool(await self._session.run(_DELETE, {"memory_id": memory_id, "own_user": user_id}))
