"""What was sent by webhook, what came of it, and sending it again."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Path, Query

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.idempotency import Claimed, once
from api.paging import DEFAULT_LIMIT, CursorText, Limit
from api.shapes.errors import KEYED, LIST, READ, error_responses
from api.shapes.webhooks import (
    MessageAttemptView,
    MessageList,
    MessageQueued,
    MessageView,
    OneMessage,
    RangeQueued,
    ReplayRange,
)
from api.webhook_delivery import queued, send_all
from contracts.api_keys import Scope
from contracts.errors import InvalidInput, NotFound
from contracts.ids import is_uuid
from contracts.paging import Cursor
from contracts.webhooks import Delivery, MessageState, delivery_of

router = user_router("Webhooks", scope=Scope.WEBHOOKS)

ACCEPTED: Final = 202

MessageId = Annotated[str, Path(description="Id of a message: `<event id>-<endpoint id>`.")]


@router.get(
    "/webhook-messages",
    summary="List webhook messages",
    response_description="A page of messages.",
    responses=error_responses(*LIST),
)
async def list_webhook_messages(
    user: CurrentUser,
    needs: Needs,
    *,
    endpoint_id: Annotated[
        str | None, Query(alias="endpointId", description="Of this endpoint alone.", max_length=36)
    ] = None,
    status: Annotated[MessageState | None, Query(description="`dead`: the dead letters.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> MessageList:
    """Messages of the caller, newest first."""
    if endpoint_id is not None and not is_uuid(endpoint_id):
        return MessageList(messages=[], limit=limit, next_cursor=None)
    async with needs.database.read() as tx:
        found, following = await tx.webhook_messages.page(
            user.id, endpoint_id=endpoint_id, state=status, after=_place(cursor), limit=limit
        )
    return MessageList(
        messages=[MessageView.of(message) for message in found],
        limit=limit,
        next_cursor=following.encode() if following else None,
    )


def _place(cursor: str | None) -> Cursor | None:
    if cursor is None:
        return None
    place = Cursor.decode(cursor)
    try:
        delivery_of(place.id)
    except NotFound:
        raise InvalidInput("Invalid cursor") from None
    return place


@router.get(
    "/webhook-messages/{message_id}",
    summary="Read a webhook message",
    response_description="The message and its attempts.",
    responses=error_responses(*READ),
)
async def get_webhook_message(message_id: MessageId, user: CurrentUser, needs: Needs) -> OneMessage:
    """One message with every attempt to deliver it."""
    event, endpoint = delivery_of(message_id)
    async with needs.database.read() as tx:
        delivery = Delivery(event_id=event, endpoint_id=endpoint, user_id=user.id)
        found = await tx.webhook_messages.find(delivery)
        attempts = await tx.webhook_messages.attempts(delivery)
    return OneMessage(
        message=MessageView.of(found), attempts=[MessageAttemptView.of(each) for each in attempts]
    )


@router.post(
    "/webhook-messages/replay",
    status_code=ACCEPTED,
    summary="Send the messages of a time again",
    response_description="How many will be sent.",
    responses=error_responses(400, 401, 404, 429, 503, *KEYED),
)
async def replay_webhook_messages(
    body: ReplayRange, user: CurrentUser, needs: Needs, claim: Claimed
) -> RangeQueued:
    """Send every message to an endpoint again that was written between two times.

    Delivered ones too, each with the `webhook-id` it had; they go out within a minute or two.
    """
    start, end = _moment(body.start), _moment(body.end)
    async with needs.database.write() as tx:

        async def revive() -> dict[str, Any]:
            await tx.webhook_endpoints.find(body.endpoint_id, user.id)
            count = await tx.webhook_messages.revive_range(user.id, body.endpoint_id, start, end)
            return {"messages": count}

        key = claim.over(body.model_dump(mode="json"))
        answer = await once(tx, user.id, key, ACCEPTED, revive)
    return RangeQueued.model_validate(answer)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@router.post(
    "/webhook-messages/{message_id}/replay",
    status_code=ACCEPTED,
    summary="Send a webhook message again",
    response_description="The message that is being sent.",
    responses=error_responses(*READ, *KEYED),
)
async def replay_webhook_message(
    message_id: MessageId, user: CurrentUser, needs: Needs, claim: Claimed
) -> MessageQueued:
    """Send a message again now, whatever became of it, with the whole schedule behind it.

    One that waits for its next attempt does not wait any longer.
    """
    event, endpoint = delivery_of(message_id)
    delivery = Delivery(event_id=event, endpoint_id=endpoint, user_id=user.id)
    told: list[Delivery] = []
    async with needs.database.write() as tx:

        async def revive() -> dict[str, Any]:
            await tx.webhooks.revive(delivery)
            told.append(delivery)
            return queued(delivery)

        answer = await once(tx, user.id, claim.over(), ACCEPTED, revive)
    await send_all(needs.jobs, told)
    return MessageQueued.model_validate(answer)
