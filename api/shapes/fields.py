"""Fields that several bodies have."""

from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from contracts.ids import is_uuid

EXAMPLE_USER: Final = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
EXAMPLE_MEMO: Final = "1c0de2a4-7b1e-4f5c-9d0e-0a1b2c3d4e5f"
EXAMPLE_PATH: Final = f"{EXAMPLE_USER}/{EXAMPLE_MEMO}/audio_2026-01-31T09-15-00-000000Z.m4a"
EXAMPLE_TIME: Final = "2026-01-31T09:15:00.000000+00:00"

T = TypeVar("T")


class _NotNull:
    """A field may be left out, and is never ``null``: neither in a body nor in its schema."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        return {**schema, **kinds[0]} if kinds else schema


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null", "Input should not be null")
    return value


def drop_null_defaults(schema: dict[str, Any]) -> None:
    """Leave out of a schema what only Python says of fields that may be left out."""
    for field in schema.get("properties", {}).values():
        if field.get("default", ...) is None:
            del field["default"]


def _check_uuid(text: str) -> str:
    if not is_uuid(text):
        raise PydanticCustomError("uuid", "Input should be a UUID")
    return text.lower()


def _check_time(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("time", "Input should be an ISO 8601 time") from None
    return text


Omittable = Annotated[T | None, BeforeValidator(_refuse_null), _NotNull()]
"""A field that may be left out; ``None`` then, in Python only."""

Uuid = Annotated[
    str, AfterValidator(_check_uuid), Field(json_schema_extra={"format": "uuid"}, max_length=36)
]
Time = Annotated[
    str,
    AfterValidator(_check_time),
    Field(json_schema_extra={"format": "date-time"}, max_length=40),
]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


def example(body: dict[str, Any]) -> ConfigDict:
    """Settings of a body that is shown by one example of all of it."""

    def touch(schema: dict[str, Any]) -> None:
        drop_null_defaults(schema)
        schema["examples"] = [body]

    return ConfigDict(json_schema_extra=touch)


class Body(BaseModel):
    """What a client sends: camelCase, unknown fields ignored, no silent conversions."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        strict=True,
        json_schema_extra=drop_null_defaults,
    )


class Answer(BaseModel):
    """What a client gets: camelCase, ``success`` first."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    success: bool = Field(default=True, description="Always true; an error answer says false.")


class Part(BaseModel):
    """A piece of an answer, in camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )
