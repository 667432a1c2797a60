"""What routes need, and how it is opened and closed: the API's composition root."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from api.event_feed import EventFeed
from api.measures import Measures
from api.rate_limit import RateLimiter
from runtime.settings import Settings
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from runtime.tokens import TokenVerifier
from store.database import Database
from store.files_disk import DiskFiles


class Jobs(Protocol):
    """Starts and cancels workflows."""

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        """Start the job's workflow; false when it runs already. Raises Unavailable."""

    async def cancel(self, job_id: str) -> bool:
        """Ask the job's workflow to end; false when none runs. Raises Unavailable."""

    async def health(self) -> None:
        """Return when Temporal answers. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything one API process holds open."""

    settings: Settings
    database: Database
    files: DiskFiles
    jobs: Jobs
    tokens: TokenVerifier
    events: EventFeed
    measures: Measures
    limiter: RateLimiter | None


@asynccontextmanager
async def open_services(
    settings: Settings, measures: Measures, jobs: Jobs | None = None
) -> AsyncIterator[Services]:
    """Open everything. Nothing here waits for Temporal or the database: both may be away.

    Args:
        measures: where the numbers go.
        jobs: instead of Temporal.
    """
    async with AsyncExitStack() as stack:
        if jobs is None:
            jobs = TemporalJobs(await connect(settings.temporal, lazy=True))
        database = Database(
            settings.database_url, starting_credits=settings.credits.starting_credits
        )
        stack.push_async_callback(database.close)
        per_minute = settings.limits.rate_limit_per_minute
        yield Services(
            settings=settings,
            database=database,
            files=DiskFiles(settings.files_dir),
            jobs=jobs,
            tokens=await stack.enter_async_context(
                TokenVerifier.build(settings.tokens, settings.data_dir)
            ),
            events=await stack.enter_async_context(EventFeed(database, measures)),
            measures=measures,
            limiter=RateLimiter(per_minute) if per_minute else None,
        )


def services_of(request: Request) -> Services:
    """The services of the app that serves the request."""
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    return services_of(request)


Needs = Annotated[Services, Depends(_services)]
