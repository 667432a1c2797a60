"""Whatever is done to the ledger in whatever order, it adds up, and does what its model does."""

from dataclasses import dataclass, field
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import Conflict, InsufficientCredits
from store.database import Database
from store.invariants import violations

JOBS = st.sampled_from(["a", "b", "c"])
AMOUNTS = st.integers(0, 90)
ROUNDS = st.integers(1, 3)
STEPS = st.tuples(
    st.sampled_from(["hold", "adjust", "settle", "release", "grant", "refund", "consume"]),
    JOBS,
    AMOUNTS,
    ROUNDS,
)
REPEATED = {"hold", "grant", "refund"}


@dataclass
class Model:
    """One user's credits, as the promises say."""

    balance: int = 150
    spent: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    charged: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)

    @property
    def free(self) -> int:
        return self.balance - sum(self.holds.values())

    def do(self, step: str, job: str, amount: int, key: str) -> None:
        getattr(self, step)(job, amount, key)

    def hold(self, job: str, amount: int, key: str) -> None:
        if job not in self.holds and key not in self.keys and amount <= self.free:
            self.keys.add(key)
            self.holds[job] = amount

    def adjust(self, job: str, amount: int, key: str) -> None:
        if job in self.holds and key not in self.keys and amount - self.holds[job] <= self.free:
            self.keys.add(key)
            self.holds[job] = amount

    def settle(self, job: str, amount: int, _: str) -> None:
        if job in self.charged:
            self.holds.pop(job, None)
        elif amount <= self.free + self.holds.get(job, 0):
            self.holds.pop(job, None)
            self.charged[job] = amount
            self.consume(job, amount, "")

    def release(self, job: str, _: int, __: str) -> None:
        self.holds.pop(job, None)

    def grant(self, _: str, amount: int, key: str) -> None:
        if key not in self.keys:
            self.keys.add(key)
            self.balance += amount

    def refund(self, _: str, amount: int, key: str) -> None:
        if key not in self.keys and amount <= self.spent:
            self.keys.add(key)
            self.balance += amount
            self.spent -= amount

    def consume(self, _: str, amount: int, __: str) -> None:
        if amount <= self.free:
            self.balance -= amount
            self.spent += amount


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=14))
async def test_the_ledger_does_what_its_model_does(
    database: Database, steps: list[tuple[str, str, int, int]]
) -> None:
    user, model = str(uuid4()), Model()
    for number, (step, letter, amount, attempt) in enumerate(steps):
        job = f"{user}-{letter}"
        # Holds, grants and refunds may come again with a key of before; what ends or corrects a
        # hold has one key per round of a job, and there are as many rounds as it takes.
        key = f"{job}:{step}.{attempt}" if step in REPEATED else f"{job}:{step}.n{number}"
        model.do(step, job, amount, key)
        async with database.write() as tx:
            try:
                match step:
                    case "hold":
                        await tx.credits.hold(user, job, key, amount)
                    case "adjust":
                        await tx.credits.adjust_hold(user, job, key, amount)
                    case "settle":
                        await tx.credits.settle(user, job, key, amount, operation="t")
                    case "release":
                        await tx.credits.release(user, job, key)
                    case "refund":
                        await tx.credits.refund(user, key, amount, "Sorry")
                    case "consume":
                        await tx.credits.consume(user, amount, operation="t", description="d")
                    case _:
                        await tx.credits.grant(user, key, amount, "Top-up")
            except (InsufficientCredits, Conflict):
                continue
    async with database.read() as tx:
        balance = await tx.credits.balance(user)
        jobs = {job: await tx.credits.of_job(user, f"{user}-{job}") for job in "abc"}
    assert (balance.credits, balance.free) == (model.balance, model.free)
    assert balance.total_spent == model.spent
    for letter, paid in jobs.items():
        job = f"{user}-{letter}"
        assert paid.held == model.holds.get(job, 0)
        assert paid.charged == model.charged.get(job, 0)
    assert [v async for v in violations(database) if v.invariant == "ledger"] == []
