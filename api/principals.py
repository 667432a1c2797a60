"""Principals that are no users: services, the cron job and vendors.

===========  ===========================================  ===============================
principal    shows                                        route class
===========  ===========================================  ===============================
user         ``Authorization: Bearer`` (runtime/tokens)   `UserRoute`, `PollingRoute`
user, by     ``X-API-Key`` or ``Authorization: Bearer     the same, within the key's scopes:
an API key   vk_…`` (api/key_ring)                        `user_router(…, scope=…)`
user, by     ``Authorization: Bearer``, signed by         the same, as by a key of the
a session    ourselves (api/sign_in)                      scope ``speech``
service      ``X-Service-Key``                            `ServiceRoute`
cron         ``X-Internal-API-Key``                       `CronRoute`
vendor       a signature of the body, or a key            `VendorRoute`
anybody      nothing                                      `OpenRoute`
===========  ===========================================  ===============================

Users alone are metered, and not for polling: a limiter that rejects a result's report loses work. A
key that is not set closes its routes and never opens them. A route that is open to anybody has to
stand in a list of ``tests/api/test_principals.py``, or the build fails.
"""

import hmac
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

import structlog
from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import SecretStr

from api.admission import API_PREFIX, OpenRoute, Principal, User, UserRoute, user_router
from api.dependencies import services_of
from contracts.api_keys import Access, Scope
from contracts.errors import Unauthenticated, Unavailable

SERVICE_HEADER: Final = "X-Service-Key"
CRON_HEADER: Final = "X-Internal-API-Key"

_SERVICE: Final = APIKeyHeader(
    name=SERVICE_HEADER,
    auto_error=False,
    scheme_name="serviceKey",
    description="`SERVICE_KEY` of the installation: trusted services only.",
)
_CRON: Final = APIKeyHeader(
    name=CRON_HEADER,
    auto_error=False,
    scheme_name="internalKey",
    description="`INTERNAL_API_KEY` of the installation: the job that cleans up.",
)


def check_key(given: str | None, wanted: SecretStr | None, name: str) -> None:
    """Compare in a time that tells nothing of the key.

    Args:
        name: of the setting.

    Raises:
        Unavailable: ``not_configured``, the installation has none.
        Unauthenticated: it is missing, or another one.
    """
    if wanted is None:
        raise Unavailable(f"{name} is not set: this route is closed", code="not_configured")
    if not same_secret(given or "", wanted):
        raise Unauthenticated("Missing or invalid key")


def same_secret(given: str, wanted: SecretStr) -> bool:
    """Whether they are one; whatever is given, comparing takes the same time."""
    return hmac.compare_digest(
        given.encode(errors="surrogatepass"), wanted.get_secret_value().encode()
    )


class _KeyRoute(OpenRoute):
    """A route for the holder of one shared key; not metered."""

    header: ClassVar[str]
    principal: ClassVar[Principal]
    setting: ClassVar[str]

    async def enter(self, request: Request) -> None:
        """Let the holder in."""
        services = await services_of(request)
        kind = type(self)
        wanted = services.settings.services.secret(kind.setting)
        check_key(request.headers.get(kind.header), wanted, kind.setting)
        structlog.contextvars.bind_contextvars(principal=kind.principal.value)


class ServiceRoute(_KeyRoute):
    """A route for trusted services, which may act for every user."""

    header = SERVICE_HEADER
    principal = Principal.SERVICE
    principals = frozenset({Principal.SERVICE})
    setting = "SERVICE_KEY"


class CronRoute(_KeyRoute):
    """A route for the job that cleans up."""

    header = CRON_HEADER
    principal = Principal.CRON
    principals = frozenset({Principal.CRON})
    setting = "INTERNAL_API_KEY"


class ServiceOrUserRoute(UserRoute):
    """A route for trusted services, by their key, and for users, metered, by their token.

    Whoever sends ``X-Service-Key`` is a service or nobody.
    """

    principals = frozenset({Principal.USER, Principal.SERVICE})

    async def enter(self, request: Request) -> None:
        """Let either in."""
        given = request.headers.get(SERVICE_HEADER)
        if given is None:
            await super().enter(request)
            return
        services = await services_of(request)
        check_key(given, services.settings.services.service_key, "SERVICE_KEY")
        structlog.contextvars.bind_contextvars(principal=Principal.SERVICE.value)


class VendorRoute(OpenRoute):
    """A route for a vendor that signs what it sends.

    The body has to be read for that, so the route itself looks at the signature, before all else.
    """

    principals = frozenset({Principal.VENDOR})


async def _user_if_any(request: Request) -> User | None:
    user: User | None = request.scope["state"].get("user")
    return user


UserIfAny = Annotated[User | None, Depends(_user_if_any)]
"""Who came to a `ServiceOrUserRoute`: a user, or, when it is none, a service."""


def service_router(tag: str, *, route_class: type[ServiceRoute] = ServiceRoute) -> APIRouter:
    """A router all of whose routes want the service key."""
    return _router(tag, route_class, _SERVICE)


def service_or_user_router(tag: str, *, scope: Scope | Access | None = None) -> APIRouter:
    """A router all of whose routes want the service key, or what `user_router` says."""
    router = user_router(tag, scope=scope, route_class=ServiceOrUserRoute)
    router.dependencies.append(Security(_SERVICE))
    return router


def cron_router(tag: str) -> APIRouter:
    """A router all of whose routes want the cron job's key."""
    return _router(tag, CronRoute, _CRON)


def _router(tag: str, route: type[OpenRoute], scheme: APIKeyHeader) -> APIRouter:
    dependencies: Sequence[Any] = [Security(scheme)]
    return APIRouter(prefix=API_PREFIX, tags=[tag], route_class=route, dependencies=dependencies)
