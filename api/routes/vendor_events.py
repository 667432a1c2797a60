"""Where vendors tell that one of their jobs is done."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Security
from fastapi.security import APIKeyHeader
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.admission import API_PREFIX
from api.dependencies import Needs
from api.json_body import parse, read_bounded
from api.principals import VendorRoute, check_key
from api.shapes.errors import error_responses
from api.shapes.outside import EventsTaken
from api.vendor_events import (
    CHALLENGE,
    check_signature,
    grid_events,
    speech_events,
    validation_code,
    wake,
)
from contracts.errors import InvalidInput, Unavailable

SIGNATURE_HEADER: Final = "X-MicrosoftSpeechServices-Signature"
EVENTS_KEY_HEADER: Final = "X-Azure-Events-Key"

_SIGNATURE: Final = APIKeyHeader(
    name=SIGNATURE_HEADER,
    auto_error=False,
    scheme_name="azureSpeechSignature",
    description="Base64 of the HMAC-SHA256 of the body with `AZURE_SPEECH_WEBHOOK_SECRET`.",
)
_EVENTS_KEY: Final = APIKeyHeader(
    name=EVENTS_KEY_HEADER,
    auto_error=False,
    scheme_name="azureEventsKey",
    description="`AZURE_EVENTS_KEY`; also taken as the query parameter `key`.",
)
_ERRORS: Final = error_responses(400, 401, 413, 414, 503)


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


router = APIRouter(prefix=API_PREFIX, tags=["Vendors"], route_class=VendorRoute)


@router.post(
    "/webhooks/azure-speech",
    dependencies=[Security(_SIGNATURE)],
    summary="Events of Azure's speech resource",
    response_description="The event is taken, or the validation token of a challenge.",
    response_model=EventsTaken,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_ERRORS},
    openapi_extra=_body({"type": "object"}),
)
async def azure_speech(
    request: Request,
    needs: Needs,
    event: Annotated[
        str,
        Header(alias="X-MicrosoftSpeechServices-Event", description="Name of the event."),
    ] = "",
    validation_token: Annotated[
        str,
        Query(alias="validationToken", max_length=1000, description="Sent back to a challenge."),
    ] = "",
) -> Response:
    """A batch transcription is done: the job that waits for it asks at once.

    An event is a wake-up and nothing else. Duplicates, events out of order and events of unknown
    transcriptions change nothing. A challenge is answered with its token.
    """
    secret = needs.settings.azure.speech_webhook_secret
    if secret is None:
        raise Unavailable("AZURE_SPEECH_WEBHOOK_SECRET is not set", code="not_configured")
    body = await read_bounded(request)
    check_signature(body, request.headers.get(SIGNATURE_HEADER), secret)
    if event.lower() == CHALLENGE:
        return PlainTextResponse(validation_token)
    woken = [await wake(needs, each) for each in speech_events(body, event)]
    return _taken(woken)


@router.post(
    "/webhooks/azure-events",
    dependencies=[Security(_EVENTS_KEY)],
    summary="Events of Azure Event Grid",
    response_description="The events are taken, or the code of a validation.",
    response_model=EventsTaken,
    responses=_ERRORS,
    openapi_extra=_body({"type": "array", "items": {"type": "object"}}),
)
async def azure_events(
    request: Request,
    needs: Needs,
    key: Annotated[
        str | None, Query(max_length=1000, description="`AZURE_EVENTS_KEY`, as the header.")
    ] = None,
) -> Response:
    """Results of a batch transcription were stored: the job that waits for them asks at once.

    A subscription is validated by sending its code back. Everything else is as with the events of
    the speech resource.
    """
    given = request.headers.get(EVENTS_KEY_HEADER, key)
    check_key(given, needs.settings.azure.events_key, "AZURE_EVENTS_KEY")
    events = parse(await read_bounded(request))
    if not isinstance(events, list):
        raise InvalidInput("The body must be a JSON array")
    code = validation_code(events)
    if code is not None:
        return JSONResponse({"validationResponse": code})
    woken = [await wake(needs, each) for each in grid_events(events)]
    return _taken(woken)


def _taken(woken: list[bool]) -> Response:
    answer = EventsTaken(woken=sum(woken), ignored=not any(woken))
    return JSONResponse(answer.model_dump(by_alias=True))
