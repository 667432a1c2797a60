"""What was used of vendors, and what that cost us: one's own, and everybody's for operators."""

from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal, NamedTuple

from fastapi import APIRouter, Query

from api.admission import CurrentUser, user_router
from api.dependencies import Needs, Services
from api.principals import service_router
from api.shapes.costs import UsageAnswer, usage_groups, usage_sum
from api.shapes.errors import error_responses
from contracts.api_keys import Scope
from contracts.costs import UsageBy, in_all
from contracts.errors import InvalidInput
from contracts.ids import is_uuid
from contracts.periods import Period, period

MOST_DAYS: Final = 400
MOST_DAYS_OF_ALL: Final = 100
"""Of a sum over every user."""

router = APIRouter()
_own = user_router("Credits", scope=Scope.CREDITS_READ)
_service = service_router("Internal")

From = Annotated[date | None, Query(alias="from", description="First day; else 29 before `to`.")]
To = Annotated[date | None, Query(alias="to", description="Last day; else today, by UTC.")]
OwnBy = Literal[UsageBy.DAY, UsageBy.KIND, UsageBy.TIER]
"""One's own usage has one user."""
_CHARGED_BY: Final = frozenset({UsageBy.DAY, UsageBy.KIND})
"""A charge is for a job, not for one of its calls."""


class Asked(NamedTuple):
    """What is to be summed up."""

    by: UsageBy
    days: Period
    user_id: str | None
    tier: str | None = None


@_own.get(
    "/usage",
    summary="What was used, and what it cost",
    response_description="Sums of a time.",
    responses=error_responses(400, 401, 429, 503),
)
async def usage(
    user: CurrentUser,
    needs: Needs,
    *,
    first: From = None,
    last: To = None,
    by: Annotated[OwnBy, Query(description="What to group by.")] = UsageBy.DAY,
) -> UsageAnswer:
    """Calls of vendors made for the caller: what they took, and an estimate of what they cost us.

    By the day a call began, at most 400 days; calls that run count as the most they may come to.
    `groups` add up to `total` exactly. What is not known is null, never 0.
    """
    return await _sums(needs, Asked(by, _days(first, last, MOST_DAYS), user.id))


@_service.get(
    "/internal/usage",
    summary="What was used by everybody, or one user",
    response_description="Sums of a time.",
    responses=error_responses(400, 401, 503),
)
async def usage_of_all(
    needs: Needs,
    *,
    first: From = None,
    last: To = None,
    by: Annotated[UsageBy, Query(description="`user`: the thousand that cost most.")] = UsageBy.DAY,
    user: Annotated[str | None, Query(description="Of this user.", max_length=36)] = None,
    tier: Annotated[str | None, Query(description="Of this tier.", max_length=60)] = None,
) -> UsageAnswer:
    """As `GET /usage`: of every user, 100 days at most, or of one, 400, and then with `credits`."""
    if user is not None and not is_uuid(user):
        raise InvalidInput("`user` is no UUID")
    days = _days(first, last, MOST_DAYS_OF_ALL if user is None else MOST_DAYS)
    if tier is not None and not tier.isprintable():
        raise InvalidInput("`tier` is none")
    return await _sums(needs, Asked(by, days, user, tier))


def _days(first: date | None, last: date | None, most: int) -> Period:
    return period(first, last, today=datetime.now(UTC).date(), most=most)


async def _sums(needs: Services, asked: "Asked") -> UsageAnswer:
    by, owner, tier = asked.by, asked.user_id, asked.tier
    since, until = asked.days.since, asked.days.until
    charged, paid = None, None
    async with needs.database.read() as tx:
        groups = await tx.usage.calls(by, since, until, user_id=owner, tier=tier)
        total = in_all(groups)
        if by is UsageBy.USER:  # of whom there may be more
            total = in_all(await tx.usage.calls(None, since, until, user_id=owner, tier=tier))
        if owner is not None and tier is None:
            paid = sum((await tx.usage.charged(None, since, until, user_id=owner)).values())
            if by in _CHARGED_BY:
                charged = await tx.usage.charged(by, since, until, user_id=owner)
    return UsageAnswer(
        first=asked.days.first,
        last=asked.days.last,
        by=by,
        currency=needs.settings.costs.currency,
        total=usage_sum(total, paid),
        groups=usage_groups(groups, charged),
    )


router.include_router(_own)
router.include_router(_service)
