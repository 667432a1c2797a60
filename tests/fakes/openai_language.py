"""A stand-in for OpenAI's language models and for Azure OpenAI's, over real sockets.

After the types that openai 3.52 carries: ``POST /v1/chat/completions`` and ``POST /v1/responses``,
the same below ``/openai/v1``, and Azure's ``/openai/deployments/{name}/chat/completions`` with its
``api-version``. Schemas are held to the strict rules; models called ``gpt-5…`` refuse a
temperature. What it answers: see ``tests/fakes/language_mind.py``.

    python -m tests.fakes.openai_language --port 8124 [--key KEY] [--calls FILE]

Faults and counts: see ``tests/fakes/http_wire.py``. The routes below ``/v1`` are served by
``tests.fakes.openai`` too.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from tests.fakes import alone, language_mind
from tests.fakes.http_wire import Request, Response, Wire, json_response

ROUTE: Final = re.compile(
    r"(?:/openai)?/v1/(?P<api>chat/completions|responses)"
    r"|/openai/deployments/(?P<deployment>[^/]+)/chat/completions"
)
CONTEXT: Final = 400_000
"""Characters; more is refused as too long."""
TINY_CONTEXT: Final = 20_000
"""Of models whose name begins with ``tiny``."""


def refusal(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Response:
    kind = "invalid_request_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_response({"error": error}, status)


def answer(request: Request, facts: dict[str, Any]) -> Response | None:
    """The answer of a route for language; none when it is no such route."""
    route = ROUTE.fullmatch(request.path)
    if request.method != "POST" or route is None:
        return None
    body = json.loads(request.body)
    if route["deployment"] and "api-version" not in request.query:
        return refusal(404, "Resource not found")
    model = route["deployment"] or body.get("model")
    if not model:
        return refusal(400, "you must provide a model parameter", param="model")
    if route["api"] == "responses":
        system, user = body.get("instructions", ""), body["input"]
        form = body.get("text", {}).get("format", {"type": "text"})
        wanted = form.get("schema")
    else:
        said = {each["role"]: each["content"] for each in body["messages"]}
        system, user = said.get("system", ""), said["user"]
        form = body.get("response_format", {"type": "text"})
        wanted = form.get("json_schema", {}).get("schema")
    facts |= {"model": model, "system": system, "user": user, "format": form["type"]}
    facts["temperature"] = body.get("temperature")
    refused = _refused(model, system + user, body, wanted)
    if refused is not None:
        return refused
    mood = language_mind.mood(user)
    if wanted is None:
        wanted = json.loads(system[system.rindex("schema: ") + 8 :])
    text = language_mind.answer(wanted, system, user)
    make = _response if route["api"] == "responses" else _completion
    return json_response(make(model, text, mood, len(system + user) // 4))


def _refused(model: str, sent: str, body: dict[str, Any], schema: Any) -> Response | None:
    if len(sent) > (TINY_CONTEXT if model.startswith("tiny") else CONTEXT):
        message = "This model's maximum context length is 100000 tokens."
        return refusal(400, message, param="messages", code="context_length_exceeded")
    if model == "no-such-model":
        return refusal(404, f"The model `{model}` does not exist", code="model_not_found")
    if model.startswith("gpt-5") and body.get("temperature", 1) != 1:
        message = "Unsupported value: 'temperature' does not support this value with this model."
        return refusal(400, message, param="temperature", code="unsupported_value")
    if schema is not None and not _strict(schema):
        return refusal(400, "Invalid schema", param="response_format", code="invalid_json_schema")
    return None


def _strict(schema: Any) -> bool:
    """Every object closed, and every field of it required."""
    if isinstance(schema, list):
        return all(map(_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(schema["properties"])
    ):
        return False
    return all(map(_strict, schema.values()))


def _completion(model: str, text: str, mood: str, tokens: int) -> dict[str, Any]:
    reason = {"truncated": "length", "blocked": "content_filter"}.get(mood, "stop")
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if mood == "refused":
        message |= {"content": None, "refusal": "I cannot help with that."}
    if mood == "truncated":
        message["content"] = text[: len(text) // 2]
    written = len(text) // 4
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": tokens,
            "completion_tokens": written,
            "total_tokens": tokens + written,
        },
    }


def _response(model: str, text: str, mood: str, tokens: int) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if mood == "refused":
        content = {"type": "refusal", "refusal": "I cannot help with that."}
    reason = {"truncated": "max_output_tokens", "blocked": "content_filter"}.get(mood)
    written = len(text) // 4
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [content],
            }
        ],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens + written,
        },
    }


class FakeOpenAILanguage(Wire):
    """The vendor, as OpenAI and as Azure.

    Args:
        key: the only API key that is taken; none takes any.
        log: see `Wire`.
    """

    def __init__(self, key: str | None = None, log: Path | None = None) -> None:
        super().__init__(self._vendor, log)
        self._key = key

    @property
    def base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` is set to; ``url`` is what AZURE_OPENAI_ENDPOINT is."""
        return f"{self.url}/v1"

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        facts: dict[str, Any] = {}
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        routed = request.path.startswith("/openai/deployments/")
        key = request.headers.get("api-key", "") if routed else bearer
        if not key or (self._key is not None and key != self._key):
            return refusal(401, "Incorrect API key provided.", code="invalid_api_key"), facts
        found = answer(request, facts)
        unknown = refusal(404, f"Invalid URL ({request.method} {request.path})")
        return found or unknown, facts


if __name__ == "__main__":
    sys.exit(alone.main("A stand-in for OpenAI's language models", FakeOpenAILanguage))
