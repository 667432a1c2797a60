"""A stored heap of rates and promises, and everything that is done with them in a transaction."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Table

from store import rate_tables

COUNTS: Final = [0] * rate_tables.SLOTS


def budget_rows(number: int, job: str, owner: str) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One of each for a job."""
    yield rate_tables.request_rates, {
        "principal": f"p{number}", "slot": number, "counts": COUNTS, "granted": True, "day": number
    }  # fmt: skip
    yield rate_tables.promised_credits, {"job_id": job, "user_id": owner, "credits": 2}


async def live_through_budgets(tx: Any, job: str, user: str) -> None:
    """Every statement of ``tx.budgets``."""
    await tx.budgets.one_at_a_time(user)
    await tx.budgets.open_jobs(user, enough=5)
    await tx.budgets.promise(job, user, 2)
    await tx.budgets.spent_today(user)
