"""How much one user may have under way and spend in a day.

Judged in the transaction that writes the job's rows, one start of a user after the other, so that
fifty at once get no further than one after another. The rows of the job that is judged stand
already, and are taken back with the transaction when it is one too many. Only those who start jobs
are bounded: what is reported by services, or follows from a job by itself, goes on.
"""

from typing import TYPE_CHECKING, Final

from contracts.errors import TooManyRequests
from contracts.jobs import StaleJob
from contracts.pricing import expected_price
from runtime.settings_bounds import BudgetSettings

if TYPE_CHECKING:
    from store.database import Transaction

AGAIN_SECONDS: Final = 15
"""Nobody knows when a job ends; asked again so much later, one often has."""


async def check_bounds(tx: "Transaction", settings: BudgetSettings, job: StaleJob) -> None:
    """Whether the user may have this job too; bounds that are switched off cost nothing.

    Raises:
        TooManyRequests: ``too_many_jobs`` or ``daily_budget_reached``.
    """
    if not settings.max_open_jobs and not settings.daily_credits:
        return
    await tx.budgets.one_at_a_time(job.user_id)
    if settings.max_open_jobs:
        await _check_number(tx, settings.max_open_jobs, job.user_id)
    if settings.daily_credits:
        await _check_spending(tx, settings.daily_credits, job)


async def _check_number(tx: "Transaction", most: int, user_id: str) -> None:
    if await tx.budgets.open_jobs(user_id, enough=most + 1) > most:
        raise TooManyRequests(
            f"There are {most} jobs under way already",
            code="too_many_jobs",
            extra={"maxOpenJobs": most},
            retry_after=AGAIN_SECONDS,
        )


async def _check_spending(tx: "Transaction", most: int, job: StaleJob) -> None:
    price = expected_price(job.kind, job.request)
    await tx.budgets.promise(job.id, job.user_id, price)
    spent = await tx.budgets.spent_today(job.user_id)
    if price and spent.credits > most:
        raise TooManyRequests(
            f"The day's budget of {most} credits does not cover {price} more",
            code="daily_budget_reached",
            extra={"dailyCreditBudget": most, "requiredCredits": price},
            retry_after=spent.seconds_left,
        )
