"""Where users can be written to: the address in a token, kept once for whoever has none kept.

Written in the background, once per user and process: no request waits for it or fails by it.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from api.background import Background
from contracts.errors import Failure
from contracts.notifications import check_address

if TYPE_CHECKING:
    from store.database import Database

WAITING: Final = 1000
"""Addresses that wait to be written; further ones come with a later request of their users."""

KNOWN: Final = 10_000
"""Users of whom it is remembered that there is nothing to write; then it begins anew."""

log = structlog.get_logger()


class Contacts(Background):
    """Keeps addresses of users who come with one; what is not written at its end comes again."""

    def __init__(self, database: "Database") -> None:
        super().__init__("contacts")
        self._database = database
        self._known: set[str] = set()
        self._waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue(WAITING)

    def note(self, user_id: str, email: str | None) -> None:
        """Take note of the address a user came with; neither waits nor raises."""
        if email is None or user_id in self._known or self._waiting.full():
            return
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known.add(user_id)
        try:
            self._waiting.put_nowait((user_id, check_address(email)))
        except ValueError:
            return  # what an issuer calls an address, and we could not write to

    async def _work(self) -> None:
        while True:
            user_id, email = await self._waiting.get()
            try:
                async with self._database.write() as tx:
                    await tx.profiles.learn_email(user_id, email)
            except Failure as failure:
                self._known.discard(user_id)
                log.warning("contact.not_kept", code=failure.code)
