"""Everything that is summed up of calls and charges."""

from datetime import datetime, timedelta
from typing import Any, Final

from contracts.costs import UsageBy

WITHOUT_OWNER: Final = {"calls of a time, for operators": "FROM attempts \nWHERE attempts.started"}
OWN: Final = (UsageBy.DAY, UsageBy.KIND, UsageBy.TIER)


async def live_through_costs(tx: Any, user: str, now: datetime) -> None:
    """Every statement of ``tx.usage``, over a time in which a small part of everything lies."""
    since, until = now - timedelta(hours=2), now - timedelta(hours=1)
    for by in (None, *OWN):
        await tx.usage.calls(by, since, until, user_id=user)
        await tx.usage.charged(by, since, until, user_id=user)
    for by in (None, *UsageBy):
        await tx.usage.calls(by, since, until, user_id=None)
        await tx.usage.calls(by, since, until, user_id=None, tier="local")
