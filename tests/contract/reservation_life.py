"""A stored heap of reservations elsewhere, and everything that is done with them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Table

from contracts.reservations import RemoteBalance, Reservation, ReservationState
from store.reservation_tables import remote_reservations

WITHOUT_OWNER: Final = {
    "what is left of reservations": "remote_reservations.deposited > 0 OR",
    "uncertain reservations": "remote_reservations.state = 'uncertain' AND",
}
BEFORE: Final = RemoteBalance(balance=9, total_earned=9, total_spent=0)


def reservation_rows(
    number: int, job: str, owner: str, at: datetime
) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One for a job; every fiftieth is not over, every two hundredth uncertain."""
    state = ReservationState.COMMITTED
    if number % 50 == 0:
        state = ReservationState.COMMITTING
    if number % 200 == 0:
        state = ReservationState.UNCERTAIN
    yield remote_reservations, {
        "key": f"{job}:hold~0", "user_id": owner, "job_id": job, "round": 1, "amount": 2,
        "state": state, "reservation_id": "r", "balance_before": 9, "earned_before": 9,
        "spent_before": 0, "deposited": 0, "asked_at": at, "updated_at": at,
    }  # fmt: skip


async def live_through_reservations(tx: Any, job: str, user: str) -> None:
    """Every statement of ``tx.reservations``."""
    row = Reservation(
        key=f"{job}:x", user_id=user, job_id=job, round=1, amount=2,
        state=ReservationState.ASKED, before=BEFORE, asked_at=datetime.now(UTC),
    )  # fmt: skip
    other = row.model_copy(update={"key": f"{job}:y"})
    lost = row.model_copy(update={"key": f"{job}:z"})
    for each in (row, other, lost):
        assert await tx.reservations.ask(each)
    assert await tx.reservations.alone(row)
    await tx.reservations.forget(other)
    assert await tx.reservations.answered(row, "r1", wanted=True)
    await tx.reservations.mark(lost, ReservationState.UNCERTAIN)
    await tx.reservations.uncertain(20)
    assert await tx.reservations.count_uncertain()
    assert await tx.reservations.find_out(lost, "r2")
    await tx.reservations.of_job(job, user)
    await tx.reservations.give_back(job, user, every=True)
    assert await tx.reservations.ask(other)
    assert await tx.reservations.answered(other, "r3", wanted=False)
    await tx.reservations.commit(job, user)
    await tx.reservations.due(older_than_seconds=60, after="", limit=20)
