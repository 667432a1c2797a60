"""Tokens of users that speak for them: opened for one call each, and kept nowhere."""

from collections.abc import Callable

from pydantic import SecretStr

from activities.ports import Transaction
from contracts import own_tokens
from contracts.errors import ProviderOut
from contracts.speech_job import SpeakPart, SpeechJob


class OwnTokens:
    """Finds the token of a job.

    Args:
        open_seal: makes a token of what is sealed, and of its job's id; none: no user's own token
            speaks on this worker.
    """

    def __init__(self, open_seal: Callable[[str, str], str] | None = None) -> None:
        self._open_seal = open_seal

    async def of(self, tx: Transaction, order: SpeakPart) -> SecretStr | None:
        """What the part is to be spoken with; none: with our own key.

        Raises:
            ProviderOut: ``vendor_token_gone``, or no user's own token speaks here.
            Rejected: ``seal_broken``.
        """
        if not order.voice.own_token:
            return None
        if self._open_seal is None:
            message = "No user's own token speaks on this worker"
            raise ProviderOut(message, code=own_tokens.NOT_TAKEN)
        sealed = await tx.secrets.find(order.job.job_id, order.job.user_id)
        if sealed is None:
            raise ProviderOut("The token of this text is gone", code=own_tokens.GONE)
        return SecretStr(self._open_seal(sealed, order.job.job_id))


async def forget_token(tx: Transaction, job: SpeechJob) -> None:
    """In the transaction that ends a job: its token goes too."""
    if job.own_token:
        await tx.secrets.forget(job.job_id, job.user_id)
