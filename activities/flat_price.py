"""Jobs of one price, known before they begin: held, charged once, told when little is left."""

from typing import Protocol

from activities.memo import announce_low
from activities.ports import Transaction
from activities.wallet_ports import OwnWallet, Wallet
from contracts import ids
from contracts.credits import LOW_BELOW
from contracts.reservations import Need
from contracts.webhooks import Delivery


class Priced(Protocol):
    """A job with its price in credits."""

    @property
    def job_id(self) -> str:
        """The workflow's id."""

    @property
    def user_id(self) -> str:
        """Who pays."""

    @property
    def price(self) -> int:
        """Credits; zero is free, and nothing is written then."""

    @property
    def round(self) -> int:
        """Which run of the job this is, from 1 on."""


class FlatPrice:
    """What is done about the price, wherever the credits are kept.

    Args:
        low_below: a charge that takes the balance below it is told.
    """

    def __init__(self, wallet: Wallet | None, low_below: int = LOW_BELOW) -> None:
        self._wallet = wallet or OwnWallet()
        self._low_below = low_below

    async def cover(self, job: Priced) -> None:
        """Before the transaction that holds it; raises as ``Wallet.cover``."""

        async def price(_: Transaction) -> int:
            return job.price

        need = Need(job_id=job.job_id, user_id=job.user_id, key=_key(job), round=job.round)
        if job.price:
            await self._wallet.cover(need, price)

    async def hold(self, tx: Transaction, job: Priced) -> int:
        """Hold it; returns what is held.

        Raises:
            InsufficientCredits: fewer are free.
        """
        if not job.price:
            return 0
        return await tx.credits.hold(job.user_id, job.job_id, _key(job), job.price)

    async def settle(
        self, tx: Transaction, job: Priced, *, operation: str, amount: int | None = None
    ) -> tuple[Delivery, ...]:
        """Charge it; returns the messages that tell of a low balance.

        Args:
            amount: what is charged in the end, when that is not the price.
        """
        if not job.price:
            return ()
        key = ids.step_key(job.job_id, "settle")
        charged = job.price if amount is None else amount
        charge = await tx.credits.settle(job.user_id, job.job_id, key, charged, operation=operation)
        await self._wallet.settled(tx, job.job_id, job.user_id, charge)
        return await announce_low(tx, job.user_id, charge, self._low_below)

    async def release(self, tx: Transaction, job: Priced) -> None:
        """Let go of what is held."""
        key = ids.step_key(job.job_id, "release", job.round)
        await tx.credits.release(job.user_id, job.job_id, key)
        await self._wallet.ended(tx, job.job_id, job.user_id)

    async def tell(self, job: Priced) -> None:
        """After the transaction: pass on what it decided."""
        await self._wallet.tell(job.job_id, job.user_id)


def _key(job: Priced) -> str:
    return ids.step_key(job.job_id, "hold", job.round)
