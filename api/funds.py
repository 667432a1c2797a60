"""What a user could pay now, when the credits are kept by a service elsewhere.

No transaction is open while the service is asked. Whoever finds in a transaction that it needs a
balance stops there: the transaction is rolled back, the service asked, and all of it done again.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

from api.dependencies import Services
from api.idempotency import BUSY_SECONDS, Key, check
from api.ports import CreditsElsewhere
from api.shapes.credits import Consumption
from contracts.credits import Balance
from contracts.errors import Conflict, InsufficientCredits

if TYPE_CHECKING:
    from store.database import Transaction

Made = TypeVar("Made")

_KNOWN: Final[ContextVar[dict[str, int] | None]] = ContextVar("known_balances", default=None)
"""Balances that were asked for this piece of work; none: the ledger here has them."""


class _Unknown(Exception):
    """The balance of a user has to be asked first."""

    def __init__(self, user_id: str) -> None:
        super().__init__("A balance is asked first")
        self.user_id = user_id


async def free_credits(tx: "Transaction", user_id: str) -> int:
    """How many are neither spent nor held, inside a transaction of ``asking``."""
    known = _KNOWN.get()
    if known is None:
        return (await tx.credits.balance(user_id)).free
    if user_id not in known:
        raise _Unknown(user_id)
    return known[user_id]


def kept_elsewhere() -> bool:
    """Whether a service elsewhere keeps the credits, inside ``asking``: spaces do not pay then."""
    return _KNOWN.get() is not None


async def asking(service: CreditsElsewhere | None, work: Callable[[], Awaitable[Made]]) -> Made:
    """Do a piece of work that may need balances; it is begun again once one is known.

    Raises:
        Unavailable: the service does not answer; nothing was done.
    """
    if service is None:
        return await work()
    known: dict[str, int] = {}
    before = _KNOWN.set(known)
    try:
        while True:
            try:
                return await work()
            except _Unknown as unknown:
                user_id = unknown.user_id
            known[user_id] = (await service.balance(user_id)).balance
    finally:
        _KNOWN.reset(before)


async def balance_of(services: Services, user_id: str) -> Balance:
    """The user's account, wherever it is; what a service has reserved has left its balance.

    Raises:
        Unavailable: it cannot be told now.
    """
    if services.elsewhere is None:
        async with services.database.read() as tx:
            return await tx.credits.balance(user_id)
    found = await services.elsewhere.balance(user_id)
    return Balance(
        credits=found.balance, total_earned=found.total_earned, total_spent=found.total_spent
    )


def account_here(services: Services) -> None:
    """Let pass what changes an account of the ledger.

    Raises:
        Conflict: ``credits_elsewhere``, accounts are kept by another service.
    """
    if services.elsewhere is not None:
        message = "Credits are kept by the credits service: add and give them back there"
        raise Conflict(message, code="credits_elsewhere")


async def use_elsewhere(
    services: Services, service: CreditsElsewhere, user_id: str, body: Consumption, key: Key
) -> dict[str, int]:
    """Charge a user at the service at once; the same key again is charged once.

    The key the service is given is drawn once and kept beside the client's before it is asked, so a
    lost answer is asked for again by that.

    Raises:
        InsufficientCredits: nothing is charged.
        KeyReused: the key came with another request.
        Conflict: ``key_in_use``.
        Unavailable: it may be charged or not: the same request again finds out.
    """
    async with services.database.write() as tx:
        kept = await tx.idempotency.find(user_id, key.text, busy_seconds=BUSY_SECONDS)
        if kept is not None:
            check(key, kept)
            if kept.finished:
                return dict(kept.answer)
        used = str(uuid4()) if kept is None else str(kept.answer["key"])
        if kept is None:
            await _keep(tx, user_id, key, {"key": used})
    try:
        await _use(service, user_id, body, used)
    except InsufficientCredits:
        async with services.database.write() as tx:
            await tx.idempotency.forget(user_id, key.text)
        left = (await service.balance(user_id)).balance
        raise InsufficientCredits(body.amount, max(left, 0)) from None
    left = (await service.balance(user_id)).balance
    answer = {"consumed": body.amount, "credits": left}
    async with services.database.write() as tx:
        await tx.idempotency.forget(user_id, key.text)
        await _keep(tx, user_id, key, answer)
        await tx.idempotency.finish(user_id, key.text, 200)
    return answer


async def _use(service: CreditsElsewhere, user_id: str, body: Consumption, key: str) -> None:
    if body.amount:
        await service.use(
            user_id,
            body.amount,
            key=key,
            description=body.description,
            metadata={**(body.metadata or {}), "operation": body.operation},
        )


async def _keep(
    tx: "Transaction", user_id: str, key: Key, answer: "dict[str, str] | dict[str, int]"
) -> None:
    await tx.idempotency.keep(
        user_id, key.text, key.fingerprint, answer=answer, busy_seconds=BUSY_SECONDS
    )
