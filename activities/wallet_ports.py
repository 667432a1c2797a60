"""What the steps of a job need of whoever keeps the credits, as Protocols."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from contracts.credits import Charge
from contracts.reservations import (
    Need,
    RemoteBalance,
    RemoteReservation,
    Reservation,
    ReservationState,
)

if TYPE_CHECKING:
    from activities.ports import Transaction

Price = Callable[["Transaction"], Awaitable[int]]
"""What a step costs in credits, by what is stored."""


class CreditsService(Protocol):
    """Credits kept elsewhere; ``providers.remote_credits`` says what each method raises."""

    async def balance(self, user_id: str) -> RemoteBalance:
        """What the user has, without what is reserved."""

    async def reserve(self, user_id: str, amount: int, reason: str) -> RemoteReservation:
        """Take so many out of the balance; raises InsufficientCredits, AnswerLost, Unavailable."""

    async def commit(self, reservation_id: str, description: str) -> None:
        """Charge a reservation; safe to do twice."""

    async def refund(self, reservation_id: str) -> None:
        """Give a reservation back; safe to do twice."""


class Reservations(Protocol):
    """What is reserved there, inside a transaction."""

    async def of_job(self, job_id: str, user_id: str) -> Sequence[Reservation]:
        """All of a job's, over or not, oldest first."""

    async def ask(self, row: Reservation) -> bool:
        """Write down that the service is about to be asked; false when that key was used."""

    async def forget(self, row: Reservation) -> None:
        """Nothing was reserved by it."""

    async def answered(self, row: Reservation, reservation_id: str, *, wanted: bool) -> bool:
        """The service has reserved it; unwanted or late, it is to be given back.

        Returns:
            False when nothing was asked, as far as is known.
        """

    async def mark(self, row: Reservation, state: ReservationState) -> None:
        """Set how far it is."""

    async def commit(self, job_id: str, user_id: str) -> None:
        """What the job has reserved is charged: the service is to be told so."""

    async def give_back(self, job_id: str, user_id: str, *, every: bool) -> None:
        """Let go of what is surplus, or of every reservation: the service is to be told so."""

    async def alone(self, row: Reservation) -> bool:
        """Whether we gave the user nothing back since it was asked."""

    async def due(
        self, *, older_than_seconds: float, after: str, limit: int
    ) -> Sequence[Reservation]:
        """Of every owner, by key: what is to be told and was not, or is left of an ended job."""

    async def count_uncertain(self) -> int:
        """How many there are of which it is not known what came of them."""


class Wallet(Protocol):
    """Whoever keeps the credits of users; the ledger here is written by the steps themselves."""

    @property
    def elsewhere(self) -> bool:
        """Whether it is a service elsewhere: spaces do not pay then, nor is a low balance told."""

    async def cover(self, need: Need, price: Price) -> None:
        """Before a step that holds or charges: see that there is exactly so much for its job.

        Raises:
            InsufficientCredits: there is too little.
            Unavailable: it cannot be told now.
        """

    async def adjusted(self, tx: "Transaction", job_id: str, user_id: str) -> None:
        """In the step's transaction, after the hold was corrected."""

    async def settled(self, tx: "Transaction", job_id: str, user_id: str, charge: Charge) -> None:
        """In the step's transaction, after the job was charged."""

    async def ended(self, tx: "Transaction", job_id: str, user_id: str) -> None:
        """In the step's transaction, after what the job held was released."""

    async def tell(self, job_id: str, user_id: str) -> None:
        """After the transaction: pass on what it decided; what fails is passed on later."""

    async def heal(self) -> int:
        """Pass on what was not; returns how many could be."""


class OwnWallet:
    """Credits are kept by the ledger here: there is nothing to do beside it."""

    elsewhere = False

    async def cover(self, need: Need, price: Price) -> None:
        """Nothing: the hold itself decides."""

    async def adjusted(self, tx: "Transaction", job_id: str, user_id: str) -> None:
        """Nothing."""

    async def settled(self, tx: "Transaction", job_id: str, user_id: str, charge: Charge) -> None:
        """Nothing."""

    async def ended(self, tx: "Transaction", job_id: str, user_id: str) -> None:
        """Nothing."""

    async def tell(self, job_id: str, user_id: str) -> None:
        """Nothing."""

    async def heal(self) -> int:
        """Nothing."""
        return 0
