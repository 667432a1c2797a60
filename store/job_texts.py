"""Texts that are kept sealed for one job: in a row of their own, for as long as the job needs it.

Never in a job's request: that is what workflows are started with. Whoever ends the job forgets its
text in the same transaction.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

from sqlalchemy import ColumnElement, Delete, Select, Table, and_, bindparam, delete, exists, select

from contracts.jobs import ENDS
from store.expressions import Insert, by_dialect
from store.schema import jobs
from store.session import Session

_OWNER: Final = frozenset({"job_id", "user_id"})


class Statements(NamedTuple):
    """What is said about one table of such texts.

    Attributes:
        own: the row of a job of a user.
    """

    own: ColumnElement[bool]
    keep: Mapping[str, Any]
    find: Select[Any]
    forget: Delete
    forget_ended: Delete


def statements_of(table: Table, text: str) -> Statements:
    """Those of a table keyed by ``job_id``, with an owner in ``user_id``.

    Args:
        text: name of the column that holds it.
    """
    own = and_(table.c.job_id == bindparam("own_job"), table.c.user_id == bindparam("own_user"))
    changed = [column.name for column in table.columns if column.name not in _OWNER]

    def keep(insert: Insert) -> Insert:
        return insert.on_conflict_do_update(
            index_elements=[table.c.job_id],
            set_={name: insert.excluded[name] for name in changed},
            where=table.c.user_id == insert.excluded.user_id,
        )

    ended = exists().where(jobs.c.id == table.c.job_id, jobs.c.state.in_(ENDS))
    return Statements(
        own=own,
        keep=by_dialect(table, keep),
        find=select(table.c[text]).where(own),
        forget=delete(table).where(own),
        forget_ended=delete(table).where(ended),
    )


class JobTexts:
    """The texts of one table, inside a transaction."""

    statements: ClassVar[Statements]

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, job_id: str, user_id: str) -> str | None:
        """The text as it was kept; none when the job does not need it (any more)."""
        found: str | None = await self._session.value(
            self.statements.find, own_job(job_id, user_id)
        )
        return found

    async def forget(self, job_id: str, user_id: str) -> None:
        """Remove it."""
        await self._session.run(self.statements.forget, own_job(job_id, user_id))

    async def forget_ended(self) -> int:
        """Remove what jobs that have ended left, of every owner; returns how many."""
        return await self._session.run(self.statements.forget_ended)

    async def _keep(self, job_id: str, user_id: str, **columns: object) -> None:
        """Write the row; that of an earlier round gives way, another user's does not."""
        row = {"job_id": job_id, "user_id": user_id, "created_at": self._session.now, **columns}
        await self._session.run(self.statements.keep[self._session.dialect], row)


def own_job(job_id: str, user_id: str) -> dict[str, Any]:
    """The values of ``Statements.own``."""
    return {"own_job": job_id, "own_user": user_id}
