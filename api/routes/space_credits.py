"""Accounts of spaces: what they hold, who spent it, and whether they pay for their members."""

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Path

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.paging import DEFAULT_LIMIT, CursorText, Limit
from api.routes.credits import TAG, entry_id
from api.shapes.credits import SpaceBalance, SpaceEntryView, SpacePays, SpaceTransactions
from api.shapes.errors import LIST, error_responses
from contracts.api_keys import Access, Scope
from contracts.errors import Forbidden
from contracts.ids import is_uuid

if TYPE_CHECKING:
    from store.database import Transaction

SpaceId = Annotated[str, Path(description="Id of a space.")]
NO_MEMBER: Final = "Not a member of this space"

router = user_router(TAG, scope=Access(Scope.CREDITS_READ, Scope.ADMIN))


async def pays_for(tx: "Transaction", space_id: str, user_id: str) -> bool:
    """Whether the space pays for its members.

    Raises:
        Forbidden: the user is no member, or there is no such space: told apart by nobody.
    """
    pays = await tx.spaces.pays(space_id, user_id) if is_uuid(space_id) else None
    if pays is None:
        raise Forbidden(NO_MEMBER)
    return pays


async def _balance(tx: "Transaction", space_id: str, *, pays: bool) -> SpaceBalance:
    found = await tx.credits.balance(space_id, space=True)
    return SpaceBalance(**found.model_dump(), pays=pays)


@router.get(
    "/spaces/{space_id}/credits",
    summary="Balance of a space",
    response_description="The account.",
    responses=error_responses(401, 403, 429, 503),
)
async def space_balance(space_id: SpaceId, user: CurrentUser, needs: Needs) -> SpaceBalance:
    """Credits of a space, for its members. A space that does not exist answers 403 as well."""
    async with needs.database.read() as tx:
        pays = await pays_for(tx, space_id, user.id)
        return await _balance(tx, space_id, pays=pays)


@router.patch(
    "/spaces/{space_id}/credits",
    summary="Let a space pay",
    response_description="The account.",
    responses=error_responses(400, 401, 403, 413, 429, 503),
)
async def let_space_pay(
    space_id: SpaceId, body: SpacePays, user: CurrentUser, needs: Needs
) -> SpaceBalance:
    """Decide whether a space pays for the memos its members make in it; its owner may.

    It pays for a transcription when so many credits are free there at its start, the member
    otherwise; jobs that have begun keep their payer. Questions, combinations and memories are paid
    by whoever asks for them.
    """
    async with needs.database.write() as tx:
        await pays_for(tx, space_id, user.id)
        await tx.spaces.let_pay(space_id, user.id, pays=body.pays)
        return await _balance(tx, space_id, pays=body.pays)


@router.get(
    "/spaces/{space_id}/credits/transactions",
    summary="Ledger of a space",
    response_description="A page of the ledger.",
    responses=error_responses(*LIST, 403),
)
async def space_transactions(
    space_id: SpaceId,
    user: CurrentUser,
    needs: Needs,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> SpaceTransactions:
    """What a space was given and paid for, and who spent it, newest first; for its members."""
    after = entry_id(cursor)
    async with needs.database.read() as tx:
        await pays_for(tx, space_id, user.id)
        page = await tx.credits.transactions(space_id, limit=limit, after=after)
    return SpaceTransactions(
        transactions=[SpaceEntryView.of(entry) for entry in page.entries],
        limit=limit,
        next_cursor=None if page.next is None else str(page.next),
    )
