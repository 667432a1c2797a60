"""Credits kept by a service elsewhere, by its internal HTTP API.

Below ``/api/v1/internal``, with the header ``X-Service-Key``. ``reserve`` is not idempotent, never
expires and cannot be looked up; a second ``commit`` or ``refund-reservation`` answers 400; ``use``
takes an idempotency key. Nothing is tried again here.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from contracts.errors import (
    AnswerLost,
    Failure,
    InsufficientCredits,
    ProviderFailure,
    Unavailable,
)
from contracts.reservations import RemoteBalance, RemoteReservation
from providers import failures
from providers.vendor_http import Answer, VendorHttp

PROVIDER: Final = "The credits service"
PREFIX: Final = "/api/v1/internal/credits"
LOOK_SECONDS: Final = 5.0
"""Bound of asking for a balance: somebody waits for it, and it can be asked again."""
CALL_SECONDS: Final = 20.0
"""Bound of what changes something: its answer is worth waiting for."""
CONNECT_SECONDS: Final = 3.0
MAX_BYTES: Final = 64 * 1024
MOST_CREDITS: Final = 2**53
AWAY: Final = "credits_unavailable"
REFUSED: Final = "credits_refused"
_REFUSALS: Final = range(HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.INTERNAL_SERVER_ERROR)
"""Nothing was done. An error of the server's own, or of a proxy before it, says nothing of that."""


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Balance(_Wire):
    balance: int = Field(ge=-MOST_CREDITS, le=MOST_CREDITS)
    earned: int = Field(0, alias="totalEarned", ge=0, le=MOST_CREDITS)
    spent: int = Field(0, alias="totalSpent", ge=0, le=MOST_CREDITS)


class _Reserved(_Wire):
    reservation_id: str = Field(alias="reservationId", pattern=r"^[\x21-\x7e]{1,200}$")
    balance: int = Field(0, ge=-MOST_CREDITS, le=MOST_CREDITS)


Shape = TypeVar("Shape", bound=_Wire)


class RemoteCredits:
    """The service, behind ``CreditsService`` of ``activities.wallet_ports``.

    Args:
        url: of the service, without the prefix.
        key: sent as ``X-Service-Key``.
        app_id: who we are in what is charged at once.
        seconds: bound of a call that changes something.
    """

    def __init__(
        self, url: str, key: SecretStr, app_id: str, *, seconds: float = CALL_SECONDS
    ) -> None:
        self._base = url.rstrip("/") + PREFIX
        self._key = key
        self._app_id = app_id
        self._seconds = seconds
        self._http = VendorHttp(PROVIDER, connect_seconds=min(CONNECT_SECONDS, seconds / 2))

    async def balance(self, user_id: str) -> RemoteBalance:
        """What the user has, without what is reserved.

        Raises:
            Unavailable: it cannot be told now.
        """
        answer = await self._call("GET", f"balance/{quote(user_id, safe='')}")
        said = _read(_Balance, answer)
        return RemoteBalance(balance=said.balance, total_earned=said.earned, total_spent=said.spent)

    async def reserve(self, user_id: str, amount: int, reason: str) -> RemoteReservation:
        """Take so many out of the balance until they are committed or refunded.

        Raises:
            InsufficientCredits: the service has too few for the user; none is reserved.
            AnswerLost: they may be reserved or not.
            Unavailable: certainly none is reserved.
        """
        body = {"userId": user_id, "amount": amount, "reason": reason}
        answer = await self._call("POST", "reserve", body)
        if answer.status == HTTPStatus.PAYMENT_REQUIRED:
            raise InsufficientCredits(amount, 0)
        return read_reservation(answer)

    async def commit(self, reservation_id: str, description: str) -> None:
        """Charge a reservation; one that is over already stays as it is.

        Raises:
            Unavailable: ask again, it is charged once however often.
        """
        body = {"reservationId": reservation_id, "description": description}
        _ended(await self._call("POST", "commit", body))

    async def refund(self, reservation_id: str) -> None:
        """Give a reservation back; one that is over already stays as it is.

        Raises:
            Unavailable: ask again.
        """
        body = {"reservationId": reservation_id}
        _ended(await self._call("POST", "refund-reservation", body))

    async def use(
        self,
        user_id: str,
        amount: int,
        *,
        key: str,
        description: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Charge at once; the same key again charges nothing.

        Raises:
            InsufficientCredits: the service has too few for the user.
            Unavailable: ask again with the same key.
        """
        body = {
            "userId": user_id,
            "amount": amount,
            "appId": self._app_id,
            "description": description,
            "idempotencyKey": key,
            "metadata": dict(metadata or {}),
        }
        answer = await self._call("POST", "use", body)
        if answer.status == HTTPStatus.PAYMENT_REQUIRED:
            raise InsufficientCredits(amount, 0)
        _accepted(answer)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        headers = {"x-service-key": self._key.get_secret_value(), "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            return await self._http.call(
                method,
                f"{self._base}/{path}",
                seconds=self._seconds if body is not None else min(LOOK_SECONDS, self._seconds),
                max_bytes=MAX_BYTES,
                headers=headers,
                content=None if body is None else json.dumps(body).encode(),
            )
        except ProviderFailure as failure:
            # An answer that cannot be read was an answer: the request did arrive.
            lost = failure.lost or failure.final
            kind = AnswerLost if lost else Unavailable
            raise kind(failure.message, code=AWAY) from failure

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()


def read_reservation(answer: Answer) -> RemoteReservation:
    """What was reserved.

    Raises:
        AnswerLost: the answer does not tell.
        Unavailable: nothing was.
    """
    said = _read(_Reserved, answer)
    return RemoteReservation(id=said.reservation_id, balance=said.balance)


def _accepted(answer: Answer) -> None:
    """Let a success pass.

    Raises:
        AnswerLost: it may have taken effect.
        Unavailable: it certainly has not.
    """
    if answer.refused:
        raise _refusal(answer)


def _refusal(answer: Answer) -> Failure:
    wait = failures.retry_after(answer.headers)
    message = f"{PROVIDER} answered {answer.status}"
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(message, code=AWAY, retry_after=wait)
    if answer.status in _REFUSALS:
        return Unavailable(message, code=REFUSED, retry_after=wait)
    return AnswerLost(message, code=AWAY, retry_after=wait)


def _ended(answer: Answer) -> None:
    """Let a success pass, and 400: it was committed or refunded before.

    Raises:
        Unavailable: neither is known.
    """
    if answer.status != HTTPStatus.BAD_REQUEST:
        _accepted(answer)


def _read(shape: type[Shape], answer: Answer) -> Shape:
    _accepted(answer)
    try:
        return shape.model_validate_json(answer.body)
    except ValidationError as error:
        raise AnswerLost(f"{PROVIDER}'s answer cannot be read", code=AWAY) from error
