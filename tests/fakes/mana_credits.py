"""A stand-in for the credits service, over real sockets.

After what is known of its internal API: header ``X-Service-Key``; below ``/api/v1/internal`` and
``/credits``: ``GET balance/:userId`` → ``{balance, totalEarned, totalSpent}``, ``POST reserve``
{userId, amount, reason} → ``{reservationId, balance}``, 402 when short, not idempotent, never
expires; ``POST commit`` {reservationId, description?} and ``POST refund-reservation``
{reservationId}, a second of either 400; ``POST use`` {userId, amount, appId, description,
idempotencyKey, metadata}. Assumed:
what is reserved leaves the balance at once and counts as spent when it is committed; a user it has
never seen has the starting credits; a reservation it does not know is 404, what it cannot read 400.

    python -m tests.fakes.mana_credits --port 8126 [--key KEY] [--calls FILE]

Faults and counts: see ``tests/fakes/http_wire.py``.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from tests.fakes import alone
from tests.fakes.http_wire import Request, Response, Wire, json_response

PREFIX: Final = "/api/v1/internal/credits/"
KEY: Final = "planted-service-key"
STARTING: Final = 150


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = json_response({"statusCode": status, "message": message}, status)


class FakeManaCredits(Wire):
    """The service.

    Args:
        key: the only service key that is taken; none takes any.
        starting: what a user has that it sees for the first time.
        log: see `Wire`.
    """

    def __init__(
        self, key: str | None = None, log: Path | None = None, *, starting: int = STARTING
    ) -> None:
        super().__init__(self._vendor, log)
        self._key = key
        self._starting = starting
        self.earned: dict[str, int] = {}
        self.spent: Counter[str] = Counter()
        self.reserved: dict[str, tuple[str, int]] = {}
        self.ended: dict[str, str] = {}
        self.used: dict[str, int] = {}

    def balance(self, user: str) -> int:
        """What is neither spent nor reserved."""
        earned = self.earned.setdefault(user, self._starting)
        return earned - self.spent[user] - self.open(user)

    def open(self, user: str) -> int:
        """What is reserved and neither committed nor refunded."""
        return sum(
            amount
            for key, (owner, amount) in self.reserved.items()
            if owner == user and key not in self.ended
        )

    def made(self, call: str) -> int:
        """How often something was asked, by the last part of its path."""
        return sum(f"/{call}" in each["path"] for each in self.calls)

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        try:
            return json_response(self._served(request)), {}
        except Refusal as refusal:
            return refusal.response, {}

    def _served(self, request: Request) -> dict[str, Any]:
        if self._key is not None and request.headers.get("x-service-key") != self._key:
            raise Refusal(401, "Unauthorized")
        name = request.path.removeprefix(PREFIX)
        if request.method == "GET" and name.startswith("balance/"):
            return self._account(name.removeprefix("balance/"))
        try:
            body = json.loads(request.body)
        except ValueError:
            raise Refusal(400, "Bad Request") from None
        match request.method, name:
            case "POST", "reserve":
                return self._reserve(_text(body, "userId"), _amount(body))
            case "POST", "commit" | "refund-reservation":
                return self._end(_text(body, "reservationId"), name)
            case "POST", "use":
                return self._use(body)
        raise Refusal(404, "Not Found")

    def _account(self, user: str) -> dict[str, Any]:
        balance = self.balance(user)
        spent = self.spent[user]
        return {"balance": balance, "totalEarned": self.earned[user], "totalSpent": spent}

    def _reserve(self, user: str, amount: int) -> dict[str, Any]:
        if self.balance(user) < amount:
            raise Refusal(402, "Insufficient credits")
        reservation = str(uuid4())
        self.reserved[reservation] = (user, amount)
        return {"reservationId": reservation, "balance": self.balance(user)}

    def _end(self, reservation: str, how: str) -> dict[str, Any]:
        if reservation not in self.reserved:
            raise Refusal(404, "Reservation not found")
        if reservation in self.ended:
            raise Refusal(400, "Reservation is not active")
        user, amount = self.reserved[reservation]
        self.ended[reservation] = how
        if how == "commit":
            self.spent[user] += amount
        return {"success": True, "balance": self.balance(user)}

    def _use(self, body: dict[str, Any]) -> dict[str, Any]:
        user, amount, key = _text(body, "userId"), _amount(body), _text(body, "idempotencyKey")
        _text(body, "appId")
        if key not in self.used:
            if self.balance(user) < amount:
                raise Refusal(402, "Insufficient credits")
            self.used[key] = amount
            self.spent[user] += amount
        return {"success": True, "balance": self.balance(user)}


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise Refusal(400, f"{name} must be a string")
    return value


def _amount(body: Any) -> int:
    value = body.get("amount") if isinstance(body, dict) else None
    if type(value) is not int or value <= 0:
        raise Refusal(400, "amount must be a positive integer")
    return value


if __name__ == "__main__":
    sys.exit(alone.main("A credits service", FakeManaCredits))
