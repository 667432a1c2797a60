"""Routes of the read-aloud contract that older clients know: at the root, with errors of its own.

An error answer there is ``{"error", "message"}``: a name for programs, a sentence for people. Who
may come in, how bodies are bounded and what is counted is as everywhere.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.responses import Response

from api.admission import OpenRoute, PollingRoute, UserRoute
from api.errors import on_failure, validation_failure
from contracts.errors import Failure

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_OF_THE_BODY: Final = frozenset({"content-length", "content-type"})


class KeptRoute(OpenRoute):
    """For everybody: a body shows who comes."""

    def get_route_handler(self) -> Handler:
        """Tell failures as the contract does."""
        return _told(super().get_route_handler())


class KeptUserRoute(UserRoute):
    """For users."""

    def get_route_handler(self) -> Handler:
        """Tell failures as the contract does."""
        return _told(super().get_route_handler())


class KeptPollingRoute(PollingRoute):
    """For users, as often as they like."""

    def get_route_handler(self) -> Handler:
        """Tell failures as the contract does."""
        return _told(super().get_route_handler())


def _told(inner: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await inner(request)
        except RequestValidationError as error:
            return await _answer(request, validation_failure(error.errors()))
        except Failure as failure:
            return await _answer(request, failure)

    return handle


async def _answer(request: Request, failure: Failure) -> Response:
    usual = await on_failure(request, failure)
    headers = {name: each for name, each in usual.headers.items() if name not in _OF_THE_BODY}
    body = {"error": failure.code, "message": failure.message}
    return JSONResponse(body, usual.status_code, headers)
