"""Errors as clients of OpenAI's API know them, for every path below ``/v1``.

``{"error": {"message", "type", "param", "code"}}``; types, codes and statuses after the error
reference of that API, and after what the classes of openai 3.52 (`_exceptions.py`) look at.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from contracts.errors import Failure, InvalidInput, MediaRejected, NotFound, UnsupportedMedia

PREFIX: Final = "/v1"
PARAM: Final = "param"
"""Name of a failure's ``extra`` that says which field of the request is wrong."""

SERVER_ERROR: Final = 500

_PARAMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unknown_voice": "voice",
        "language_not_spoken": "input",
        "nothing_to_say": "input",
        "text_too_long": "input",
        "key_in_use": "Idempotency-Key",
        "idempotency_key_reused": "Idempotency-Key",
    }
)
_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "insufficient_credits": "insufficient_quota",
        "rate_limited": "rate_limit_exceeded",
        "unauthorized": "invalid_api_key",
    }
)
"""What our codes are called there; every other one is our own."""

_TYPES: Final[Mapping[int, str]] = MappingProxyType({402: "insufficient_quota", 429: "requests"})


def is_openai(path: str) -> bool:
    """Whether whoever asks for this path expects OpenAI's shapes."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def as_openai(failure: Failure) -> Failure:
    """The failure with the status it has there: a file that is no audio, a model there is not."""
    if isinstance(failure, UnsupportedMedia | MediaRejected):
        extra = failure.extra | {PARAM: "file"}
        return InvalidInput(failure.message, code=failure.code, extra=extra)
    if failure.code == "unknown_model":
        message = "There is no such model: `GET /v1/models` tells those there are"
        return NotFound(message, code="model_not_found", extra={PARAM: "model"})
    return failure


def openai_body(status: int, message: str, code: str, **extra: Any) -> dict[str, Any]:
    """The body of an error answer."""
    kind = "server_error" if status >= SERVER_ERROR else "invalid_request_error"
    param = extra.pop(PARAM, None) or _PARAMS.get(code)
    said = {"message": message, "type": _TYPES.get(status, kind), "param": param}
    return {"error": extra | said | {"code": _CODES.get(code, code)}}
