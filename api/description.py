"""What the OpenAPI document says beside the routes, and its last touches."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.shapes.blueprints import BLUEPRINT_EXAMPLE
from api.shapes.costs import USAGE_EXAMPLE
from api.shapes.jobs import JOB_EXAMPLE
from api.shapes.memories import MEMORY_EXAMPLE
from api.shapes.memos import MEMO_EXAMPLE
from api.shapes.speech import SPEECH_EXAMPLE
from api.webhook_events import webhook_events

VERSION: Final = version("voicekeep")

DESCRIPTION: Final = """\
Every memo and every text that is read aloud is one durable job: it finishes whatever crashes and is
charged once.

**Transcribe**: `POST /api/v1/memos/upload` with a recording, then `GET /api/v1/jobs/{jobId}/events`
until `done`, then `GET /api/v1/memos/{memoId}/transcript`.

**Read aloud**: `POST /api/v1/speech` with a text, then `GET /api/v1/speech/{speechId}/events` until
`done`, then `GET /api/v1/speech/{speechId}/audio`.

**Clients of OpenAI** take this address and `/v1` as base URL, and a token or an API key as key.

**Errors** are `{"success": false, "error", "code", "requestId"}`: `error` for people, `code` for
programs. **Checks** come in one order: token 401, fields 400, existence and ownership 404 or 403,
state 409, credits 402.

**Retry** what fails with 503 or without an answer, with the same `Idempotency-Key`: the work is
done once and the answer is the same for 24 hours.
"""

TAGS: Final[list[dict[str, Any]]] = [
    {"name": "Memos", "description": "Recordings, what was said in them, and what became of it."},
    {"name": "Memories", "description": "What was written about memos, by prompts and questions."},
    {"name": "Blueprints", "description": "Prompts that belong together, in several languages."},
    {
        "name": "Uploads",
        "description": "Recordings that go up before their memo, in pieces (TUS 1.0) or straight "
        "to storage.",
    },
    {
        "name": "Read aloud",
        "description": "Texts that become audio: spoken part by part, one file for equal requests.",
    },
    {
        "name": "Read aloud, older clients",
        "description": "The contract older clients know: at the root, snake_case, errors "
        "`{error, message}`.",
    },
    {
        "name": "OpenAI",
        "description": "The same jobs for clients of OpenAI's audio API: its paths, its shapes, "
        'its errors `{"error": {message, type, param, code}}`.',
    },
    {"name": "Jobs", "description": "The durable jobs of it all: progress, events, cancelling."},
    {"name": "Credits", "description": "Prices and the caller's account."},
    {
        "name": "API keys",
        "description": "Keys of one's own for programs, with scopes; `X-API-Key`, or as a token.",
    },
    {
        "name": "Webhooks",
        "description": "Events sent to addresses of one's own, signed by Standard Webhooks 1.0.",
    },
    {"name": "Internal", "description": "What trusted services tell; `X-Service-Key`."},
    {"name": "Vendors", "description": "Where vendors tell that something is done."},
    {"name": "Operations", "description": "Health, numbers and keys; no token."},
]

_EXAMPLES: Final = {
    "JobView": JOB_EXAMPLE,
    "MemoView": MEMO_EXAMPLE,
    "MemoryView": MEMORY_EXAMPLE,
    "BlueprintView": BLUEPRINT_EXAMPLE,
    "SpeechView": SPEECH_EXAMPLE,
    "UsageAnswer": USAGE_EXAMPLE,
}
"""Set here because FastAPI takes every null out of what models say themselves."""

_API_KEY: Final = "apiKey"
"""Name of the security scheme; whatever wants a scope may say that a key has not got it."""

_ERROR_SHAPES: Final = {
    "ErrorAnswer": "Error",
    "KeptError": "KeptError",
    "OpenAIError": "OpenAIError",
}
"""Shapes of error answers, and what they are called with a status."""

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
            webhooks=webhook_events().routes,
            license_info={"name": "MIT", "identifier": "MIT"},
        )
        described = [*document["paths"].values(), *document["webhooks"].values()]
        operations = [each for path in described for each in path.values()]
        for operation in operations:
            _without_framework_error(operation)
            _without_null_parameters(operation)
        _with_shared_errors(document, operations)
        _without_titles(document["components"]["schemas"])
        for name, example in _EXAMPLES.items():
            document["components"]["schemas"][name]["examples"] = [example]
        app.openapi_schema = document
    return app.openapi_schema


def _without_framework_error(operation: dict[str, Any]) -> None:
    """FastAPI tells of a 422 of its own that is never sent: ours is a 400."""
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]


def _without_null_parameters(operation: dict[str, Any]) -> None:
    """A header or a query parameter is left out, and never null."""
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        parameter["schema"] = {**schema, **(kinds[0] if kinds else {})}
        for repeated in ("title", "description"):
            parameter["schema"].pop(repeated, None)


def _with_shared_errors(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    """Each error answer stands in the document once."""
    components = document["components"]
    shared = components.setdefault("responses", {})
    for operation in operations:
        for status, response in operation["responses"].items():
            told = [name for shape, name in _ERROR_SHAPES.items() if f"/{shape}'" in str(response)]
            if told:
                name = f"{told[0]}{status}"
                if shared.setdefault(name, response) != response:
                    raise ValueError(f"{name} has two meanings")
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    for operation in operations:
        if "requestBody" in operation:
            _with_too_large(operation)
        _with_too_long(operation)
        if any(_API_KEY in shown for shown in operation.get("security", [])):
            operation["responses"].setdefault("403", {"$ref": "#/components/responses/Error403"})
    for name in _OF_THE_FRAMEWORK:
        components["schemas"].pop(name, None)


def _with_too_large(operation: dict[str, Any]) -> None:
    """Whatever takes a body takes one of some size only."""
    if "401" in operation["responses"]:
        operation["responses"].setdefault("413", {"$ref": "#/components/responses/Error413"})


def _with_too_long(operation: dict[str, Any]) -> None:
    """Whatever takes something in its query takes a query of some length only."""
    asks = any(each["in"] == "query" for each in operation.get("parameters", []))
    if asks and operation["responses"].get("401") == {"$ref": "#/components/responses/Error401"}:
        operation["responses"].setdefault("414", {"$ref": "#/components/responses/Error414"})


def _without_titles(schemas: dict[str, Any]) -> None:
    """A field's title repeats its name."""
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
