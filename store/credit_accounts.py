"""The account of a user or of a space: what it holds, what is added, what is charged at once.

Every change is one entry with a key of its own and one account row, in one transaction. The
account's row decides in the condition of one ``UPDATE`` whether a thing can be paid.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

from sqlalchemy import and_, bindparam, delete, exists, select, update

from contracts.credits import Balance, Charge, CreditEntry, CreditPage, EntryKind
from contracts.errors import Conflict, InsufficientCredits
from store.columns import Moment
from store.expressions import greatest, unless_there
from store.ledger import credit_accounts, credit_entries
from store.schema import space_members, spaces
from store.session import Session

STARTING_KEY: Final = "starting_credits"

_ACCOUNT: Final = credit_accounts.c
_OWN_ACCOUNT: Final = _ACCOUNT.account_id == bindparam("own_account")
_TOUCHED: Final[Mapping[Any, Any]] = {
    _ACCOUNT.updated_at: greatest(_ACCOUNT.updated_at, bindparam("now", type_=Moment))
}
_OWN_ENTRY: Final = and_(
    credit_entries.c.account_id == bindparam("own_account"),
    credit_entries.c.key == bindparam("own_key"),
)

_BALANCE: Final = select(credit_accounts).where(_OWN_ACCOUNT)
_OPEN_ACCOUNT: Final = unless_there(credit_accounts)
_ENTRY: Final = unless_there(credit_entries)
_AMOUNT: Final = select(credit_entries.c.amount).where(_OWN_ENTRY)
_FORGET_ENTRY: Final = delete(credit_entries).where(_OWN_ENTRY)

# What the account's row must allow, and what becomes of it.
_COVERS: Final = _ACCOUNT.balance - _ACCOUNT.held >= bindparam("more")
_SET_ASIDE: Final = (
    update(credit_accounts)
    .where(_OWN_ACCOUNT, _COVERS)
    .values({**_TOUCHED, _ACCOUNT.held: _ACCOUNT.held + bindparam("more")})
)
_PAYS_FOR: Final = exists().where(
    spaces.c.id == bindparam("own_account"),
    spaces.c.pays,
    space_members.c.space_id == spaces.c.id,
    space_members.c.user_id == bindparam("own_user"),
)
_SET_ASIDE_FOR: Final = _SET_ASIDE.where(_PAYS_FOR)
_WOULD_PAY: Final = select(_ACCOUNT.account_id).where(_OWN_ACCOUNT, _COVERS, _PAYS_FOR)
_CHARGE: Final = (
    update(credit_accounts)
    .where(
        _OWN_ACCOUNT,
        _ACCOUNT.balance - _ACCOUNT.held + bindparam("freed") >= bindparam("price"),
    )
    .values(
        {
            **_TOUCHED,
            _ACCOUNT.balance: _ACCOUNT.balance - bindparam("price"),
            _ACCOUNT.held: _ACCOUNT.held - bindparam("freed"),
            _ACCOUNT.total_spent: _ACCOUNT.total_spent + bindparam("price"),
        }
    )
    .returning(_ACCOUNT.balance)
)
_EARN: Final = (
    update(credit_accounts)
    .where(_OWN_ACCOUNT)
    .values(
        {
            **_TOUCHED,
            _ACCOUNT.balance: _ACCOUNT.balance + bindparam("more"),
            _ACCOUNT.total_earned: _ACCOUNT.total_earned + bindparam("more"),
        }
    )
)
_GIVE_BACK: Final = (
    update(credit_accounts)
    .where(_OWN_ACCOUNT, _ACCOUNT.total_spent >= bindparam("more"))
    .values(
        {
            **_TOUCHED,
            _ACCOUNT.balance: _ACCOUNT.balance + bindparam("more"),
            _ACCOUNT.total_spent: _ACCOUNT.total_spent - bindparam("more"),
        }
    )
)
_BLANK_ENTRY: Final[Mapping[str, Any]] = {
    "balance_delta": 0,
    "held_delta": 0,
    "operation": None,
    "description": None,
    "job_id": None,
}


class Payer(NamedTuple):
    """Whose account it is, and who acts.

    Attributes:
        user_id: who spends, or is given; none where a space is given something by nobody.
        space_id: whose account it is; none: the user's own.
    """

    user_id: str | None
    space_id: str | None = None

    @classmethod
    def of(cls, owner_id: str, *, space: bool) -> "Payer":
        """The account of a user or of a space, where nobody else acts."""
        return cls(None, owner_id) if space else cls(owner_id)

    @property
    def account(self) -> dict[str, str | None]:
        """The account, as statements ask for it."""
        return {"own_account": self.space_id or self.user_id}


class Accounts:
    """The accounts and their entries, inside a transaction.

    ``space`` says that the id is a space's; the user's otherwise.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def balance(self, owner_id: str, *, space: bool = False) -> Balance:
        """The account; a user seen for the first time gets the starting credits, a space nothing.

        A transaction that only reads tells what that user will find.
        """
        return await self._balance(Payer.of(owner_id, space=space))

    async def _balance(self, payer: Payer) -> Balance:
        row = await self._session.row(_BALANCE, payer.account)
        if row is None and not self._session.writes:
            starting = self._starting(payer)
            return Balance(credits=starting, total_earned=starting)
        if row is None:
            await self._open_account(payer)
            row = await self._session.row(_BALANCE, payer.account)
        if row is None:
            raise RuntimeError("An account that was opened is not there")
        return Balance(
            credits=row.balance,
            held=row.held,
            total_earned=row.total_earned,
            total_spent=row.total_spent,
        )

    def _starting(self, payer: Payer) -> int:
        return 0 if payer.space_id else self._session.starting_credits

    async def _open_account(self, payer: Payer) -> None:
        """Open the account unless it is there; two at once open it once."""
        now, starting = self._session.now, self._starting(payer)
        row = {
            "account_id": payer.space_id or payer.user_id,
            "is_space": payer.space_id is not None,
            "balance": starting,
            "held": 0,
            "total_earned": starting,
            "total_spent": 0,
            "created_at": now,
            "updated_at": now,
        }
        if await self._session.run(_OPEN_ACCOUNT[self._session.dialect], row) and starting:
            await self._entry(
                payer, STARTING_KEY, EntryKind.GRANT, starting, balance_delta=starting
            )

    async def grant(
        self, owner_id: str, reference: str, amount: int, description: str, *, space: bool = False
    ) -> Balance:
        """Add credits; the same reference again changes nothing. Returns the account after it.

        Raises:
            Conflict: ``reference_used``, the reference stands for another amount.
        """
        payer, key = Payer.of(owner_id, space=space), f"grant:{reference}"
        await self._balance(payer)
        if await self._first_time(payer, key, EntryKind.GRANT, amount, description):
            await self._session.run(_EARN, self._change(payer, amount))
        return await self._balance(payer)

    async def refund(
        self, owner_id: str, reference: str, amount: int, description: str, *, space: bool = False
    ) -> Balance:
        """Give back what was charged; the same reference again changes nothing.

        Returns:
            The account after it.

        Raises:
            Conflict: ``refund_exceeds_spent``, or ``reference_used`` for another amount; nothing
                is written.
        """
        payer, key = Payer.of(owner_id, space=space), f"refund:{reference}"
        await self._balance(payer)
        first = await self._first_time(payer, key, EntryKind.REFUND, amount, description)
        if first and not await self._session.run(_GIVE_BACK, self._change(payer, amount)):
            await self._session.run(_FORGET_ENTRY, {**payer.account, "own_key": key})
            spent = (await self._balance(payer)).total_spent
            raise Conflict(
                f"{spent} credits were spent: {amount} cannot be given back",
                code="refund_exceeds_spent",
            )
        return await self._balance(payer)

    def _change(self, payer: Payer, more: int) -> dict[str, Any]:
        return {**payer.account, "more": more, "now": self._session.now}

    async def _first_time(
        self, payer: Payer, key: str, kind: EntryKind, amount: int, description: str
    ) -> bool:
        """Write the entry of credits that come in, or see that it is there with that amount."""
        if await self._new_entry(
            payer, key, kind, amount, balance_delta=amount, description=description
        ):
            return True
        before = await self._session.value(_AMOUNT, {**payer.account, "own_key": key})
        if before != amount:
            message = f"This reference was used before, for {before} credits"
            raise Conflict(message, code="reference_used")
        return False

    async def consume(
        self,
        user_id: str,
        amount: int,
        *,
        operation: str,
        description: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> Charge:
        """Charge a user at once, for no job; every call is a charge of its own.

        Raises:
            InsufficientCredits: fewer are free; nothing is written.
        """
        payer = Payer(user_id)
        balance = await self._charge(payer, amount, 0)
        if balance is None:
            raise await self._short(payer, amount)
        key = f"consume:{uuid4()}"
        more = {} if metadata is None else {"metadata": dict(metadata)}
        await self._entry(
            payer,
            key,
            EntryKind.CONSUME,
            amount,
            balance_delta=-amount,
            operation=operation,
            description=description,
            **more,
        )
        return Charge(key=key, amount=amount, balance=balance)

    async def transactions(
        self, owner_id: str, *, limit: int, after: int | None = None
    ) -> CreditPage:
        """Entries of an account, newest first; ``after`` is the ``next`` of the page before."""
        statement = (
            select(credit_entries)
            .where(credit_entries.c.account_id == owner_id)
            .order_by(credit_entries.c.id.desc())
            .limit(limit + 1)
        )
        if after is not None:
            statement = statement.where(credit_entries.c.id < after)
        rows = await self._session.rows(statement)
        entries = tuple(CreditEntry.model_validate(row._asdict()) for row in rows[:limit])
        return CreditPage(entries=entries, next=entries[-1].id if len(rows) > limit else None)

    async def space_would_pay(self, space_id: str, user_id: str, amount: int) -> bool:
        """Whether the space pays for its members, the user is one, and so many are free there."""
        values = {"own_account": space_id, "own_user": user_id, "more": amount}
        return await self._session.value(_WOULD_PAY, values) is not None

    async def _set_aside(self, payer: Payer, more: int) -> bool:
        values = self._change(payer, more)
        if await self._session.run(_SET_ASIDE, values):
            return True
        # Whoever opened it, this transaction or another one at the same time, it is there now.
        await self._open_account(payer)
        return bool(await self._session.run(_SET_ASIDE, values))

    async def _set_aside_by_space(self, payer: Payer, more: int) -> bool:
        """Whether the space pays, by what is so in this moment."""
        values = {**self._change(payer, more), "own_user": payer.user_id}
        return bool(await self._session.run(_SET_ASIDE_FOR, values))

    async def _charge(self, payer: Payer, price: int, freed: int) -> int | None:
        """The balance after a charge; none when it cannot be paid."""
        values = {**payer.account, "price": price, "freed": freed, "now": self._session.now}
        balance = await self._session.value(_CHARGE, values)
        if balance is None:
            await self._open_account(payer)
            balance = await self._session.value(_CHARGE, values)
        return None if balance is None else int(balance)

    async def _short(self, payer: Payer, required: int, held: int = 0) -> InsufficientCredits:
        """The failure to raise; what the job itself holds counts as available to it."""
        return InsufficientCredits(required, (await self._balance(payer)).free + held)

    async def _entry(
        self, payer: Payer, key: str, kind: EntryKind, amount: int, **columns: Any
    ) -> None:
        """Write what has been done to the account.

        Raises:
            RuntimeError: the key has an entry: what was done must not stand, so nothing does.
        """
        if not await self._new_entry(payer, key, kind, amount, **columns):
            raise RuntimeError(f"The ledger has an entry of the key {key} already")

    async def _new_entry(
        self, payer: Payer, key: str, kind: EntryKind, amount: int, **columns: Any
    ) -> bool:
        """Whether it is new; a key has one entry."""
        job_id = columns.get("job_id")
        row = {
            **_BLANK_ENTRY,
            **columns,
            "account_id": payer.space_id or payer.user_id,
            "user_id": payer.user_id,
            "key": key,
            "kind": kind,
            "amount": amount,
            "step": None if job_id is None else key.removeprefix(f"{job_id}:"),
            "created_at": self._session.now,
        }
        return bool(await self._session.run(_ENTRY[self._session.dialect], row))
