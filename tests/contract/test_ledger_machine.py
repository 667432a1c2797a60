"""The ledger under everything at once: several at work, cut connections, spaces, lost answers."""

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from contracts import ids
from contracts.errors import Conflict, InsufficientCredits, Unavailable
from contracts.invariants import Invariant
from contracts.jobs import JobState, Step
from store import ledger, schema
from store.database import Database, Transaction
from store.invariants import violations
from tests.contract.cut_connections import cut
from tests.contract.ledger_model import (
    DONE,
    GIVEN,
    JOBS,
    REFUSED,
    SHORT,
    SPACE,
    STARTING,
    USERS,
    Do,
    Model,
    explained,
)

AT_ONCE = 3
ACCOUNTS = st.sampled_from((*USERS, SPACE))
AMOUNTS = st.integers(0, 90)
AGAIN = st.integers(1, 3)
"""Of holds, grants and refunds: a key that may have come before."""

ORDERS = st.one_of(
    st.tuples(st.sampled_from(["hold", "adjust", "settle", "release"]), st.sampled_from([*JOBS])),
    st.tuples(st.just("hold"), st.sampled_from([*JOBS])),
    st.tuples(st.sampled_from(["grant", "refund"]), ACCOUNTS),
    st.tuples(st.sampled_from(["consume", "belong"]), st.sampled_from(USERS)),
    st.tuples(st.just("let_pay"), st.just(SPACE)),
)
WANTED = st.tuples(ORDERS, AMOUNTS, AGAIN, st.booleans())
CUTS = st.one_of(st.none(), st.integers(0, 8))
ONCE_PER_ROUND = {"hold", "grant", "refund"}
WRITTEN = (
    *(ledger.credit_entries, ledger.credit_holds, ledger.credit_accounts),
    *(schema.jobs, schema.spaces),
)
BROKEN = {Invariant.LEDGER, Invariant.CHARGED_ONCE}


class Ledger(RuleBasedStateMachine):
    """Two users, a space and four jobs; the model says what they must come to."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    each_step: ClassVar[bool] = False

    @initialize()
    def begin(self) -> None:
        self.model, self.count = Model(), 0
        self.named = {name: str(uuid4()) for name in (*USERS, SPACE, *JOBS)}
        self.owner = str(uuid4())
        self.runner.run(self.plant())

    async def plant(self) -> None:
        async with self.database.write() as tx:
            for table in WRITTEN:
                await tx.session.run(table.delete())
            space = self.named[SPACE]
            await tx.spaces.create(space, self.owner, "Team", None)
            await tx.spaces.let_pay(space, self.owner, pays=True)
            await tx.credits.grant(space, "first", GIVEN, "Top-up", space=True)
            for user in USERS:
                await tx.spaces.join(space, self.named[user])
            for job, (user, _) in JOBS.items():
                job_id, user_id = self.job(job), self.named[user]
                await tx.jobs.create(
                    job_id, user_id, kind=ids.MEMO, subject_id=self.named[job], request={},
                    deadline_seconds=3600,
                )  # fmt: skip
                await tx.jobs.move(job_id, user_id, JobState.RUNNING, step=Step.PROBE)

    def job(self, name: str) -> str:
        return ids.memo_job(self.named[name])

    @rule(wanted=st.lists(WANTED, min_size=1, max_size=AT_ONCE), cut_before=CUTS)
    def at_once(self, wanted: list[Any], cut_before: int | None) -> None:
        orders = [self.order(*one) for one in wanted]
        answers = self.runner.run(self.done(orders, cut_before))
        # Whose connection was cut has done nothing, and may say so.
        heard = [number for number, answer in enumerate(answers) if answer is not None]
        self.explain([orders[n] for n in heard], [answers[n] for n in heard])

    @rule(wanted=WANTED)
    def whose_answer_was_lost(self, wanted: Any) -> None:
        order = self.order(*wanted)
        self.explain([order], self.runner.run(self.done([order], None)))
        if order.what != "consume":  # has no key of its own: the request's keeps it once
            again = self.runner.run(self.done([order], None))
            self.explain([order], again)

    def order(self, about: tuple[str, str], amount: int, again: int, yes: bool) -> Do:
        what, name = about
        self.count += 1
        number = again if what in ONCE_PER_ROUND else f"n{self.count}"
        if what in {"belong", "let_pay"}:
            amount = int(yes)
        if what in {"grant", "refund"}:
            amount = 10 * again
        key = f"{self.job(name) if name in JOBS else name}:{what}.{number}"
        return Do(
            what, name, amount, ids.step_key(self.job(name), what) if what == "settle" else key
        )

    def explain(self, orders: list[Do], answers: list[Any]) -> None:
        seen = self.runner.run(self.seen())
        self.model = explained(self.model, orders, answers, seen)

    async def done(self, orders: list[Do], cut_before: int | None) -> list[Any]:
        with cut(self.database, cut_before):
            return await asyncio.gather(*(self.answer(order) for order in orders))

    async def answer(self, order: Do) -> Any:
        """What it is answered; none when the database went away under it."""
        try:
            async with self.database.write() as tx:
                try:
                    return await self.do(tx, order)
                except InsufficientCredits as short:
                    return SHORT, short.required, short.available
                except Conflict:
                    return REFUSED
        except Unavailable:
            return None

    async def do(self, tx: Transaction, order: Do) -> Any:
        if order.about in JOBS:
            return await self.do_job(tx, order)
        account, space, own = self.named[order.about], order.about == SPACE, tx.credits
        match order.what:
            case "grant":
                return (await own.grant(account, order.key, order.amount, "?", space=space)).credits
            case "refund":
                found = await own.refund(account, order.key, order.amount, "?", space=space)
                return found.credits
            case "consume":
                return (
                    await own.consume(account, order.amount, operation="t", description="d")
                ).amount
            case "let_pay":
                await tx.spaces.let_pay(account, self.owner, pays=bool(order.amount))
            case _ if order.amount:
                await tx.spaces.join(self.named[SPACE], account)
            case _:
                await tx.spaces.leave(self.named[SPACE], account)
        return DONE

    async def do_job(self, tx: Transaction, order: Do) -> Any:
        user, in_space = JOBS[order.about]
        job, user_id = self.job(order.about), self.named[user]
        match order.what:
            case "hold":
                space_id = self.named[SPACE] if in_space else None
                return await tx.credits.hold(
                    user_id, job, order.key, order.amount, space_id=space_id
                )
            case "adjust":
                return await tx.credits.adjust_hold(user_id, job, order.key, order.amount)
            case "settle":
                charge = await tx.credits.settle(
                    user_id, job, order.key, order.amount, operation="t"
                )
                return charge.amount
            case _:
                return await tx.credits.release(user_id, job, order.key)

    async def seen(self) -> dict[str, Any]:
        async with self.database.read() as tx:
            accounts = {
                name: await tx.credits.balance(self.named[name], space=name == SPACE)
                for name in (SPACE, *USERS)
            }
            paid = {
                job: await tx.credits.of_job(self.named[user], self.job(job))
                for job, (user, _) in JOBS.items()
            }
        balances = {
            name: (had.credits, had.held, had.total_spent) for name, had in accounts.items()
        }
        return balances | {
            job: (had.held, had.charged, had.space_id is not None) for job, had in paid.items()
        }

    @invariant()
    def it_adds_up(self) -> None:
        if self.each_step:
            self.adds_up()

    def teardown(self) -> None:
        self.adds_up()

    def adds_up(self) -> None:
        async def broken() -> list[Any]:
            return [v async for v in violations(self.database) if v.invariant in BROKEN]

        assert self.runner.run(broken()) == []


@pytest.fixture
def machine(url: str) -> Iterator[type[Ledger]]:
    with asyncio.Runner() as runner:
        database = Database(url, starting_credits=STARTING)

        class Here(Ledger):
            pass

        Here.runner, Here.database = runner, database
        yield Here
        runner.run(database.close())


def run(machine: type[Ledger], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_is_done_at_once_and_wherever_it_is_cut_the_ledger_does_what_its_model_does(
    machine: type[Ledger],
) -> None:
    run(machine, examples=10, steps=10)


@pytest.mark.slow
def test_and_so_it_does_for_long(machine: type[Ledger]) -> None:
    machine.each_step = True
    run(machine, examples=200, steps=30)
