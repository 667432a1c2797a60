"""Settings that bound what one user, or one connection, may take."""

from pydantic import Field

from runtime.settings_groups import Group


class BudgetSettings(Group):
    """What one user may have under way and spend."""

    title = "Budgets"
    max_open_jobs: int = Field(
        0,
        validation_alias="MAX_OPEN_JOBS_PER_USER",
        ge=0,
        description="jobs one user may have under way (erasures do not count); beyond: 429; 0 "
        "switches the bound off",
    )
    daily_credits: int = Field(
        0,
        validation_alias="DAILY_CREDIT_BUDGET",
        ge=0,
        description="credits one user's jobs may be charged and hold within a day, by UTC; beyond: "
        "429; 0 switches the bound off",
    )
