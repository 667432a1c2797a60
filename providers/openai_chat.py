"""What OpenAI's two APIs for text are sent, and how their answers and refusals are read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from contracts.costs import answered
from contracts.errors import (
    FormatNotTaken,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from contracts.language import Usage
from providers import failures
from providers.chat_model import closed_schema
from providers.prompt_files import Filled

if TYPE_CHECKING:
    from openai import APIStatusError
    from openai.types.chat import ChatCompletion
    from openai.types.responses import Response

_TOO_LONG: Final = frozenset({"context_length_exceeded", "string_above_max_length"})
_TOO_LONG_WORDS: Final = ("context length", "context window", "context size", "too many tokens")
_BLOCKED: Final = frozenset({"content_filter", "content_policy_violation"})
_UNNAMED: Final = frozenset({None, "", "None"})
"""What gateways (LiteLLM 1.106) say instead of the parameter; their message names it."""


class TemperatureRefused(ProviderOut):
    """The model takes no temperature: the same call without one can succeed."""

    code = "temperature_refused"


def chat_request(prompt: Filled, shape: type[BaseModel], *, schema: bool) -> dict[str, Any]:
    """Arguments of ``chat.completions.create``.

    Args:
        schema: ask for exactly this schema; else for any JSON object, the schema told in words.
    """
    name, wanted = shape.__name__, closed_schema(shape)
    system = prompt.system
    form: dict[str, Any] = {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": wanted, "strict": True},
    }
    if not schema:
        system = f"{system}\n\nAnswer with one JSON object of this schema: {json.dumps(wanted)}"
        form = {"type": "json_object"}
    return {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": prompt.user},
        ],
        "response_format": form,
    }


def responses_request(prompt: Filled, shape: type[BaseModel]) -> dict[str, Any]:
    """Arguments of ``responses.create``; nothing is kept at the vendor."""
    return {
        "instructions": prompt.system,
        "input": prompt.user,
        "store": False,
        "text": {
            "format": {
                "type": "json_schema",
                "name": shape.__name__,
                "schema": closed_schema(shape),
                "strict": True,
            }
        },
    }


def said_in_chat(provider: str, completion: "ChatCompletion") -> tuple[str | None, Usage]:
    """Text and usage of a chat's answer.

    Raises:
        ProviderBroken: it is truncated, blocked or refused, or of another shape.
    """
    with _readable(provider):
        used = completion.usage
        usage = (
            Usage(input_tokens=used.prompt_tokens, output_tokens=used.completion_tokens)
            if used
            else Usage()
        )
        with answered(usage.units), _readable(provider):
            choice = completion.choices[0]
            if choice.finish_reason == "length":
                raise failures.unusable(provider, "truncated")
            if choice.finish_reason == "content_filter":
                raise failures.unusable(provider, "blocked")
            if choice.message.refusal:
                raise failures.unusable(provider, "refused")
            return choice.message.content, usage


def said_in_response(provider: str, response: "Response") -> tuple[str | None, Usage]:
    """Text and usage of a response.

    Raises:
        ProviderBroken: it is truncated, blocked, refused or failed, or of another shape.
    """
    with _readable(provider):
        used = response.usage
        usage = (
            Usage(input_tokens=used.input_tokens, output_tokens=used.output_tokens)
            if used
            else Usage()
        )
        with answered(usage.units), _readable(provider):
            return _text_of(provider, response), usage


def _text_of(provider: str, response: "Response") -> str:
    if response.status == "incomplete":
        details = response.incomplete_details
        filtered = details is not None and details.reason == "content_filter"
        raise failures.unusable(provider, "blocked" if filtered else "truncated")
    if response.status not in {None, "completed"}:
        raise failures.unreadable(provider)
    contents = [each for item in response.output if item.type == "message" for each in item.content]
    if any(each.type == "refusal" for each in contents):
        raise failures.unusable(provider, "refused")
    return "".join(each.text for each in contents if each.type == "output_text")


@contextmanager
def _readable(provider: str) -> Iterator[None]:
    """Whatever breaks while an answer is read means that it is of another shape."""
    try:
        yield
    except failures.MALFORMED:
        # Not chained: the error may quote the answer.
        raise failures.unreadable(provider) from None


def _about_temperature(param: str | None, said: str) -> bool:
    return param == "temperature" or (param in _UNNAMED and "temperature" in said)


def refusal(provider: str, error: "APIStatusError") -> ProviderFailure:
    """What a status of 300 and more means; code and message say which 400 it is."""
    status, code, said = error.status_code, error.code, error.message.lower()
    if code in _BLOCKED:
        return failures.unusable(provider, "blocked")
    if status == HTTPStatus.BAD_REQUEST and _about_temperature(error.param, said):
        return TemperatureRefused(f"{provider}'s model takes no temperature")
    kind: type[ProviderFailure] | None = None
    if code in failures.NO_MONEY:
        kind = ProviderOut
    elif code in _TOO_LONG or (
        status == HTTPStatus.BAD_REQUEST and any(sign in said for sign in _TOO_LONG_WORDS)
    ):
        kind = TooLongForProvider
    found = failures.of_status(
        provider, status, code=code, headers=error.response.headers, kind=kind
    )
    # There is no file whose format it could mean: the model or a parameter is no good.
    return ProviderOut(found.message) if isinstance(found, FormatNotTaken) else found
