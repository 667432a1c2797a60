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


class ConnectionSettings(Group):
    """What one connection to the API may take."""

    title = "Connections"
    max_connections: int = Field(
        1000,
        validation_alias="MAX_CONNECTIONS",
        gt=0,
        description="connections one API process keeps open; beyond: 503",
    )
    header_seconds: float = Field(
        15,
        validation_alias="HEADER_TIMEOUT_SECONDS",
        gt=0,
        description="how long the line and the headers of a request may take to come; then 408",
    )
    body_seconds: float = Field(
        30,
        validation_alias="BODY_TIMEOUT_SECONDS",
        gt=0,
        description="how long a request's body is waited for; each KiB that comes earns another "
        "second, up to this; then 408",
    )
    slow_reader_seconds: float = Field(
        60,
        validation_alias="SLOW_READER_SECONDS",
        gt=0,
        description="how long a client may read next to nothing of its answer; then its "
        "connection is cut",
    )
    keep_alive_seconds: int = Field(
        5,
        validation_alias="KEEP_ALIVE_SECONDS",
        gt=0,
        description="how long a connection is kept for another request",
    )
    request_seconds: float = Field(
        360,
        validation_alias="REQUEST_TIMEOUT_SECONDS",
        gt=0,
        description="how long a request may take from its last byte to the first of its answer; "
        "then 503. More than LONG_CALL_WAIT_SECONDS",
    )
