"""The statements behind a page of memos: one's own, and those shared by the spaces one belongs to.

Each half brings its newest by its own index; only those few are sorted together, so a page costs
the same however many memos there are.
"""

from typing import Final

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, select, tuple_, union_all

from store.columns import Id, Moment
from store.schema import memo_counts, memo_spaces, memos, space_members

_USER: Final = bindparam("own_user", type_=Id)
_NOT_DELETED: Final = memos.c.deleted_at.is_(None)
_ORDER: Final = (memos.c.created_at.desc(), memos.c.id.desc())
_AFTER: Final = tuple_(memos.c.created_at, memos.c.id) < tuple_(
    bindparam("after_at", type_=Moment), bindparam("after_id", type_=Id)
)
_LINKED: Final = (
    select(memo_spaces.c.memo_id)
    .join(space_members, space_members.c.space_id == memo_spaces.c.space_id)
    .where(space_members.c.user_id == _USER)
)
_OWN: Final = (memos.c.user_id == _USER, _NOT_DELETED)
_SHARED: Final = (memos.c.id.in_(_LINKED), memos.c.user_id != _USER, _NOT_DELETED)


def _page(*start: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    most = bindparam("most", type_=Integer)
    halves = [
        select(select(memos.c.id).where(*rows, *start).order_by(*_ORDER).limit(most).subquery())
        for rows in (_OWN, _SHARED)
    ]
    newest = union_all(*halves).subquery()
    return (
        select(memos)
        .join(newest, newest.c.id == memos.c.id)
        .order_by(*_ORDER)
        .limit(bindparam("count", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
    )


PAGE: Final = _page()
"""From the newest on: ``own_user``, ``count``, ``offset``, and ``most`` (the sum of both)."""

PAGE_AFTER: Final = _page(_AFTER)
"""From behind a memo on: also ``after_at`` and ``after_id``."""

TOTAL: Final = select(
    select(func.coalesce(func.sum(memo_counts.c.memos), 0))
    .where(memo_counts.c.user_id == _USER)
    .scalar_subquery()
    + select(func.count()).select_from(memos).where(*_SHARED).scalar_subquery()
)
"""How many there are in all, for ``own_user``."""
