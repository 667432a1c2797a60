"""Who may come in: the token first, the rate next, and only then is the body looked at.

FastAPI reads and parses a body before it asks any dependency. A route class asks before that, so a
request without a token costs nothing and is told nothing but 401.
"""

import enum
import http
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import structlog
from fastapi import APIRouter, Depends, Request, Security, params
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.dependencies import Services, services_of
from api.errors import on_failure, on_http_exception
from api.json_body import MAX_JSON_BYTES, BoundedRequest
from contracts.api_keys import MARK, Access, Scope, permits
from contracts.errors import Failure, Forbidden, TooManyRequests, Unauthenticated
from contracts.ids import owner_id
from contracts.sessions import SESSION_ISSUER, SESSION_SCOPES
from contracts.values import Value

API_PREFIX: Final = "/api/v1"
API_KEY_HEADER: Final = "X-API-Key"

_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    bearerFormat="JWT",
    description="A user's token of a configured issuer (EdDSA, ES256 or RS256), or an API key.",
)
_API_KEY: Final = APIKeyHeader(
    name=API_KEY_HEADER,
    auto_error=False,
    scheme_name="apiKey",
    description="An API key (`vk_live_…`), which acts as its owner within its scopes: what each "
    "operation wants stands beside it; `admin` opens all. It may come as a bearer token too.",
)
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_UNROUTED: Final = frozenset({http.HTTPStatus.NOT_FOUND, http.HTTPStatus.METHOD_NOT_ALLOWED})


class Principal(enum.StrEnum):
    """Who a request can come from; every route class says whom it lets in."""

    ANYBODY = "anybody"
    USER = "user"
    SERVICE = "service"
    CRON = "cron"
    VENDOR = "vendor"


class User(Value):
    """Whoever sent a token or a key that is believed; ``id`` owns rows.

    Attributes:
        email: of a token; a key knows none.
        scopes: of a key or a session; none for a token, which opens all that its user may.
    """

    id: str
    email: str | None = None
    scopes: frozenset[Scope] | None = None


async def admit(request: Request, *, metered: bool = True) -> User:
    """Verify the token or the key, then count the request.

    Raises:
        Unauthenticated: neither, or not believed, or both.
        TooManyRequests: the user's rate is used up, by token and keys together.
        Unavailable: the issuer's keys, or the database with ours, cannot be had now.
    """
    services = await services_of(request)
    user = await credential_of(request.headers, services)
    services.contacts.note(user.id, user.email)
    request.scope["state"]["user"] = user
    structlog.contextvars.bind_contextvars(user_id=user.id)
    if metered:
        await meter(request, services, user.id)
    return user


async def credential_of(headers: Mapping[str, str], services: Services) -> User:
    """Whose the token or the key is; raises as `admit`."""
    authorization, key = headers.get("authorization"), headers.get(API_KEY_HEADER)
    if key is not None and authorization is not None:
        raise Unauthenticated("Send a token or an API key, not both")
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.lstrip().startswith(MARK):
        key = token.strip()
    if key is None:
        claims = await services.tokens.verify_header(authorization)
        scopes = SESSION_SCOPES if claims.issuer == SESSION_ISSUER else None
        owner = owner_id(claims.issuer, claims.user_id)
        return User(id=owner, email=claims.email, scopes=scopes)
    found = await services.api_keys.find(key)
    structlog.contextvars.bind_contextvars(key_id=found.id)
    return User(id=found.user_id, scopes=frozenset(found.scopes))


async def meter(request: Request, services: Services, principal: str) -> None:
    """Count a request of somebody's.

    Raises:
        TooManyRequests: the rate is used up.
    """
    if services.limiter is None:
        return
    allowance = await services.limiter.admit(principal)
    request.scope["state"]["answer_headers"].update(
        {
            "X-RateLimit-Limit": str(allowance.limit),
            "X-RateLimit-Remaining": str(allowance.remaining),
            "X-RateLimit-Reset": str(math.ceil(allowance.reset)),
        }
    )
    if not allowance.granted:
        message = f"Rate limit of {allowance.limit} requests per minute exceeded"
        raise TooManyRequests(message, retry_after=allowance.reset)


class OpenRoute(APIRoute):
    """A route for everybody; JSON bodies are read within bounds."""

    max_bytes: ClassVar[int] = MAX_JSON_BYTES
    principals: ClassVar[frozenset[Principal]] = frozenset({Principal.ANYBODY})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Come before FastAPI's own handler."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            await self.enter(request)
            bounded = BoundedRequest(request.scope, request.receive)
            if self.body_field is not None:
                await bounded.load(self.max_bytes)
            return await inner(bounded)

        return handle

    async def enter(self, request: Request) -> None:
        """Let everybody in."""


class UserRoute(OpenRoute):
    """A route for users, by token or by a key of the scope it wants; metered.

    Attributes:
        access: the scopes it wants, by `user_router`; a route without any is closed to keys.
        scope: the one that this route wants.
    """

    metered: ClassVar[bool] = True
    principals = frozenset({Principal.USER})
    access: ClassVar[Access | None] = None

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: set[str] | list[str] | None = None,
        dependencies: Sequence[params.Depends] | None = None,
        **kwargs: Any,
    ) -> None:
        reads = set(methods or {"GET"}) <= _READING
        access = self.access
        self.scope = access and (access.reads if reads else access.writes)
        wanted = [Security(_API_KEY, scopes=[self.scope])] if self.scope else []
        super().__init__(
            path, endpoint, methods=methods, dependencies=[*(dependencies or ()), *wanted], **kwargs
        )

    async def enter(self, request: Request) -> None:
        """Let users in.

        Raises:
            Forbidden: ``missing_scope``.
        """
        user = await admit(request, metered=self.metered)
        if user.scopes is None or permits(user.scopes, self.scope):
            return
        message = "This credential has not the scope that is needed"
        raise Forbidden(message, code="missing_scope", extra={"requiredScope": self.scope})


class PollingRoute(UserRoute):
    """A route for users that may be asked as often as one likes: polling locks nobody out."""

    metered = False


async def _current_user(request: Request) -> User:
    user: User = request.scope["state"]["user"]
    return user


CurrentUser = Annotated[User, Depends(_current_user)]


def user_router(
    tag: str,
    *,
    scope: Scope | Access | None = None,
    route_class: type[UserRoute] = UserRoute,
    prefix: str = API_PREFIX,
) -> APIRouter:
    """A router all of whose routes want a user's token, or an API key.

    Args:
        scope: what a key needs; two of them where reading wants another one than the rest. Without
            one no key opens these routes, which a test does not let stand.
    """
    access = Access(scope, scope) if isinstance(scope, Scope) else scope
    scoped = type(route_class.__name__, (route_class,), {"access": access})
    dependencies: Sequence[Any] = [Security(_BEARER)]
    return APIRouter(prefix=prefix, tags=[tag], route_class=scoped, dependencies=dependencies)


async def on_unrouted(request: Request, error: HTTPException) -> Response:
    """Answer what no route serves: strangers are not told which paths there are."""
    inside = request.url.path.startswith(f"{API_PREFIX}/") or request.url.path == API_PREFIX
    if inside and error.status_code in _UNROUTED and "user" not in request.scope["state"]:
        try:
            await admit(request)
        except Failure as failure:
            return await on_failure(request, failure)
    return await on_http_exception(request, error)
