"""What is done to an account at once: grants, refunds, charges for no job."""

import asyncio

import pytest

from contracts.credits import Charge, EntryKind
from contracts.errors import Conflict, InsufficientCredits
from store.database import Database
from store.invariants import violations


async def kinds(database: Database, user: str) -> list[tuple[EntryKind, int, int]]:
    async with database.read() as tx:
        page = await tx.credits.transactions(user, limit=100)
    assert [v async for v in violations(database) if v.invariant == "ledger"] == []
    return [(entry.kind, entry.amount, entry.balance_delta) for entry in page.entries][::-1]


async def consume(database: Database, user: str, amount: int) -> Charge:
    async with database.write() as tx:
        return await tx.credits.consume(user, amount, operation="export", description="A book")


async def refund(database: Database, user: str, reference: str, amount: int) -> int:
    async with database.write() as tx:
        return (await tx.credits.refund(user, reference, amount, "Sorry")).credits


async def test_a_charge_tells_the_balance_after_it(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        charge = await tx.credits.settle(user, "j", "j:settle", 8, operation="t")
        again = await tx.credits.settle(user, "j", "j:settle", 8, operation="t")
    assert charge == Charge(key="j:settle", amount=8, balance=142)
    assert again == Charge(key="j:settle", amount=0, balance=None)
    assert not again.fell_below(143)


async def test_of_charges_at_once_one_takes_the_balance_below(
    database: Database, user: str
) -> None:
    charges = await asyncio.gather(*(consume(database, user, 10) for _ in range(15)))
    assert sorted(charge.balance or 0 for charge in charges) == list(range(0, 150, 10))
    assert [charge.balance for charge in charges if charge.fell_below(20)] == [10]
    with pytest.raises(InsufficientCredits) as short:
        await consume(database, user, 1)
    assert (short.value.required, short.value.available) == (1, 0)
    assert (
        await kinds(database, user)
        == [(EntryKind.GRANT, 150, 150)] + [(EntryKind.CONSUME, 10, -10)] * 15
    )


async def test_what_is_held_cannot_be_consumed(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 100)
    with pytest.raises(InsufficientCredits) as short:
        await consume(database, user, 51)
    assert (short.value.required, short.value.available) == (51, 50)
    assert (await consume(database, user, 50)).balance == 100


async def test_an_entry_of_a_charge_says_what_it_was_for(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.consume(
            user, 0, operation="export", description="A book", metadata={"pages": 3}
        )
        [entry] = (await tx.credits.transactions(user, limit=1)).entries
    assert (entry.operation, entry.description) == ("export", "A book")
    assert (entry.metadata, entry.job_id, entry.amount) == ({"pages": 3}, None, 0)


async def test_a_refund_comes_once_and_is_no_earning(database: Database, user: str) -> None:
    await consume(database, user, 30)
    got = await asyncio.gather(*(refund(database, user, "case 1", 20) for _ in range(5)))
    assert got == [140] * 5
    async with database.read() as tx:
        balance = await tx.credits.balance(user)
    assert (balance.total_earned, balance.total_spent) == (150, 10)
    assert await kinds(database, user) == [
        (EntryKind.GRANT, 150, 150),
        (EntryKind.CONSUME, 30, -30),
        (EntryKind.REFUND, 20, 20),
    ]


async def test_no_more_is_refunded_than_was_spent(database: Database, user: str) -> None:
    await consume(database, user, 30)
    async with database.write() as tx:
        with pytest.raises(Conflict) as failure:
            await tx.credits.refund(user, "case 1", 31, "Sorry")
    assert failure.value.code == "refund_exceeds_spent"
    assert await kinds(database, user) == [
        (EntryKind.GRANT, 150, 150),
        (EntryKind.CONSUME, 30, -30),
    ]
    assert await refund(database, user, "case 1", 30) == 150


@pytest.mark.parametrize("change", ["grant", "refund"])
async def test_a_reference_stands_for_one_amount(
    database: Database, user: str, change: str
) -> None:
    await consume(database, user, 30)
    for amount, code in ((5, None), (5, None), (6, "reference_used")):
        async with database.write() as tx:
            call = tx.credits.grant if change == "grant" else tx.credits.refund
            if code is None:
                assert (await call(user, "order 7", amount, "Why")).credits == 125
                continue
            with pytest.raises(Conflict) as failure:
                await call(user, "order 7", amount, "Why")
            assert failure.value.code == code
    assert (await kinds(database, user))[2:] == [(EntryKind(change), 5, 5)]
