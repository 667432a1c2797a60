"""What calls of vendors used and cost, and what was charged for it, summed up."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, String, bindparam, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from contracts.costs import Units, Usage, UsageBy
from store.columns import Moment
from store.ledger import credit_entries
from store.schema import attempts
from store.session import Session
from store.usage_tables import IS_CHARGE

MOST_USERS: Final = 1000
"""Of a sum by users: those that cost most."""


class utc_day(GenericFunction[str]):  # noqa: N801 - named as a SQL function
    """The day of a moment in UTC, ``2026-11-21``."""

    type = String()
    inherit_cache = True


@compiles(utc_day, "sqlite")
def _sqlite_day(element: utc_day, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"substr({compiler.process(element.clauses, **kwargs)}, 1, 10)"


@compiles(utc_day, "postgresql")
def _postgres_day(element: utc_day, compiler: SQLCompiler, **kwargs: Any) -> str:
    moment = compiler.process(element.clauses, **kwargs)
    return f"to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


class job_kind(GenericFunction[str]):  # noqa: N801 - as above
    """The kind of a job by its id, as ``contracts.ids.kind_of``."""

    type = String()
    inherit_cache = True


@compiles(job_kind, "sqlite")
def _sqlite_kind(element: job_kind, compiler: SQLCompiler, **kwargs: Any) -> str:
    name = compiler.process(element.clauses, **kwargs)
    return f"substr({name}, 1, instr({name} || '-', '-') - 1)"


@compiles(job_kind, "postgresql")
def _postgres_kind(element: job_kind, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"split_part({compiler.process(element.clauses, **kwargs)}, '-', 1)"


_CALL: Final = attempts.c
_CHARGE: Final = credit_entries.c
_KEYS: Final[Mapping[UsageBy, ColumnElement[Any]]] = {
    UsageBy.DAY: utc_day(_CALL.started_at),
    UsageBy.KIND: job_kind(_CALL.job_id),
    UsageBy.TIER: _CALL.tier,
    UsageBy.USER: _CALL.user_id,
}
_CHARGE_KEYS: Final[Mapping[UsageBy, ColumnElement[Any]]] = {
    UsageBy.DAY: utc_day(_CHARGE.created_at),
    UsageBy.KIND: func.coalesce(job_kind(_CHARGE.job_id), "other"),
}
_SUMS: Final = (
    func.count().label("calls"),
    func.sum(_CALL.audio_milliseconds).label("audio_milliseconds"),
    func.sum(_CALL.input_tokens).label("input_tokens"),
    func.sum(_CALL.output_tokens).label("output_tokens"),
    func.sum(_CALL.characters).label("characters"),
    func.coalesce(func.sum(_CALL.cost_micros), 0).label("micros"),
    (func.count() - func.count(_CALL.cost_micros)).label("unpriced"),
)


class UsageSums:
    """Sums over a time, inside a transaction; the time begins with ``since``, without ``until``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def calls(
        self,
        by: UsageBy | None,
        since: datetime,
        until: datetime,
        *,
        user_id: str | None,
        tier: str | None = None,
    ) -> Sequence[Usage]:
        """Calls that began in that time, in groups; by the order of their keys.

        Args:
            by: none makes one group of them all, with an empty key.
            user_id: whose; none sums over every user, for operators.
            tier: of this tier only.
        """
        key = _KEYS[by] if by else None
        statement = _grouped(key, *_SUMS).where(
            _CALL.started_at >= bindparam("since", type_=Moment),
            _CALL.started_at < bindparam("until", type_=Moment),
        )
        values: dict[str, Any] = {"since": since, "until": until}
        if user_id is not None:
            statement = statement.where(_CALL.user_id == bindparam("own_user"))
            values["own_user"] = user_id
        if tier is not None:
            statement = statement.where(_CALL.tier == bindparam("of_tier"))
            values["of_tier"] = tier
        if by is UsageBy.USER:
            dearest = func.coalesce(func.sum(_CALL.cost_micros), 0).desc()
            order = (dearest, _KEYS[by])
            statement = statement.order_by(None).order_by(*order).limit(MOST_USERS)
        return [_usage(row) for row in await self._session.rows(statement, values) if row.calls]

    async def charged(
        self, by: UsageBy | None, since: datetime, until: datetime, *, user_id: str
    ) -> Mapping[str, int]:
        """Credits a user was charged in that time, by key; none by tier, which has no price."""
        if by is not None and by not in _CHARGE_KEYS:
            return {}
        statement = _grouped(
            _CHARGE_KEYS[by] if by else None, func.coalesce(func.sum(_CHARGE.amount), 0)
        ).where(
            _CHARGE.user_id == bindparam("own_user"),
            IS_CHARGE,
            _CHARGE.created_at >= bindparam("since", type_=Moment),
            _CHARGE.created_at < bindparam("until", type_=Moment),
        )
        values = {"own_user": user_id, "since": since, "until": until}
        rows = await self._session.rows(statement, values)
        return {str(row[0]) if by else "": int(row[-1]) for row in rows}


def _grouped(key: ColumnElement[Any] | None, *sums: ColumnElement[Any]) -> Select[Any]:
    if key is None:
        return select(*sums)
    return select(key.label("key"), *sums).group_by(key).order_by(key)


def _usage(row: Row[Any]) -> Usage:
    """Sums of Postgres are numerics; none stays none."""
    found = row._asdict()
    units = {name: found[name] for name in Units.model_fields}
    return Usage(
        key=str(found.get("key", "")),
        calls=int(row.calls),
        units=Units(**{name: None if n is None else int(n) for name, n in units.items()}),
        micros=int(row.micros),
        unpriced=int(row.unpriced),
    )
