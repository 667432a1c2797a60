"""The ledger as its promises say, without a database."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Final, NamedTuple

SHORT: Final = "short"
REFUSED: Final = "refused"
DONE: Final = "done"
USERS: Final = ("anna", "ben")
SPACE: Final = "space"
STARTING: Final = 150
GIVEN: Final = 100
"""To the space, which pays at the beginning."""

JOBS: Final[Mapping[str, tuple[str, bool]]] = {
    "a": ("anna", True),
    "b": ("anna", False),
    "c": ("ben", True),
    "d": ("ben", True),
}
"""Whose each is, and whether it was made in the space."""


class Do(NamedTuple):
    """One thing that is done to the ledger.

    Attributes:
        what: name of the method of the model.
        about: a job, a user, or an account.
        amount: credits; 0 or 1 for what is allowed or not.
        key: that makes it once.
    """

    what: str
    about: str
    amount: int
    key: str


@dataclass
class Account:
    """What one has."""

    balance: int
    spent: int = 0
    held: int = 0

    @property
    def free(self) -> int:
        return self.balance - self.held


@dataclass
class Hold:
    """What is held for a job, and by whom."""

    amount: int
    payer: str
    adjusted_by: str = ""


@dataclass
class Model:
    """Every account, every hold, every charge, every member."""

    accounts: dict[str, Account] = field(
        default_factory=lambda: {
            SPACE: Account(GIVEN),
            **{user: Account(STARTING) for user in USERS},
        }
    )
    holds: dict[str, Hold] = field(default_factory=dict)
    charged: dict[str, tuple[int, str]] = field(default_factory=dict)
    members: set[str] = field(default_factory=lambda: set(USERS))
    pays: bool = True
    keys: set[str] = field(default_factory=set)

    def do(self, order: Do) -> Any:
        """What is answered."""
        method: Callable[[Do], Any] = getattr(self, order.what)
        return method(order)

    def hold(self, order: Do) -> Any:
        job, amount = order.about, order.amount
        if job in self.holds or order.key in self.keys:
            return self.holds[job].amount if job in self.holds else 0
        user, in_space = JOBS[job]
        by_space = in_space and self.pays and user in self.members
        payer = SPACE if by_space and self.accounts[SPACE].free >= amount else user
        if self.accounts[payer].free < amount:
            return SHORT, amount, self.accounts[payer].free
        self.accounts[payer].held += amount
        self.holds[job] = Hold(amount, payer)
        self.keys.add(order.key)
        return amount

    def adjust(self, order: Do) -> Any:
        hold = self.holds.get(order.about)
        if hold is None:
            return REFUSED
        if hold.adjusted_by == order.key:
            return hold.amount
        account, more = self.accounts[hold.payer], order.amount - hold.amount
        if account.free < more:
            return SHORT, order.amount, account.free + hold.amount
        account.held += more
        hold.amount, hold.adjusted_by = order.amount, order.key
        return hold.amount

    def settle(self, order: Do) -> Any:
        job, amount = order.about, order.amount
        if job in self.charged:
            self.release(order)
            return 0
        hold = self.holds.get(job, Hold(0, JOBS[job][0]))
        account = self.accounts[hold.payer]
        if account.free + hold.amount < amount:
            return SHORT, amount, account.free + hold.amount
        account.held -= hold.amount
        account.balance -= amount
        account.spent += amount
        self.charged[job] = amount, hold.payer
        self.holds.pop(job, None)
        return amount

    def release(self, order: Do) -> Any:
        hold = self.holds.pop(order.about, None)
        if hold is None:
            return 0
        self.accounts[hold.payer].held -= hold.amount
        return hold.amount

    def grant(self, order: Do) -> Any:
        account = self.accounts[order.about]
        if order.key not in self.keys:
            account.balance += order.amount
            self.keys.add(order.key)
        return account.balance

    def refund(self, order: Do) -> Any:
        account = self.accounts[order.about]
        if order.key in self.keys:
            return account.balance
        if account.spent < order.amount:
            return REFUSED
        account.balance += order.amount
        account.spent -= order.amount
        self.keys.add(order.key)
        return account.balance

    def consume(self, order: Do) -> Any:
        account = self.accounts[order.about]
        if account.free < order.amount:
            return SHORT, order.amount, account.free
        account.balance -= order.amount
        account.spent += order.amount
        return order.amount

    def let_pay(self, order: Do) -> Any:
        self.pays = bool(order.amount)
        return DONE

    def belong(self, order: Do) -> Any:
        """Join or leave."""
        if order.amount:
            self.members.add(order.about)
        else:
            self.members.discard(order.about)
        return DONE

    def told(self) -> dict[str, Any]:
        """All that can be seen from outside."""
        seen: dict[str, Any] = {
            name: (account.balance, account.held, account.spent)
            for name, account in self.accounts.items()
        }
        for job in JOBS:
            hold, charge = self.holds.get(job), self.charged.get(job)
            payer = charge[1] if charge else hold.payer if hold else None
            seen[job] = (
                hold.amount if hold else 0, charge[0] if charge else 0, payer == SPACE,
            )  # fmt: skip
        return seen


def explained(model: Model, orders: list[Do], answers: list[Any], seen: dict[str, Any]) -> Model:
    """The model after all of it in some order, one that explains the answers and what is seen."""
    tried = []
    for order in permutations(range(len(orders))):
        after = deepcopy(model)
        given = {number: after.do(orders[number]) for number in order}
        if [given[number] for number in range(len(orders))] == answers and after.told() == seen:
            return after
        tried.append((given, after.told()))
    raise AssertionError(f"No order of {orders} answers {answers} and leaves {seen}, but {tried}")
