"""What the OpenAPI document says beside the routes, and its last touches."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

VERSION: Final = version("voicekeep")

DESCRIPTION: Final = """\
Every voice memo is one durable job: it finishes whatever crashes and is charged once.

**Begin**: `POST /api/v1/memos/upload` with a recording, then `GET /api/v1/jobs/{jobId}/events`
until `done`, then `GET /api/v1/memos/{memoId}/transcript`.

**Errors** are `{"success": false, "error", "code", "requestId"}`: `error` for people, `code` for
programs. **Checks** come in one order: token 401, fields 400, existence and ownership 404 or 403,
state 409, credits 402.

**Retry** what fails with 503 or without an answer, with the same `Idempotency-Key`: the work is
done once and the answer is the same for 24 hours.
"""

TAGS: Final[list[dict[str, Any]]] = [
    {"name": "Memos", "description": "Recordings, what was said in them, and what became of it."},
    {"name": "Jobs", "description": "The durable jobs behind memos: progress, events, cancelling."},
    {"name": "Credits", "description": "Prices and the caller's account."},
    {"name": "Operations", "description": "Health, numbers and keys; no token."},
]

_OF_THE_FRAMEWORK: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Let ``app.openapi`` give our document; it is made once, when it is first asked for."""
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
            license_info={"name": "MIT", "identifier": "MIT"},
        )
        _without_framework_errors(document)
        _without_titles(document["components"]["schemas"])
        app.openapi_schema = document
    return app.openapi_schema


def _without_framework_errors(document: dict[str, Any]) -> None:
    """FastAPI tells of a 422 of its own that is never sent: ours is a 400."""
    for path in document["paths"].values():
        for operation in path.values():
            answer = operation["responses"].get("422", {})
            if "HTTPValidationError" in str(answer):
                del operation["responses"]["422"]
    for name in _OF_THE_FRAMEWORK:
        document["components"]["schemas"].pop(name, None)


def _without_titles(schemas: dict[str, Any]) -> None:
    """A field's title repeats its name."""
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
