"""Who signs in with a token of a vendor: the vendor says whether it is one, its bearer stays.

Nothing of a token is kept but, for minutes and in memory, a keyed hash beside the vendor's answer.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final

from api.ports import VendorTokens
from contracts.errors import Unauthenticated, Unavailable
from contracts.sessions import LONGEST_VENDOR_TOKEN, SESSION_ISSUER, Session
from runtime.sessions import Sessions
from runtime.tokens import INVALID, TokenVerifier

MOST_KEPT: Final = 4096
"""Answers that are remembered; the oldest goes first."""

MOST_AT_ONCE: Final = 16
"""Questions to the vendor at a time: strangers may ask us, and must not make us a flood."""

WAIT_SECONDS: Final = 5.0
_FORM: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_VENDOR_TOKEN}}}")


class SignIn:
    """Gives sessions for tokens, and new sessions for old ones.

    Args:
        vendor: says whether a token is one.
        keep_seconds: how long it is not asked again about the same one.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        sessions: Sessions,
        vendor: VendorTokens,
        *,
        keep_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._vendor = vendor
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._answers: dict[bytes, tuple[float, bool]] = {}
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    def user_id(self, token: str) -> str:
        """Whose a token is, if it is one.

        Raises:
            Unauthenticated: by its form it is none.
        """
        if not _FORM.fullmatch(token):
            raise Unauthenticated(INVALID)
        return self._sessions.user_id(token)

    async def verify(self, token: str) -> Session:
        """A session for the bearer of a token.

        Raises:
            Unauthenticated: the vendor says it is none.
            Unavailable: the vendor does not say; nobody is turned away for that.
        """
        user_id = self.user_id(token)
        if not await self._believed(token):
            raise Unauthenticated(INVALID)
        return self._sessions.sign(user_id)

    async def believes(self, token: str) -> bool:
        """Whether a token is one, by its form and by the vendor's word.

        Raises:
            Unavailable: the vendor does not say.
        """
        return bool(_FORM.fullmatch(token)) and await self._believed(token)

    async def refresh(self, token: str, verifier: TokenVerifier) -> Session:
        """A new session for one that is still good.

        Raises:
            Unauthenticated: it is none, or no more.
        """
        claims = await verifier.verify(token)
        if claims.issuer != SESSION_ISSUER:
            raise Unauthenticated(INVALID)
        return self._sessions.sign(claims.user_id)

    async def _believed(self, token: str) -> bool:
        digest = self._sessions.digest(token)
        until, believed = self._answers.get(digest, (0.0, False))
        if self._clock() < until:
            return believed
        believed = await self._asked(token)
        self._answers.pop(digest, None)
        while len(self._answers) >= MOST_KEPT:
            del self._answers[next(iter(self._answers))]
        self._answers[digest] = (self._clock() + self._keep_seconds, believed)
        return believed

    async def _asked(self, token: str) -> bool:
        try:
            await asyncio.wait_for(self._turns.acquire(), WAIT_SECONDS)
        except TimeoutError:
            message = "Too many tokens are being asked about"
            raise Unavailable(message, retry_after=WAIT_SECONDS) from None
        try:
            return await self._vendor.believed(token)
        finally:
            self._turns.release()
