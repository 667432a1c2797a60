"""Column types that mean the same on SQLite and on Postgres.

* ``Id``: a UUID. Native ``uuid`` on Postgres (clients that read rows directly expect it), 36 lower
  case characters on SQLite. Python sees ``str``. What is no UUID is refused before it is sent.
* ``Moment``: a point in time. ``timestamptz`` on Postgres; on SQLite ISO 8601 in UTC with
  microseconds, a fixed width, so that text order is time order.
* ``Json``: ``jsonb`` on Postgres, text on SQLite. SQL ``NULL`` for ``None``.
* ``Words``: text from outside. NUL cannot be stored by Postgres, so neither does SQLite.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import PydanticSerializationError, from_json, to_json
from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    Dialect,
    MetaData,
    String,
    Text,
    TypeDecorator,
    literal_column,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from contracts.errors import InvalidInput

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _is_postgres(dialect: Dialect) -> bool:
    return dialect.name == "postgresql"


class Id(TypeDecorator[str]):
    """A UUID; see the module."""

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Native on Postgres."""
        native = postgresql.UUID(as_uuid=False)
        return dialect.type_descriptor(native if _is_postgres(dialect) else String(36))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Refuse what is no UUID; one spelling for each that is.

        Raises:
            InvalidInput: ``invalid_id``.
        """
        if value is None:
            return None
        try:
            return str(UUID(value))
        except ValueError as error:
            raise InvalidInput("An id is not a UUID", code="invalid_id") from error

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Always a string."""
        return None if value is None else str(value)


class Moment(TypeDecorator[datetime]):
    """A point in time; see the module."""

    impl = String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """``timestamptz`` on Postgres."""
        native = DateTime(timezone=True)
        return dialect.type_descriptor(native if _is_postgres(dialect) else String(32))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Text for SQLite; a time without zone is a mistake."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone cannot be stored")
        if _is_postgres(dialect):
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Always with a zone, always UTC."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from outside; see the module."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Refuse NUL.

        Raises:
            InvalidInput: ``invalid_text``.
        """
        if value is not None and "\x00" in value:
            raise InvalidInput("Text must not contain NUL", code="invalid_text")
        return value


Json: Final = JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)


def dump_json(value: Any) -> str:
    """JSON text of plain values and of pydantic ones.

    Raises:
        InvalidInput: ``invalid_text`` for what cannot be stored: NUL, lone surrogates.
    """
    try:
        text = to_json(value, inf_nan_mode="null").decode()
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise InvalidInput("Text is not valid Unicode", code="invalid_text") from error
    # An escaped backslash before `u0000` is no escaped NUL.
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidInput("Text must not contain NUL", code="invalid_text")
    return text


load_json: Final = from_json


def spelled(value: str) -> ColumnElement[str]:
    """A constant written into the statement, not bound to it.

    An index over some rows only is used where the planner sees that the statement asks for those:
    it does not look at what is bound. Constants of ours only.
    """
    return literal_column(f"'{value}'", String())
