"""What routes need, and when it is opened: beside the first requests, not before them.

Reading the database's and the sign-in's modules takes longer than all the rest of a start. So the
front answers ``/health/live`` at once, and a request that needs a part waits the moment until that
is open.
"""

import asyncio
import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, Self

import structlog
from fastapi import Depends, Request

from api.measures import Measures
from api.ports import CreditsElsewhere, Files, SignedUploads, SpeechEncoder, VendorTokens
from api.rate_limit import Limiter
from contracts.errors import Unavailable
from contracts.values import Value
from runtime.settings import Settings

if TYPE_CHECKING:  # what makes a start slow
    from api.contacts import Contacts
    from api.egress import Egress
    from api.event_feed import EventFeed
    from api.key_ring import KeyRing
    from api.own_token import OwnTokens
    from api.sign_in import SignIn
    from api.user_feed import UserFeed
    from runtime.tokens import TokenVerifier
    from store.database import Database
    from store.resumable_disk import ResumableFiles

WAIT_SECONDS: Final = 10.0
"""How long a request waits for the services of a process that has just been started."""

AGAIN_SECONDS: Final = 2.0
"""Pause before what could not be opened (a folder that cannot be written) is tried again."""

log = structlog.get_logger()


class Jobs(Protocol):
    """Starts and cancels workflows."""

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        """Start the job's workflow; false when it runs already. Raises Unavailable."""

    async def cancel(self, job_id: str) -> bool:
        """Ask the job's workflow to end; false when none runs. Raises Unavailable."""

    async def signal(self, job_id: str, name: str, value: Value) -> bool:
        """Tell the job's workflow something; false when none runs. Raises Unavailable."""

    async def health(self) -> None:
        """Return when Temporal answers. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything one API process holds open.

    Attributes:
        key_set: public keys of the embedded issuer, as they are published.
        signed_uploads: none when recordings come through this service (STORAGE is ``disk``).
        resumable: where they come in pieces then.
        elsewhere: the service that keeps the credits of users; none: the ledger does.
        sign_in: none when no token of a vendor gives a session.
        encoder: none where speech is sent only when its file is there.
        own_tokens: none when no token of a vendor speaks for its user.
    """

    settings: Settings
    database: "Database"
    files: Files
    jobs: Jobs
    tokens: "TokenVerifier"
    api_keys: "KeyRing"
    key_set: Mapping[str, Any]
    events: "EventFeed"
    user_events: "UserFeed"
    contacts: "Contacts"
    measures: Measures
    limiter: Limiter | None
    egress: "Egress"
    signed_uploads: SignedUploads | None = None
    resumable: "ResumableFiles | None" = None
    elsewhere: CreditsElsewhere | None = None
    sign_in: "SignIn | None" = None
    encoder: SpeechEncoder | None = None
    own_tokens: "OwnTokens | None" = None


class Opening:
    """Opens the services in the background and closes them at the end.

    Args:
        measures: where the numbers go.
        jobs: instead of Temporal.
        elsewhere: the credits service, when the settings name one.
        vendor_tokens: who knows the tokens that users sign in with; none: nobody does.
        encoder: makes files of speech while it is spoken; none: nothing does.
    """

    def __init__(
        self,
        settings: Settings,
        measures: Measures,
        jobs: Jobs | None = None,
        *,
        elsewhere: CreditsElsewhere | None = None,
        vendor_tokens: VendorTokens | None = None,
        encoder: SpeechEncoder | None = None,
    ) -> None:
        self._encoder = encoder
        self._vendor_tokens = vendor_tokens
        self._elsewhere = elsewhere
        self._settings = settings
        self._measures = measures
        self._jobs = jobs
        self._closing = asyncio.Event()
        self._failed = False

    async def __aenter__(self) -> Self:
        """Begin."""
        self._opened: asyncio.Future[Services] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(), name="services")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        self._closing.set()
        await self._task

    async def services(self) -> Services:
        """The services, as soon as they are open.

        Raises:
            Unavailable: they are not, yet.
        """
        if self._failed:
            raise Unavailable("The service could not be started", retry_after=AGAIN_SECONDS)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await asyncio.shield(self._opened)
        except TimeoutError:
            raise Unavailable("The service is starting", retry_after=AGAIN_SECONDS) from None

    async def _hold(self) -> None:
        while not self._closing.is_set():
            try:
                module = await asyncio.to_thread(importlib.import_module, "api.services")
                opening = module.open_services(
                    self._settings,
                    self._measures,
                    self._jobs,
                    elsewhere=self._elsewhere,
                    vendor_tokens=self._vendor_tokens,
                    encoder=self._encoder,
                )
                await self._open(opening)
            except Exception:
                log.exception("services.not_opened")
                self._failed = True
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), AGAIN_SECONDS)

    async def _open(self, opening: AbstractAsyncContextManager[Services]) -> None:
        async with opening as services:
            self._failed = False
            self._opened.set_result(services)
            await self._closing.wait()


async def services_of(request: Request) -> Services:
    """The services of the app that serves the request.

    Raises:
        Unavailable: the process has just been started.
    """
    opening: Opening = request.app.state.opening
    return await opening.services()


Needs = Annotated[Services, Depends(services_of)]
