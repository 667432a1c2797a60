"""The caller's API keys: drawn, listed, revoked."""

from typing import Annotated, Any, Final

from fastapi import Path
from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.idempotency import Claimed, once
from api.shapes.api_keys import (
    ApiKeyCreated,
    ApiKeyList,
    ApiKeyRevoked,
    ApiKeyView,
    NewApiKey,
    kept_answer,
)
from api.shapes.errors import READ, error_responses
from contracts.api_keys import Scope
from contracts.errors import InvalidInput, NotFound
from contracts.ids import is_uuid

router = user_router("API keys", scope=Scope.ADMIN)

CREATED: Final = 201

ApiKeyId = Annotated[str, Path(description="Id of an API key.")]


@router.get(
    "/api-keys",
    summary="List API keys",
    response_description="The keys, without what would open anything.",
    responses=error_responses(401, 429, 503),
)
async def list_api_keys(user: CurrentUser, needs: Needs) -> ApiKeyList:
    """Every key of the caller that was not revoked, oldest first; also those that have expired."""
    async with needs.database.read() as tx:
        found = await tx.api_keys.list(user.id)
    return ApiKeyList(api_keys=[ApiKeyView.of(key) for key in found])


@router.post(
    "/api-keys",
    status_code=CREATED,
    summary="Draw an API key",
    response_description="The key; it is shown this once.",
    response_model=ApiKeyCreated,
    responses=error_responses(400, 401, 409, 422, 429, 503),
)
async def create_api_key(
    body: NewApiKey, user: CurrentUser, needs: Needs, claim: Claimed
) -> Response:
    """Draw a key that acts as the caller, within its scopes and until it expires or is revoked.

    It is sent as `X-API-Key`, or like a token as `Authorization: Bearer`. Only a digest of it is
    kept. An account has at most 50.
    """
    kept = claim.over(body.model_dump(mode="json", exclude_unset=True))
    drawn, sealed = needs.api_keys.draw(user.id)
    async with needs.database.write() as tx:

        async def make() -> dict[str, Any]:
            if body.expiry is not None and body.expiry <= tx.session.now:
                raise InvalidInput("expiresAt must lie ahead")
            added = await tx.api_keys.add(
                user.id, drawn, name=body.name, scopes=body.scopes, expires_at=body.expiry
            )
            return kept_answer(added, sealed)

        answer = await once(tx, user.id, kept, CREATED, make)
    shown = {**answer, "key": needs.api_keys.unseal(answer["key"], user.id)}
    return JSONResponse(shown, CREATED)


@router.delete(
    "/api-keys/{api_key_id}",
    summary="Revoke an API key",
    response_description="It opens nothing any more.",
    responses=error_responses(*READ),
)
async def revoke_api_key(api_key_id: ApiKeyId, user: CurrentUser, needs: Needs) -> ApiKeyRevoked:
    """Make a key worthless for good: from the next request on, wherever that is served."""
    if not is_uuid(api_key_id):
        raise NotFound
    async with needs.database.write() as tx:
        await tx.api_keys.revoke(api_key_id.lower(), user.id)
    return ApiKeyRevoked(api_key_id=api_key_id.lower())
