"""What things cost, what a user has, and what is added and charged beside jobs."""

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter

from api.admission import API_PREFIX, CurrentUser, OpenRoute, user_router
from api.dependencies import Needs
from api.funds import account_here, balance_of, use_elsewhere
from api.idempotency import Claimed, once
from api.paging import DEFAULT_LIMIT, CursorText, Limit
from api.principals import service_router
from api.shapes.credits import (
    AccountChange,
    BalanceAnswer,
    Consumed,
    Consumption,
    CreditsCheck,
    CreditsChecked,
    EntryView,
    Pricing,
    Transactions,
)
from api.shapes.errors import LIST, error_responses
from api.webhook_delivery import send_all
from contracts.api_keys import Scope
from contracts.errors import InvalidInput, NotFound
from contracts.pricing import COSTS
from contracts.webhooks import Delivery, WebhookEvent, credits_low

if TYPE_CHECKING:
    from store.database import Transaction

TAG: Final = "Credits"
_ENTRY_ID: Final = re.compile(r"[0-9]{1,18}")

router = APIRouter()
_open = APIRouter(prefix=API_PREFIX, tags=[TAG], route_class=OpenRoute)
_own = user_router(TAG, scope=Scope.CREDITS_READ)
_spending = user_router(TAG, scope=Scope.ADMIN)
_service = service_router("Internal")


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
    return BalanceAnswer(**(await balance_of(needs, user.id)).model_dump())


@_own.post(
    "/credits/check",
    summary="Ask whether credits suffice",
    response_description="Whether so many are free.",
    responses=error_responses(400, 401, 413, 429, 503),
)
async def check(body: CreditsCheck, user: CurrentUser, needs: Needs) -> CreditsChecked:
    """Whether the caller could pay so much now. Nothing is held, so it may be gone a moment later.

    An operation that is started holds what it costs, or answers 402.
    """
    free = (await balance_of(needs, user.id)).free
    return CreditsChecked(
        has_credits=free >= body.amount, available_credits=free, required_credits=body.amount
    )


@_spending.post(
    "/credits/consume",
    summary="Charge for something done elsewhere",
    response_description="It is charged.",
    responses=error_responses(400, 401, 402, 409, 413, 422, 429, 503),
)
async def consume(body: Consumption, user: CurrentUser, needs: Needs, claim: Claimed) -> Consumed:
    """Charge the caller at once.

    The same request within 24 hours is charged once and gets the first answer: by its
    `Idempotency-Key` or, without one, by its body. To charge for the same thing twice, send keys.
    """
    key = claim.always(body.model_dump(mode="json"))
    if needs.elsewhere is not None:
        used = await use_elsewhere(needs, needs.elsewhere, user.id, body, key)
        return Consumed.model_validate(used)
    told: list[Delivery] = []
    async with needs.database.write() as tx:
        charge = partial(
            _consume, tx, user.id, body, needs.settings.credits.credits_low_below, told
        )
        answer = await once(tx, user.id, key, 200, charge)
    await send_all(needs.jobs, told)
    return Consumed.model_validate(answer)


async def _consume(
    tx: "Transaction", user_id: str, body: Consumption, low_below: int, told: list[Delivery]
) -> dict[str, Any]:
    charge = await tx.credits.consume(
        user_id,
        body.amount,
        operation=body.operation,
        description=body.description,
        metadata=body.metadata,
    )
    low = credits_low(charge, low_below)
    if low is not None:
        await tx.notifications.credits_low(user_id, low, subject=charge.key)
        told += await tx.webhooks.announce(
            user_id, WebhookEvent.CREDITS_LOW, low, subject=charge.key
        )
    return {"consumed": charge.amount, "credits": charge.balance}


@_service.post(
    "/internal/credits/grant",
    summary="Add credits",
    response_description="The account after it.",
    responses=error_responses(400, 401, 404, 409, 413, 503),
)
async def grant(body: AccountChange, needs: Needs) -> BalanceAnswer:
    """Add credits to the account of a user, which is opened if it is not there, or of a space.

    The same `reference` again changes nothing; with another amount it is refused.
    """
    account_here(needs)
    async with needs.database.write() as tx:
        owner, space = await _owner(tx, body)
        found = await tx.credits.grant(
            owner, body.reference, body.amount, body.description, space=space
        )
    return BalanceAnswer(**found.model_dump())


@_service.post(
    "/internal/credits/refund",
    summary="Give credits back",
    response_description="The account after it.",
    responses=error_responses(400, 401, 404, 409, 413, 503),
)
async def refund(body: AccountChange, needs: Needs) -> BalanceAnswer:
    """Give back credits that were charged; never more than were spent.

    The same `reference` again changes nothing; with another amount it is refused.
    """
    account_here(needs)
    async with needs.database.write() as tx:
        owner, space = await _owner(tx, body)
        found = await tx.credits.refund(
            owner, body.reference, body.amount, body.description, space=space
        )
    return BalanceAnswer(**found.model_dump())


async def _owner(tx: "Transaction", body: AccountChange) -> tuple[str, bool]:
    """Whose account it is, and whether that is a space."""
    if body.space_id is None:
        return str(body.user_id), False
    if await tx.spaces.owner(body.space_id) is None:
        raise NotFound
    return body.space_id, True


@_own.get(
    "/credits/transactions",
    summary="Ledger",
    response_description="A page of the ledger.",
    responses=error_responses(*LIST),
)
async def transactions(
    user: CurrentUser, needs: Needs, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Transactions:
    """Every grant, hold, settlement, release, refund and charge at once, newest first."""
    async with needs.database.read() as tx:
        page = await tx.credits.transactions(user.id, limit=limit, after=entry_id(cursor))
    return Transactions(
        transactions=[EntryView.of(entry) for entry in page.entries],
        limit=limit,
        next_cursor=None if page.next is None else str(page.next),
    )


def entry_id(cursor: str | None) -> int | None:
    """The entry after which a page begins.

    Raises:
        InvalidInput: it is not what a page before said.
    """
    if cursor is None:
        return None
    if not _ENTRY_ID.fullmatch(cursor):
        raise InvalidInput("Invalid cursor")
    return int(cursor)


router.include_router(_open)
router.include_router(_own)
router.include_router(_spending)
router.include_router(_service)
