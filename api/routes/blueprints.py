"""Blueprints: prompts that belong together, one's own and everybody's."""

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, User, user_router
from api.dependencies import Needs
from api.idempotency import Claimed, once
from api.identifiers import BlueprintId
from api.paging import DEFAULT_LIMIT, CursorText, Limit, place_of
from api.shapes.blueprints import (
    BlueprintChange,
    BlueprintDeleted,
    BlueprintList,
    BlueprintView,
    NewBlueprint,
    OneBlueprint,
)
from api.shapes.errors import LIST, READ, error_responses
from contracts.api_keys import MEMOS
from contracts.blueprint import Blueprint
from contracts.errors import Forbidden, NotFound
from contracts.ids import is_uuid

if TYPE_CHECKING:
    from store.database import Transaction

router = user_router("Blueprints", scope=MEMOS)

CREATED: Final = 201


@router.get(
    "/blueprints",
    summary="List blueprints",
    response_description="A page of blueprints.",
    responses=error_responses(*LIST),
)
async def list_blueprints(
    user: CurrentUser, needs: Needs, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> BlueprintList:
    """The caller's own blueprints and public ones with their prompts, newest first."""
    async with needs.database.read() as tx:
        page = await tx.blueprints.page(user.id, limit=limit, after=place_of(cursor))
    return BlueprintList(
        blueprints=[BlueprintView.of(blueprint) for blueprint in page.blueprints],
        limit=limit,
        next_cursor=page.next.encode() if page.next else None,
    )


@router.post(
    "/blueprints",
    status_code=CREATED,
    summary="Make a blueprint",
    response_description="The blueprint.",
    response_model=OneBlueprint,
    responses=error_responses(400, 401, 409, 422, 429, 503),
)
async def create_blueprint(
    body: NewBlueprint,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Make a blueprint with up to 20 prompts; a user has at most 500.

    Texts are by language tag; what is written is in the caller's own language, else in that of the
    recording, else in English, where there is a text for it.
    """
    fields = body.model_dump(mode="json", exclude_unset=True)
    kept = claim.over(fields)
    async with needs.database.write() as tx:

        async def make() -> dict[str, Any]:
            made = await tx.blueprints.create(
                str(uuid4()),
                user.id,
                name=body.name,
                description=body.description,
                system_prompt=body.system_prompt,
                is_public=body.is_public,
                drafts=[prompt.draft() for prompt in body.prompts],
            )
            return OneBlueprint(blueprint=BlueprintView.of(made)).model_dump(mode="json")

        answer = await once(tx, user.id, kept, CREATED, make)
    return JSONResponse(answer, CREATED)


@router.get(
    "/blueprints/{blueprint_id}",
    summary="Read a blueprint",
    response_description="The blueprint.",
    responses=error_responses(*READ),
)
async def get_blueprint(blueprint_id: BlueprintId, user: CurrentUser, needs: Needs) -> OneBlueprint:
    """A blueprint of one's own, or a public one, with its prompts in their order."""
    async with needs.database.read() as tx:
        found = await find_blueprint(tx, blueprint_id, user)
    return OneBlueprint(blueprint=BlueprintView.of(found))


@router.patch(
    "/blueprints/{blueprint_id}",
    summary="Change a blueprint",
    response_description="The blueprint as it is now.",
    responses=error_responses(400, 401, 403, 404, 429, 503),
)
async def change_blueprint(
    blueprint_id: BlueprintId, body: BlueprintChange, user: CurrentUser, needs: Needs
) -> OneBlueprint:
    """Change texts, publicity or prompts; only its owner may.

    Memories that were written by it stay as they are; work that has begun keeps the prompts it
    began with. 400 `unknown_prompt` for the id of a prompt the blueprint does not have.
    """
    changes = body.model_dump(exclude_unset=True, exclude={"prompts"})
    drafts = None if body.prompts is None else [prompt.draft() for prompt in body.prompts]
    async with needs.database.write() as tx:
        found = await _own_blueprint(tx, blueprint_id, user)
        changed = await tx.blueprints.change(found.id, user.id, changes, drafts)
    return OneBlueprint(blueprint=BlueprintView.of(changed))


@router.delete(
    "/blueprints/{blueprint_id}",
    summary="Delete a blueprint",
    response_description="The blueprint is gone.",
    responses=error_responses(401, 403, 404, 429, 503),
)
async def delete_blueprint(
    blueprint_id: BlueprintId, user: CurrentUser, needs: Needs
) -> BlueprintDeleted:
    """Remove a blueprint and its prompts; only its owner may. What it wrote stays."""
    async with needs.database.write() as tx:
        found = await _own_blueprint(tx, blueprint_id, user)
        await tx.blueprints.delete(found.id, user.id)
    return BlueprintDeleted(blueprint_id=found.id)


async def find_blueprint(tx: "Transaction", blueprint_id: str, user: User) -> Blueprint:
    """A blueprint the user may read and use.

    Raises:
        NotFound: absent, or somebody else's and private.
    """
    found = await tx.blueprints.find(blueprint_id, user.id) if is_uuid(blueprint_id) else None
    if found is None:
        raise NotFound
    return found


async def _own_blueprint(tx: "Transaction", blueprint_id: str, user: User) -> Blueprint:
    found = await find_blueprint(tx, blueprint_id, user)
    if found.user_id != user.id:
        raise Forbidden("Only its owner may change a blueprint")
    return found
