"""Whose an API key is, and that it was used.

A key is looked up with every request, by its digest and nothing else: one that is revoked is
worthless from the next request on, whichever process serves it. What is not a key of this
installation by its form alone costs no query. That it was used is written down beside the requests,
once a minute at most, and its failing harms nobody.
"""

import asyncio
from contextlib import suppress
from contextvars import Context
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import structlog

from contracts.api_keys import ApiKey, DrawnKey, Environment, draw_key, kept_of
from contracts.errors import Failure, Rejected, Unauthenticated
from runtime.seals import Seals
from store.api_keys import USED_SECONDS
from store.database import Database, utc_now

INVALID: Final = "Invalid or expired token"
"""Also of a key: who shows what is not believed is not told why, nor what it was taken for."""

PAUSE_SECONDS: Final = 1.0
"""How long uses are gathered before they are written in one transaction."""

log = structlog.get_logger()


class KeyRing:
    """Draws and recognises the API keys of this installation.

    Args:
        environment: what its keys begin with; others are not even looked up.
        seals: for a key that has to be shown again to a client that missed the answer.
    """

    def __init__(self, database: Database, environment: Environment, seals: Seals) -> None:
        self._database = database
        self._environment = environment
        self._seals = seals
        self.uses = KeyUses(database)

    async def __aenter__(self) -> Self:
        """Nothing waits for the database."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the last uses."""
        await self.uses.aclose()

    async def find(self, key: str) -> ApiKey:
        """The key somebody shows.

        Raises:
            Unauthenticated: no key, or not one that works: nobody is told which.
            Unavailable: the database does not answer.
        """
        kept = kept_of(key)
        if kept is None or kept.prefix != self._environment.prefix:
            raise Unauthenticated(INVALID)
        async with self._database.read() as tx:
            found = await tx.api_keys.shown(kept.digest)
        if found is None:
            raise Unauthenticated(INVALID)
        self.uses.note(found)
        return found

    def draw(self, user_id: str) -> tuple[DrawnKey, str]:
        """What is kept of a new key, and the key itself, sealed."""
        key, kept = draw_key(self._environment)
        return kept, self._seals.seal(key, user_id)

    def unseal(self, sealed: str, user_id: str) -> str | None:
        """The key again; none where its seal cannot be opened any more."""
        try:
            return self._seals.open(sealed, user_id)
        except Rejected:
            return None


class KeyUses:
    """Writes down which keys are in use, in the background.

    Args:
        pause: seconds between the first use and the writing of all that came meanwhile.
    """

    def __init__(self, database: Database, pause: float = PAUSE_SECONDS) -> None:
        self._database = database
        self._pause = pause
        self._noted: dict[str, ApiKey] = {}
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def note(self, key: ApiKey) -> None:
        """A key was used just now."""
        if key.last_used_at is not None and _age(key.last_used_at) < USED_SECONDS:
            return
        self._noted[key.id] = key
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(
                # Of many users: what is logged names none of them.
                self._write_later(),
                name="uses of API keys",
                context=Context(),
            )

    async def flush(self) -> None:
        """Write what was noted; what cannot be written now is told to the log and let go."""
        noted, self._noted = self._noted, {}
        try:
            if noted:
                async with self._database.write() as tx:
                    for key in noted.values():
                        await tx.api_keys.used(key.id, key.user_id)
        except Failure as failure:
            log.warning("keys.uses_not_written", keys=len(noted), error=failure.code)

    async def aclose(self) -> None:
        """Write what is left, at once."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    async def _write_later(self) -> None:
        while self._noted:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._pause)
            await self.flush()


def _age(moment: datetime) -> float:
    return (utc_now() - moment).total_seconds()
