"""The webhooks section of the OpenAPI document: what each event's body holds."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field, create_model

from api.shapes.fields import EXAMPLE_TIME
from contracts.values import Value
from contracts.webhooks import DATA, WebhookEvent

SUMMARIES = {
    WebhookEvent.MEMO_CREATED: "A memo was accepted",
    WebhookEvent.MEMO_TRANSCRIBED: "What was said is there",
    WebhookEvent.MEMO_COMPLETED: "A memo has ended well, or nothing was said in it",
    WebhookEvent.MEMO_FAILED: "A memo has failed",
    WebhookEvent.SPEECH_READY: "What was to be spoken is there",
    WebhookEvent.SPEECH_FAILED: "Nothing could be spoken",
    WebhookEvent.CREDITS_LOW: "The balance fell below the threshold",
    WebhookEvent.TEST: "An endpoint was tested",
}

SIGNED = (
    "Signed by [Standard Webhooks](https://www.standardwebhooks.com): verify `webhook-signature` "
    "over `webhook-id`, `webhook-timestamp` and the body with the endpoint's secret, take each "
    "`webhook-id` once, and answer 2xx within 15 s. What fails is sent again for three days; 410 "
    "switches the endpoint off."
)


def webhook_events() -> APIRouter:
    """One route for each event; none of them is served."""
    router = APIRouter()
    for event, shape in DATA.items():
        router.add_api_route(
            str(event),
            _endpoint(event, shape),
            methods=["POST"],
            summary=SUMMARIES[event],
            description=SIGNED,
            operation_id=f"on_{event.replace('.', '_')}",
            status_code=204,
            response_description="Taken.",
            tags=["Webhooks"],
        )
    return router


def _endpoint(event: WebhookEvent, shape: type[Value]) -> Any:
    only: Any = Literal
    name = "".join(word.capitalize() for word in event.replace(".", "_").split("_"))
    body: Any = create_model(
        f"{name}Webhook",
        __doc__=f"Body of `{event}`.",
        type=(only[event.value], Field(description="The event.")),
        timestamp=(str, Field(description="When it happened, ISO 8601.", examples=[EXAMPLE_TIME])),
        data=(shape, Field(description="Fields that are not known are left out.")),
    )

    async def on_event(message: Any) -> None:
        """Described, not served."""

    on_event.__annotations__ = {"message": body, "return": None}
    return on_event
