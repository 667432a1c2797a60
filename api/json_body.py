"""JSON from outside, read within bounds.

What the database could not keep (NUL, lone surrogates, infinite numbers) and what would cost too
much to look at (megabytes, depth) is refused here once, so no route has to think of it.
"""

import json
import math
from collections.abc import Iterable
from typing import Any, Final, Never

from fastapi import Request

from contracts.errors import InvalidInput, TooLarge

MAX_JSON_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64


class BoundedRequest(Request):
    """A request whose JSON body has been read within bounds by ``load``.

    Starlette keeps a body and its JSON once they have been read; ``load`` reads them first.
    """

    _body: bytes
    _json: Any

    async def load(self, max_bytes: int = MAX_JSON_BYTES) -> None:
        """Read the body, and parse it when it says it is JSON.

        Raises:
            TooLarge: more than ``max_bytes``.
            InvalidInput: not JSON, too deep, or text that cannot be stored.
        """
        self._body = await read_bounded(self, max_bytes)
        if self._body and "json" in self.headers.get("content-type", ""):
            self._json = parse(self._body)


async def read_bounded(request: Request, max_bytes: int = MAX_JSON_BYTES) -> bytes:
    """The raw body.

    Raises:
        TooLarge: it is longer.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"The body is larger than {max_bytes} bytes")
    return bytes(body)


def parse(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidInput: ``invalid_json`` or ``invalid_text``.
    """
    try:
        # Decoded here: left to itself, `json` takes UTF-16 and UTF-32 too.
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("Invalid JSON body", code="invalid_json") from error
    check(value)
    return value


def check(value: Any) -> None:
    """Refuse what is nested too deeply or cannot be stored.

    Raises:
        InvalidInput: ``invalid_json`` or ``invalid_text``.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return
    raise InvalidInput(f"JSON is nested more than {MAX_DEPTH} deep", code="invalid_json")


def check_text(text: str) -> str:
    """Refuse text that no database keeps.

    Raises:
        InvalidInput: ``invalid_text``.
    """
    if "\x00" in text:
        raise InvalidInput("Text must not contain NUL", code="invalid_text")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput("Text is not valid Unicode", code="invalid_text")
    return text


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput("Invalid JSON body", code="invalid_json")
    elif isinstance(value, dict):
        return [*value.keys(), *value.values()]
    elif isinstance(value, list):
        return value
    return ()


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")
