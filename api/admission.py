"""Who may come in: the token first, the rate next, and only then is the body looked at.

FastAPI reads and parses a body before it asks any dependency. A route class asks before that, so a
request without a token costs nothing and is told nothing but 401.
"""

import enum
import http
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, ClassVar, Final

import structlog
from fastapi import APIRouter, Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.dependencies import Services, services_of
from api.errors import on_failure, on_http_exception
from api.json_body import MAX_JSON_BYTES, BoundedRequest
from contracts.errors import Failure, TooManyRequests
from contracts.ids import owner_id
from contracts.values import Value

API_PREFIX: Final = "/api/v1"

_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    bearerFormat="JWT",
    description="A user's token of a configured issuer (EdDSA, ES256 or RS256).",
)
_UNROUTED: Final = frozenset({http.HTTPStatus.NOT_FOUND, http.HTTPStatus.METHOD_NOT_ALLOWED})


class Principal(enum.StrEnum):
    """Who a request can come from; every route class says whom it lets in."""

    ANYBODY = "anybody"
    USER = "user"
    SERVICE = "service"
    CRON = "cron"
    VENDOR = "vendor"


class User(Value):
    """Whoever sent a token that is believed; ``id`` owns rows."""

    id: str
    email: str | None = None


async def admit(request: Request, *, metered: bool = True) -> User:
    """Verify the token, then count the request.

    Raises:
        Unauthenticated: no token, or one that is not believed.
        TooManyRequests: the user's rate is used up.
        Unavailable: the issuer's keys cannot be had now.
    """
    services = await services_of(request)
    claims = await services.tokens.verify_header(request.headers.get("authorization"))
    user = User(id=owner_id(claims.issuer, claims.user_id), email=claims.email)
    request.scope["state"]["user"] = user
    structlog.contextvars.bind_contextvars(user_id=user.id)
    if metered:
        await _meter(request, services, user.id)
    return user


async def _meter(request: Request, services: Services, principal: str) -> None:
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
    """A route for users with a token, metered."""

    metered: ClassVar[bool] = True
    principals = frozenset({Principal.USER})

    async def enter(self, request: Request) -> None:
        """Let users in."""
        await admit(request, metered=self.metered)


class PollingRoute(UserRoute):
    """A route for users that may be asked as often as one likes: polling locks nobody out."""

    metered = False


async def _current_user(request: Request) -> User:
    user: User = request.scope["state"]["user"]
    return user


CurrentUser = Annotated[User, Depends(_current_user)]


def user_router(tag: str, *, route_class: type[UserRoute] = UserRoute) -> APIRouter:
    """A router all of whose routes want a user's token."""
    dependencies: Sequence[Any] = [Security(_BEARER)]
    return APIRouter(
        prefix=API_PREFIX, tags=[tag], route_class=route_class, dependencies=dependencies
    )


async def on_unrouted(request: Request, error: HTTPException) -> Response:
    """Answer what no route serves: strangers are not told which paths there are."""
    inside = request.url.path.startswith(f"{API_PREFIX}/") or request.url.path == API_PREFIX
    if inside and error.status_code in _UNROUTED and "user" not in request.scope["state"]:
        try:
            await admit(request)
        except Failure as failure:
            return await on_failure(request, failure)
    return await on_http_exception(request, error)
