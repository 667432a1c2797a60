"""The error answer, and how each operation's errors stand in the OpenAPI document."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field


class ErrorAnswer(BaseModel):
    """Every error answer; some codes bring further fields."""

    model_config = ConfigDict(extra="allow")

    success: bool = Field(default=False, description="Always false.")
    error: str = Field(description="One sentence for a person.")
    code: str = Field(description="Stable name for programs.")
    requestId: str = Field(description="Stands in the log; also the `X-Request-ID` header.")  # noqa: N815 - the name clients know


_RETRY: Final = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
}
_ERRORS: Final[dict[int, tuple[str, dict[str, tuple[str, dict[str, Any]]]]]] = {
    400: (
        "The request or one of its fields is not of the form asked for.",
        {
            "validation_failed": ("duration is required, filePath is required", {}),
            "invalid_json": ("Invalid JSON body", {}),
            "invalid_text": ("Text must not contain NUL", {}),
            "no_transcript": ("The memo has no transcript", {}),
            "no_audio": ("The memo has no recording", {}),
            "not_failed": ("Only a transcription that failed is tried again", {}),
        },
    ),
    401: (
        "No credential, or one that is not believed.",
        {"unauthorized": ("Invalid or expired token", {})},
    ),
    402: (
        "Too few credits are free.",
        {
            "insufficient_credits": (
                "Insufficient credits: 120 required, 30 available",
                {"requiredCredits": 120, "availableCredits": 30},
            )
        },
    ),
    403: (
        "The caller may not do this.",
        {
            "forbidden": ("Not a member of this space", {}),
            "missing_scope": (
                "This credential has not the scope that is needed",
                {"requiredScope": "memos:write"},
            ),
        },
    ),
    404: ("Absent, or somebody else's: told apart by nobody.", {"not_found": ("Not found", {})}),
    409: (
        "The state does not allow it now.",
        {
            "already_finished": ("The memo has been transcribed already", {}),
            "already_running": ("The memo is being transcribed", {}),
            "job_ended": ("The job has ended", {}),
            "key_in_use": ("A request with this Idempotency-Key is still in flight", {}),
            "reference_used": ("This reference was used before, for 500 credits", {}),
            "refund_exceeds_spent": ("30 credits were spent: 31 cannot be given back", {}),
            "offset_mismatch": ("The upload goes on at byte 8388608", {}),
        },
    ),
    412: (
        "Another version of the TUS protocol than 1.0.0.",
        {"unsupported_version": ("Tus-Resumable must be 1.0.0", {})},
    ),
    413: ("More bytes than are taken.", {"too_large": ("The file is larger than 2048 MB", {})}),
    414: (
        "The address is longer than addresses may be.",
        {"address_too_long": ("The query is longer than 8192 bytes", {})},
    ),
    415: (
        "The first bytes are of no audio container that is taken.",
        {"unsupported_media_type": ("The file is text, not audio", {})},
    ),
    422: (
        "The Idempotency-Key came before with another request.",
        {
            "idempotency_key_reused": (
                "This Idempotency-Key was used before, for another request",
                {},
            )
        },
    ),
    423: (
        "Somebody else is at work on it; a moment later it may be free.",
        {"locked": ("Somebody else sends bytes of this upload now", {})},
    ),
    429: (
        "Too many requests within a minute, too much under way, or too much spent today.",
        {
            "rate_limited": ("Rate limit of 100 requests per minute exceeded", {}),
            "too_many_uploads": ("There are 20 uploads under way already", {}),
            "too_many_jobs": ("There are 100 jobs under way already", {"maxOpenJobs": 100}),
            "daily_budget_reached": (
                "The day's budget of 500 credits does not cover 20 more",
                {"dailyCreditBudget": 500, "requiredCredits": 20},
            ),
        },
    ),
    460: (
        "Other bytes came than the Upload-Checksum says; none of them is kept.",
        {"checksum_mismatch": ("The bytes do not come to their Upload-Checksum", {})},
    ),
    502: (
        "No model could serve; nothing was charged.",
        {"provider_failed": ("No language model could serve", {})},
    ),
    503: (
        "A dependency is away, or the route is closed; the same request may be sent again later.",
        {
            "unavailable": ("Temporal does not answer", {}),
            "not_configured": ("SERVICE_KEY is not set: this route is closed", {}),
        },
    ),
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an operation: these error statuses with their examples."""
    return {status: _response(status) for status in sorted(statuses)}


def _response(status: int) -> dict[str, Any]:
    description, examples = _ERRORS[status]
    named = {
        code: {
            "value": {"success": False, "error": text, "code": code, "requestId": "8c1f…", **extra}
        }
        for code, (text, extra) in examples.items()
    }
    response: dict[str, Any] = {
        "description": description,
        "model": ErrorAnswer,
        "content": {"application/json": {"examples": named}},
    }
    if status in {409, 423, 429, 503}:
        response["headers"] = _RETRY
    return response


READ: Final = (401, 404, 429, 503)
"""Errors of reading one thing."""

KEYED: Final = (400, 409, 422)
"""Errors of an ``Idempotency-Key``: none at all, in flight, used for another request."""

LIST: Final = (400, 401, 429, 503)
"""Errors of reading a page."""
