"""Everything that is done with the account of a space."""

from typing import Any, Final
from uuid import uuid4

WITHOUT_OWNER: Final = {
    "whom a space belongs to": "SELECT spaces.owner_id",
    "what its owner decides": "spaces.owner_id = ",
}


async def live_through_spaces(tx: Any, user: str) -> None:
    """Every statement of a space that pays, and of one that does not."""
    space, job = str(uuid4()), f"memo-{uuid4()}"
    await tx.spaces.create(space, user, "Team", None)
    await tx.spaces.let_pay(space, user, pays=True)
    await tx.spaces.pays(space, user)
    await tx.spaces.owner(space)
    await tx.credits.grant(space, "order 1", 9, "Top-up", space=True)
    await tx.credits.space_would_pay(space, user, 3)
    await tx.credits.hold(user, job, f"{job}:hold", 3, space_id=space)
    await tx.credits.settle(user, job, f"{job}:settle", 3, operation="transcription")
    await tx.credits.hold(user, job, f"{job}:hold.2", 3, space_id=space)
    await tx.credits.settle(user, job, f"{job}:settle", 3, operation="transcription")
    await tx.credits.of_job(user, job)
    await tx.credits.refund(space, "case 1", 1, "Sorry", space=True)
    await tx.credits.balance(space, space=True)
    await tx.credits.transactions(space, limit=20)
    await tx.spaces.leave(space, user)
