"""Credits of a service elsewhere that stand on an account here while a job has them reserved."""

from typing import Final

from sqlalchemy import bindparam, update

from contracts.credits import EntryKind
from store.columns import Moment
from store.credit_accounts import Accounts, Payer
from store.expressions import greatest
from store.ledger import credit_accounts

_ACCOUNT: Final = credit_accounts.c
_TAKE_BACK: Final = (
    update(credit_accounts)
    .where(
        _ACCOUNT.account_id == bindparam("own_account"),
        _ACCOUNT.balance - _ACCOUNT.held >= bindparam("more"),
    )
    .values(
        {
            _ACCOUNT.balance: _ACCOUNT.balance - bindparam("more"),
            _ACCOUNT.total_earned: _ACCOUNT.total_earned - bindparam("more"),
            _ACCOUNT.updated_at: greatest(_ACCOUNT.updated_at, bindparam("now", type_=Moment)),
        }
    )
)


class Escrow(Accounts):
    """Puts them on the account and takes them off it, inside a transaction."""

    async def deposit(self, user_id: str, key: str, amount: int) -> None:
        """Put what was reserved on the user's account; once for a key."""
        await self.grant(user_id, f"reservation:{key}", amount, "Reserved elsewhere")

    async def take_back(self, user_id: str, key: str, amount: int) -> bool:
        """Take off it what is not reserved any more; false while a job here still holds it."""
        payer = Payer(user_id)
        values = {**payer.account, "more": amount, "now": self._session.now}
        if not await self._session.run(_TAKE_BACK, values):
            return False
        await self._entry(
            payer,
            f"return:{key}",
            EntryKind.RETURN,
            amount,
            balance_delta=-amount,
            description="Given back elsewhere",
        )
        return True
