"""Opens what the API stands on; its imports are most of what a start costs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api.dependencies import Jobs, Services
from api.egress import Egress
from api.event_feed import EventFeed
from api.measures import Measures
from api.rate_limit import RateLimiter
from api.user_feed import UserFeed
from runtime.issuer import EmbeddedIssuer
from runtime.names import Names
from runtime.seals import Seals
from runtime.settings import Settings
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from runtime.tokens import TokenVerifier
from store.database import Database
from store.files import open_files


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
        names = Names()
        stack.callback(names.close)
        storage = open_files(settings.storage_setup, stack)
        per_minute = settings.limits.rate_limit_per_minute
        verifier = TokenVerifier.build(settings.tokens, settings.data_dir)
        keys = (
            EmbeddedIssuer.open(settings.data_dir).key_set()
            if (settings.tokens.embedded_issuer)
            else {"keys": []}
        )
        yield Services(
            settings=settings,
            database=database,
            files=storage.files,
            signed_uploads=storage.elsewhere,
            jobs=jobs,
            tokens=await stack.enter_async_context(verifier),
            resumable=storage.resumable,
            key_set=keys,
            events=await stack.enter_async_context(EventFeed(database, measures)),
            user_events=await stack.enter_async_context(
                UserFeed(database, measures, settings.events.stream_seconds)
            ),
            measures=measures,
            limiter=RateLimiter(per_minute) if per_minute else None,
            egress=Egress(settings.egress.rules, names, Seals(settings.temporal.payload_keys)),
        )
