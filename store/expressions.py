"""SQL that is spelled differently by SQLite and Postgres, with one meaning.

``greatest(a, b)`` is the later or larger of two; ``merged`` is a deep merge into a JSON column.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, Text, case, cast, func, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import ReturnTypeFromArgs

from contracts.errors import InvalidInput
from store.columns import dump_json

MAX_DEPTH: Final = 20
_UNSPELLABLE: Final = '"\\'


class greatest(ReturnTypeFromArgs[Any]):  # noqa: N801 - named as the SQL function
    """The greatest of its arguments, none of them NULL."""

    inherit_cache = True


@compiles(greatest, "sqlite")
def _sqlite_greatest(element: greatest, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"max({compiler.process(element.clauses, **kwargs)})"


def merged(column: ColumnElement[Any], changes: Mapping[str, Any], dialect: str) -> Any:
    """The column's JSON with the changes merged in, key by key, at every depth.

    Objects are merged, everything else (lists, null) replaces what is there. What stands in the way
    of an object gives way to it. The database does it under the row's lock, so two writers of
    different keys never undo one another.

    Raises:
        InvalidInput: ``invalid_key``, a key that no path can spell, or objects in objects in …
    """
    _check_keys(changes, MAX_DEPTH)
    if dialect == "postgresql":
        return _postgres_merged(column, changes)
    return _sqlite_merged(column, changes)


def _check_keys(changes: Mapping[str, Any], depth: int) -> None:
    for key, value in changes.items():
        if not key or not key.isprintable() or any(mark in key for mark in _UNSPELLABLE):
            raise InvalidInput("A key cannot be stored", code="invalid_key")
        if isinstance(value, Mapping):
            if not depth:
                raise InvalidInput("Objects lie too deep in one another", code="invalid_key")
            _check_keys(value, depth - 1)


def _postgres_merged(target: ColumnElement[Any], changes: Mapping[str, Any]) -> ColumnElement[Any]:
    empty = cast(literal("{}", Text), JSONB)
    present = case((func.jsonb_typeof(target) == "object", target), else_=empty)
    pairs: list[Any] = []
    for key, value in changes.items():
        pairs.append(cast(literal(key, Text), Text))
        if isinstance(value, Mapping):
            # jsonb -> text is null for a missing key, and the case above makes that an object.
            pairs.append(_postgres_merged(target.op("->")(cast(literal(key, Text), Text)), value))
        else:
            pairs.append(cast(literal(dump_json(value), Text), JSONB))
    return present.op("||")(func.jsonb_build_object(*pairs))


def _sqlite_merged(column: ColumnElement[Any], changes: Mapping[str, Any]) -> ColumnElement[Any]:
    # json_patch makes room for the objects on the way; json_set, unlike it, can write a null.
    room = func.json_patch(column, literal(dump_json(_objects(changes)), Text))
    leaves: list[Any] = []
    for path, value in _leaves(changes, "$"):
        leaves += [literal(path, Text), func.json(literal(dump_json(value), Text))]
    return func.json_set(room, *leaves) if leaves else room


def _objects(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _objects(value) for key, value in changes.items() if isinstance(value, Mapping)}


def _leaves(changes: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in changes.items():
        below = f'{path}."{key}"'
        if isinstance(value, Mapping):
            yield from _leaves(value, below)
        else:
            yield below, value


Insert = postgresql.Insert | sqlite.Insert
_INSERTS: Final[Mapping[str, Callable[[Table], Insert]]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}


def by_dialect(table: Table, build: Callable[[Insert], Insert]) -> Mapping[str, Insert]:
    """An insert with an ``ON CONFLICT``, once for each dialect, by its name."""
    return {name: build(insert(table)) for name, insert in _INSERTS.items()}


def unless_there(table: Table) -> Mapping[str, Insert]:
    """An insert that changes nothing when a row of that key is there, by dialect."""
    return by_dialect(table, lambda insert: insert.on_conflict_do_nothing().inline())
