"""What one call of a language model is, whichever vendor's."""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.costs import answered
from contracts.language import Usage
from providers import failures
from providers.prompt_files import Filled

Shape = TypeVar("Shape", bound=BaseModel)


class Reply(NamedTuple, Generic[Shape]):
    """An answer of the shape asked for, and what it took."""

    answer: Shape
    usage: Usage


class ChatModel(Protocol):
    """A model behind a vendor's API."""

    @property
    def provider(self) -> str:
        """Name of the vendor in attempts and logs."""

    @property
    def engine(self) -> str:
        """Id of the model, for the record on the result."""

    @property
    def context_characters(self) -> int:
        """How much text one call may hold, our prompt not counted."""

    async def ask(self, prompt: Filled, shape: type[Shape]) -> Reply[Shape]:
        """Make exactly one call.

        Raises:
            ProviderBusy: overloaded, throttled, away or too slow.
            ProviderOut: the credential, the address or the model is no good.
            TooLongForProvider: more text than the model takes.
            ProviderBroken: an answer that is malformed, empty, truncated, blocked or refused; the
                code says which.
        """

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""


def reply(provider: str, text: str | None, shape: type[Shape], usage: Usage) -> Reply[Shape]:
    """The answer as ``parsed``, which is paid for whatever it is."""
    with answered(usage.units):
        return Reply(parsed(provider, text, shape), usage)


def parsed(provider: str, text: str | None, shape: type[Shape]) -> Shape:
    """The answer's text as the shape asked for.

    Raises:
        ProviderBroken: it is empty, or no JSON of that shape.
    """
    if not text or not text.strip():
        raise failures.unusable(provider, "empty")
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        # Not chained: the error quotes the answer, which holds what was said.
        empty = all(problem["type"] == "empty_text" for problem in error.errors())
    raise failures.unusable(provider, "empty") if empty else failures.unreadable(provider)


def closed_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a shape in which no object takes further fields, as strict modes demand."""
    schema: dict[str, Any] = _closed(shape.model_json_schema())
    return schema


def _closed(value: Any) -> Any:
    if isinstance(value, Mapping):
        inside = {key: _closed(each) for key, each in value.items()}
        return inside | {"additionalProperties": False} if "properties" in value else inside
    return [_closed(each) for each in value] if isinstance(value, list) else value
