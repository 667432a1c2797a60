"""A token of a vendor that came with a text: its user's own, to speak in place of our key.

The vendor is asked about it before anything is written. Then it stands sealed beside the job, in
the same transaction, and nowhere else: not in the job's request, nor beside an ``Idempotency-Key``.
"""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from api.dependencies import Services
from api.sign_in import SignIn
from contracts import own_tokens
from contracts.errors import Conflict, InvalidInput, Unauthenticated
from runtime.seals import Seals

if TYPE_CHECKING:
    from store.database import Transaction


class OwnTokens:
    """What is done with such tokens, where they are taken.

    Args:
        sign_in: asks the vendor, as when somebody signs in.
        seals: with a key the worker has too.
    """

    def __init__(self, sign_in: SignIn, seals: Seals) -> None:
        self._sign_in = sign_in
        self._seals = seals

    async def prove(self, token: SecretStr) -> None:
        """See that the vendor takes it; it need not be the one the user signed in with.

        Raises:
            Unauthenticated: ``vendor_token_refused``.
            Unavailable: the vendor does not say.
        """
        if not await self._sign_in.believes(token.get_secret_value()):
            raise Unauthenticated("The vendor refuses openai_token", code=own_tokens.REFUSED)

    def sealed(self, token: SecretStr, job_id: str) -> str:
        """As it may be stored, for this job alone."""
        return self._seals.seal(token.get_secret_value(), job_id)


class OwnToken:
    """The token of one request."""

    def __init__(self, services: Services, token: SecretStr) -> None:
        self._services = services
        self._token = token
        self._proven: OwnTokens | None = None

    async def prove(self) -> None:
        """Ask the vendor; only where a job needs the token: a file that is there does not.

        Raises:
            InvalidInput: ``own_token_not_taken``: none is, here.
            Unauthenticated: ``vendor_token_refused``.
            Unavailable: the vendor does not say.
        """
        taken = self._services.own_tokens
        if taken is None:
            why = self._services.settings.own_tokens_closed or "nobody knows such tokens"
            raise InvalidInput(f"No openai_token is taken here: {why}", code=own_tokens.NOT_TAKEN)
        await taken.prove(self._token)
        self._proven = taken

    async def keep(self, tx: "Transaction", job_id: str, user_id: str) -> None:
        """Keep it for a job that is written in this very transaction.

        Raises:
            Conflict: it was not proven: there was a file or a job, and now there is none.
        """
        if self._proven is None:
            raise Conflict("What there was of this text has just ended: ask again", retry_after=1)
        await tx.secrets.keep(job_id, user_id, self._proven.sealed(self._token, job_id))
