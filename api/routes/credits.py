"""What things cost, and what a user has."""

import re
from typing import Final

from fastapi import APIRouter

from api.admission import API_PREFIX, CurrentUser, OpenRoute, user_router
from api.dependencies import Needs
from api.paging import DEFAULT_LIMIT, CursorText, Limit
from api.shapes.credits import BalanceAnswer, EntryView, Pricing, Transactions
from api.shapes.errors import LIST, error_responses
from contracts.errors import InvalidInput
from contracts.pricing import COSTS

TAG: Final = "Credits"
_ENTRY_ID: Final = re.compile(r"[0-9]{1,18}")

router = APIRouter()
_open = APIRouter(prefix=API_PREFIX, tags=[TAG], route_class=OpenRoute)
_own = user_router(TAG)


@_open.get("/credits/pricing", summary="Price list", response_description="Credits per operation.")
async def pricing() -> Pricing:
    """What each operation costs, in credits. Public.

    A transcription costs `max(ceil(seconds / 60 * 2), 2)` of its measured length; a failure and a
    recording without speech cost nothing.
    """
    return Pricing(costs=dict(COSTS))


@_own.get(
    "/credits/balance",
    summary="Balance",
    response_description="The account.",
    responses=error_responses(401, 429, 503),
)
async def balance(user: CurrentUser, needs: Needs) -> BalanceAnswer:
    """Credits of the caller. `credits - held` is what a new operation may cost."""
    async with needs.database.read() as tx:
        found = await tx.credits.balance(user.id)
    return BalanceAnswer(**found.model_dump())


@_own.get(
    "/credits/transactions",
    summary="Ledger",
    response_description="A page of the ledger.",
    responses=error_responses(*LIST),
)
async def transactions(
    user: CurrentUser, needs: Needs, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Transactions:
    """Every grant, hold, settlement and release, newest first."""
    async with needs.database.read() as tx:
        page = await tx.credits.transactions(user.id, limit=limit, after=_entry_id(cursor))
    return Transactions(
        transactions=[EntryView.of(entry) for entry in page.entries],
        limit=limit,
        next_cursor=None if page.next is None else str(page.next),
    )


def _entry_id(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not _ENTRY_ID.fullmatch(cursor):
        raise InvalidInput("Invalid cursor")
    return int(cursor)


router.include_router(_open)
router.include_router(_own)
