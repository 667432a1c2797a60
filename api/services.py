"""Opens what the API stands on; its imports are most of what a start costs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api.contacts import Contacts
from api.dependencies import Jobs, Services
from api.egress import Egress
from api.event_feed import EventFeed
from api.key_ring import KeyRing
from api.measures import Measures
from api.own_token import OwnTokens
from api.ports import CreditsElsewhere, SpeechEncoder, VendorTokens
from api.rate_limit import Limiter, RateLimiter
from api.shared_rate import SharedLimiter
from api.sign_in import SignIn
from api.user_feed import UserFeed
from runtime.issuer import EmbeddedIssuer
from runtime.names import Names
from runtime.seals import Seals, passing_key
from runtime.sessions import Sessions, own_token_seals
from runtime.settings import Settings
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from runtime.tokens import TokenVerifier
from store.database import Database, is_shared
from store.files import open_files
from store.rates import SharedRates


@asynccontextmanager
async def open_services(
    settings: Settings,
    measures: Measures,
    jobs: Jobs | None = None,
    *,
    elsewhere: CreditsElsewhere | None = None,
    vendor_tokens: VendorTokens | None = None,
    encoder: SpeechEncoder | None = None,
) -> AsyncIterator[Services]:
    """Open everything. Nothing here waits for Temporal or the database: both may be away.

    Args:
        measures: where the numbers go.
        jobs: instead of Temporal.
        elsewhere: the credits service, when the settings name one.
        vendor_tokens: who knows the tokens that users sign in with; none: nobody does.
        encoder: makes files of speech while it is spoken; none: nothing does.
    """
    if settings.services.mana_credits_url and elsewhere is None:
        raise RuntimeError("The settings name a credits service, and nobody handed one in")
    async with AsyncExitStack() as stack:
        if jobs is None:
            jobs = TemporalJobs(await connect(settings.temporal, lazy=True))
        if elsewhere is not None:
            stack.push_async_callback(elsewhere.aclose)
        if encoder is not None:
            stack.push_async_callback(encoder.aclose)
        database = Database(settings.database_url, starting_credits=settings.starting_credits)
        stack.push_async_callback(database.close)
        names = Names()
        stack.callback(names.close)
        storage = open_files(settings.storage_setup, stack)
        if vendor_tokens is not None:
            stack.push_async_callback(vendor_tokens.aclose)
        sessions = (
            Sessions.open(settings.sign_in, settings.data_dir) if settings.token_sign_in else None
        )
        verifier = TokenVerifier.build(settings.tokens, settings.data_dir, sessions)
        keys = (
            EmbeddedIssuer.open(settings.data_dir).key_set()
            if (settings.tokens.embedded_issuer)
            else {"keys": []}
        )
        key_ring = KeyRing(
            database,
            settings.tokens.api_key_environment,
            Seals(settings.temporal.payload_keys or (passing_key(),)),
        )
        sign_in = _sign_in(settings, sessions, vendor_tokens)
        yield Services(
            settings=settings,
            database=database,
            files=storage.files,
            signed_uploads=storage.elsewhere,
            jobs=jobs,
            tokens=await stack.enter_async_context(verifier),
            api_keys=await stack.enter_async_context(key_ring),
            resumable=storage.resumable,
            key_set=keys,
            events=await stack.enter_async_context(EventFeed(database, measures)),
            user_events=await stack.enter_async_context(
                UserFeed(database, measures, settings.events.stream_seconds)
            ),
            contacts=await stack.enter_async_context(Contacts(database)),
            measures=measures,
            limiter=_limiter(settings, stack),
            elsewhere=elsewhere,
            sign_in=sign_in,
            encoder=encoder,
            own_tokens=_own_tokens(settings, sign_in),
            egress=Egress(settings.egress.rules, names, Seals(settings.temporal.payload_keys)),
        )


def _sign_in(
    settings: Settings, sessions: Sessions | None, vendor: VendorTokens | None
) -> SignIn | None:
    if sessions is None or vendor is None:
        return None
    return SignIn(sessions, vendor, keep_seconds=settings.sign_in.believed_seconds)


def _own_tokens(settings: Settings, sign_in: SignIn | None) -> OwnTokens | None:
    if sign_in is None or settings.own_tokens_closed is not None:
        return None
    return OwnTokens(sign_in, own_token_seals(settings.sign_in, settings.data_dir))


def _limiter(settings: Settings, stack: AsyncExitStack) -> Limiter | None:
    """Counts requests where every process of the installation can, or none does."""
    per_minute = settings.limits.rate_limit_per_minute
    if not per_minute:
        return None
    if not is_shared(settings.database_url):
        return RateLimiter(per_minute)
    rates = SharedRates(settings.database_url, wait_seconds=settings.limits.rate_limit_wait_seconds)
    stack.push_async_callback(rates.close)
    return SharedLimiter(per_minute, rates)
