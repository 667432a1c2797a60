"""Where a user's webhooks go, and the secrets they are signed with."""

from typing import Annotated, Any, Final

from fastapi import Path
from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.idempotency import Claimed, once
from api.shapes.errors import KEYED, READ, error_responses
from api.shapes.webhooks import (
    EndpointChange,
    EndpointCreated,
    EndpointList,
    EndpointRemoved,
    EndpointView,
    MessageQueued,
    NewEndpoint,
    OneEndpoint,
    SecretAnswer,
)
from api.webhook_delivery import announce_test, queued, send_all
from contracts.api_keys import Scope
from contracts.errors import NotFound
from contracts.ids import is_uuid
from contracts.webhooks import Delivery, new_secret

router = user_router("Webhooks", scope=Scope.WEBHOOKS)

OK: Final = 200
CREATED: Final = 201
ACCEPTED: Final = 202

EndpointId = Annotated[str, Path(description="Id of a webhook endpoint.")]


def _checked(endpoint_id: str) -> str:
    if not is_uuid(endpoint_id):
        raise NotFound
    return endpoint_id.lower()


@router.get(
    "/webhook-endpoints",
    summary="List webhook endpoints",
    response_description="The endpoints.",
    responses=error_responses(401, 429, 503),
)
async def list_webhook_endpoints(user: CurrentUser, needs: Needs) -> EndpointList:
    """Every endpoint of the caller, oldest first."""
    async with needs.database.read() as tx:
        found = await tx.webhook_endpoints.list(user.id)
    return EndpointList(endpoints=[EndpointView.of(endpoint) for endpoint in found])


@router.post(
    "/webhook-endpoints",
    status_code=CREATED,
    summary="Add a webhook endpoint",
    response_description="The endpoint and its secret.",
    response_model=EndpointCreated,
    responses=error_responses(400, 401, 409, 422, 429, 503),
)
async def create_webhook_endpoint(
    body: NewEndpoint,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Send the caller's events to an address, signed by Standard Webhooks 1.0.

    400 `url_not_allowed` for an address that is not public https. An account has at most 20. The
    `secret` is shown here only; `rotate-secret` draws another one.
    """
    await needs.egress.check(body.url)
    fields = body.model_dump(mode="json", exclude_unset=True)
    kept = claim.over(fields)
    sealed = needs.egress.seal(new_secret(), user.id)
    async with needs.database.write() as tx:

        async def make() -> dict[str, Any]:
            added = await tx.webhook_endpoints.add(
                user.id,
                body.url,
                sealed,
                events=body.events,
                description=body.description,
                enabled=body.enabled,
            )
            answer = EndpointCreated(endpoint=EndpointView.of(added), secret=sealed)
            return answer.model_dump(mode="json", by_alias=True)

        answer = await once(tx, user.id, kept, CREATED, make)
    shown = {**answer, "secret": needs.egress.unseal(answer["secret"], user.id)}
    return JSONResponse(shown, CREATED)


@router.get(
    "/webhook-endpoints/{endpoint_id}",
    summary="Read a webhook endpoint",
    response_description="The endpoint.",
    responses=error_responses(*READ),
)
async def get_webhook_endpoint(
    endpoint_id: EndpointId, user: CurrentUser, needs: Needs
) -> OneEndpoint:
    """One endpoint of the caller, without its secret."""
    async with needs.database.read() as tx:
        found = await tx.webhook_endpoints.find(_checked(endpoint_id), user.id)
    return OneEndpoint(endpoint=EndpointView.of(found))


@router.patch(
    "/webhook-endpoints/{endpoint_id}",
    summary="Change a webhook endpoint",
    response_description="The endpoint as it is now.",
    responses=error_responses(400, 401, 404, 429, 503),
)
async def change_webhook_endpoint(
    endpoint_id: EndpointId, body: EndpointChange, user: CurrentUser, needs: Needs
) -> OneEndpoint:
    """Change address, events or description, or switch it off or on.

    Messages for an endpoint that is off become dead letters, which can be replayed.
    """
    if body.url is not None:
        await needs.egress.check(body.url)
    async with needs.database.write() as tx:
        changed = await tx.webhook_endpoints.change(
            _checked(endpoint_id), user.id, **body.model_dump(exclude_unset=True)
        )
    return OneEndpoint(endpoint=EndpointView.of(changed))


@router.delete(
    "/webhook-endpoints/{endpoint_id}",
    summary="Remove a webhook endpoint",
    response_description="It is gone.",
    responses=error_responses(*READ),
)
async def delete_webhook_endpoint(
    endpoint_id: EndpointId, user: CurrentUser, needs: Needs
) -> EndpointRemoved:
    """Remove an endpoint with its messages; nothing more is sent there."""
    checked = _checked(endpoint_id)
    async with needs.database.write() as tx:
        await tx.webhook_endpoints.remove(checked, user.id)
    return EndpointRemoved(endpoint_id=checked)


@router.post(
    "/webhook-endpoints/{endpoint_id}/rotate-secret",
    summary="Draw a new secret",
    response_description="The new secret.",
    responses=error_responses(*READ, *KEYED),
)
async def rotate_webhook_secret(
    endpoint_id: EndpointId, user: CurrentUser, needs: Needs, claim: Claimed
) -> SecretAnswer:
    """A new secret; for a day messages carry a signature by the old one too.

    With an `Idempotency-Key` a request whose answer was lost can be sent again: it gets the secret
    that was drawn then, and the old one goes on for its day.
    """
    checked = _checked(endpoint_id)
    sealed = needs.egress.seal(new_secret(), user.id)
    async with needs.database.write() as tx:

        async def rotate() -> dict[str, Any]:
            await tx.webhook_endpoints.rotate(checked, user.id, sealed)
            return {"secret": sealed}

        answer = await once(tx, user.id, claim.over(), OK, rotate)
    return SecretAnswer(secret=needs.egress.unseal(answer["secret"], user.id))


@router.post(
    "/webhook-endpoints/{endpoint_id}/test",
    status_code=ACCEPTED,
    summary="Send a test event",
    response_description="The message that is being sent.",
    responses=error_responses(*READ, *KEYED),
)
async def test_webhook_endpoint(
    endpoint_id: EndpointId, user: CurrentUser, needs: Needs, claim: Claimed
) -> MessageQueued:
    """Send `webhook.test` there now, whatever events it wants and even when it is off.

    `GET /webhook-messages/{messageId}` says what came of it.
    """
    checked = _checked(endpoint_id)
    told: list[Delivery] = []
    async with needs.database.write() as tx:

        async def announce() -> dict[str, Any]:
            told.append(await announce_test(tx, user.id, checked))
            return queued(told[0])

        answer = await once(tx, user.id, claim.over(), ACCEPTED, announce)
    await send_all(needs.jobs, told)
    return MessageQueued.model_validate(answer)


@router.get(
    "/webhook-secret",
    summary="Read the account's webhook secret",
    response_description="The secret.",
    responses=error_responses(401, 429, 503),
)
async def get_webhook_secret(user: CurrentUser, needs: Needs) -> SecretAnswer:
    """What signs messages to a job's own `webhook_url` that came without a `webhook_secret`."""
    fresh = needs.egress.seal(new_secret(), user.id)
    async with needs.database.write() as tx:
        sealed = await tx.webhook_endpoints.account_secret(user.id, fresh)
    return SecretAnswer(secret=needs.egress.unseal(sealed, user.id))


@router.post(
    "/webhook-secret/rotate",
    summary="Draw a new webhook secret for the account",
    response_description="The new secret.",
    responses=error_responses(401, 429, 503, *KEYED),
)
async def rotate_account_webhook_secret(
    user: CurrentUser, needs: Needs, claim: Claimed
) -> SecretAnswer:
    """A new secret; for a day messages carry a signature by the old one too.

    With an `Idempotency-Key` a request whose answer was lost can be sent again, as for an endpoint.
    """
    sealed = needs.egress.seal(new_secret(), user.id)
    async with needs.database.write() as tx:

        async def rotate() -> dict[str, Any]:
            await tx.webhook_endpoints.rotate_account(user.id, sealed)
            return {"secret": sealed}

        answer = await once(tx, user.id, claim.over(), OK, rotate)
    return SecretAnswer(secret=needs.egress.unseal(answer["secret"], user.id))
