"""One table maps the failure tree to HTTP; one shape for every error answer.

An error answer is ``{"success": false, "error", "code", "requestId"}`` and, where the failure names
some, further fields; below ``/v1`` it is OpenAI's. What the caller sent is never repeated in it.
"""

import http
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.openai_errors import PARAM, PREFIX, as_openai, is_openai, openai_body
from contracts import errors

STATUS: Final[Mapping[type[errors.Failure], int]] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.InsufficientCredits: 402,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.MediaRejected: 422,
    errors.KeyReused: 422,
    errors.Locked: 423,
    errors.TooManyRequests: 429,
    errors.ChecksumMismatch: 460,
    errors.ProviderFailure: 502,
    errors.NotThereYet: 503,
    errors.Unavailable: 503,
}
"""Status of a failure: that of the nearest class above it which stands here."""

RETRY_AFTER_UNAVAILABLE: Final = 2
"""Seconds; how long a client waits when a dependency that is away does not say itself."""

_CODES: Final = {
    404: errors.NotFound.code,
    405: "method_not_allowed",
    413: errors.TooLarge.code,
}
_SHOULD: Final = re.compile(
    r"^(?:Input|Value|String|List|Set|Tuple|Dictionary|Data|UUID input) (should|must) "
)
_PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})


def status_of(failure: errors.Failure) -> int:
    """HTTP status of a failure; 500 for one that nobody thought of."""
    return next((STATUS[kind] for kind in type(failure).__mro__ if kind in STATUS), 500)


def request_id_of(request: Request) -> str:
    """Id of the request, given by ``api.middleware``."""
    return str(request.scope["state"].get("request_id", ""))


def error_body(request_id: str, message: str, code: str, **extra: Any) -> dict[str, Any]:
    """The body of an error answer in our own shape."""
    body = {"success": False, "error": message, "code": code, "requestId": request_id}
    return extra | body


def body_at(
    scope: Mapping[str, Any], status: int, message: str, code: str, **extra: Any
) -> dict[str, Any]:
    """The body of every error answer, in the shape that belongs to the path of the request."""
    if is_openai(scope["path"]):
        return openai_body(status, message, code, **extra)
    request_id = str(scope.get("state", {}).get("request_id", ""))
    return error_body(request_id, message, code, **extra)


def field_of(problem: Mapping[str, Any]) -> str | None:
    """Name of the field that a validation error is about; none: it is about the whole body."""
    return ".".join(str(part) for part in problem["loc"] if part not in _PLACES) or None


def sentence(problem: Mapping[str, Any]) -> str:
    """One message about one field, in the spelling clients send it in."""
    field = field_of(problem) or "body"
    kind, message = problem["type"], str(problem["msg"])
    if kind == "missing":
        return f"{field} is required"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if field == "body":
        return "The body must be a JSON object"
    # A name is a client's own text: a backslash in it is no part of a template.
    spoken = _SHOULD.sub(lambda found: f"{field} {found[1]} ", message)
    return spoken if spoken != message else f"{field}: {message}"


def validation_failure(problems: Iterable[Mapping[str, Any]]) -> errors.InvalidInput:
    """Every message, joined by a comma; the same one said twice is said once."""
    return errors.InvalidInput(", ".join(dict.fromkeys(sentence(each) for each in problems)))


def failure_response(request_id: str, failure: errors.Failure, path: str = "") -> JSONResponse:
    """The answer a failure becomes, in the shape that belongs to the path."""
    if is_openai(path):
        failure = as_openai(failure)
    status = status_of(failure)
    headers = {}
    wait = failure.retry_after
    if wait is None and status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        wait = RETRY_AFTER_UNAVAILABLE
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    scope = {"path": path, "state": {"request_id": request_id}}
    body = body_at(scope, status, failure.message, failure.code, **failure.extra)
    return JSONResponse(body, status, headers)


def openai_event(failure: errors.Failure) -> bytes:
    """What a client of OpenAI's is told whose answer had begun as events: its stream raises it."""
    body = bytes(failure_response("", failure, PREFIX).body)
    return b"event: error\ndata: " + body + b"\n\n"


async def on_failure(request: Request, failure: errors.Failure) -> Response:
    """Answer a failure of our own tree."""
    return failure_response(request_id_of(request), failure, request.scope["path"])


async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """Answer a request whose fields are not of the form asked for."""
    failure = validation_failure(error.errors())
    if is_openai(request.scope["path"]):
        failure.extra[PARAM] = field_of(error.errors()[0])
    return failure_response(request_id_of(request), failure, request.scope["path"])


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer what the framework itself refuses: an unknown path, a wrong method."""
    status = error.status_code
    message = "Not found" if status == http.HTTPStatus.NOT_FOUND else str(error.detail)
    body = body_at(request.scope, status, message, _CODES.get(status, "invalid_request"))
    return JSONResponse(body, status, error.headers)
