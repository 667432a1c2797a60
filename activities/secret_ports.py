"""Secrets users gave for one job, as the activities need them."""

from typing import Protocol


class Secrets(Protocol):
    """The secrets, inside a transaction; ``store/secrets.py`` says what each method raises."""

    async def find(self, job_id: str, user_id: str) -> str | None:
        """The secret, sealed; none when the job has ended, or never had one."""

    async def forget(self, job_id: str, user_id: str) -> None:
        """Remove it."""

    async def forget_ended(self) -> int:
        """Remove what jobs that have ended left, of every owner; returns how many."""
