"""A space has an account of its own, and pays for its members' memos when it is set to."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from contracts.credits import Balance, JobCredits
from contracts.errors import Conflict, Forbidden, InsufficientCredits
from store.database import Database
from store.invariants import violations

NewSpace = Callable[..., Awaitable[str]]


@pytest.fixture
def new_space(database: Database, user: str) -> NewSpace:
    """Makes a space of somebody else's that the user is a member of, with credits of its own."""

    async def new(granted: int = 100, *, pays: bool = True) -> str:
        space, owner = str(uuid4()), str(uuid4())
        async with database.write() as tx:
            await tx.spaces.create(space, owner, "Team", None)
            await tx.spaces.join(space, user)
            await tx.spaces.let_pay(space, owner, pays=pays)
            if granted:
                await tx.credits.grant(space, "order 1", granted, "Top-up", space=True)
        return space

    return new


async def accounts(database: Database, user: str, space: str) -> tuple[int, int, int, int]:
    """Balance and held of the user, then of the space; the ledger is sound."""
    assert [v async for v in violations(database) if v.invariant == "ledger"] == []
    async with database.read() as tx:
        own, shared = await tx.credits.balance(user), await tx.credits.balance(space, space=True)
    return own.credits, own.held, shared.credits, shared.held


async def test_a_space_begins_with_nothing(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space(0)
    async with database.write() as tx:
        assert await tx.credits.balance(space, space=True) == Balance(credits=0)
        await tx.credits.hold(user, "j", "j:hold", 2, space_id=space)
        assert await tx.credits.of_job(user, "j") == JobCredits(held=2)
    assert await accounts(database, user, space) == (150, 2, 0, 0)


async def test_a_paying_space_is_charged_and_told_who_spent(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space()
    async with database.write() as tx:
        assert await tx.credits.hold(user, "j", "j:hold", 10, space_id=space) == 10
        assert await tx.credits.of_job(user, "j") == JobCredits(held=10, space_id=space)
        assert await tx.credits.adjust_hold(user, "j", "j:measured", 30) == 30
    assert await accounts(database, user, space) == (150, 0, 100, 30)
    async with database.write() as tx:
        charge = await tx.credits.settle(user, "j", "j:settle", 20, operation="transcription")
        again = await tx.credits.settle(user, "j", "j:settle", 20, operation="transcription")
        assert await tx.credits.of_job(user, "j") == JobCredits(charged=20, space_id=space)
        spent = (await tx.credits.transactions(space, limit=9)).entries
        own = (await tx.credits.transactions(user, limit=9)).entries
    assert (charge.amount, charge.balance, charge.space_id) == (20, 80, space)
    assert (again.amount, again.space_id) == (0, None)
    assert [(entry.kind, entry.amount, entry.user_id) for entry in spent] == [
        ("settle", 20, user), ("hold", 20, user), ("hold", 10, user), ("grant", 100, None),
    ]  # fmt: skip
    assert own == ()
    assert await accounts(database, user, space) == (150, 0, 80, 0)


@pytest.mark.parametrize("why", ["it does not pay", "no member", "too little", "no such space"])
async def test_where_the_space_does_not_pay_the_user_does(
    database: Database, user: str, new_space: NewSpace, why: str
) -> None:
    space = await new_space(9 if why == "too little" else 100, pays=why != "it does not pay")
    async with database.write() as tx:
        if why == "no member":
            assert await tx.spaces.leave(space, user)
        asked = str(uuid4()) if why == "no such space" else space
        assert not await tx.credits.space_would_pay(asked, user, 10)
        await tx.credits.hold(user, "j", "j:hold", 10, space_id=asked)
        assert await tx.credits.of_job(user, "j") == JobCredits(held=10)
    left = 9 if why == "too little" else 100
    assert await accounts(database, user, space) == (150, 10, left, 0)


@pytest.mark.parametrize("end", ["settle", "release"])
async def test_a_job_that_was_begun_keeps_its_payer(
    database: Database, user: str, new_space: NewSpace, end: str
) -> None:
    space = await new_space()
    async with database.write() as tx:
        owner = await tx.spaces.owner(space)
        assert owner is not None
        assert await tx.credits.space_would_pay(space, user, 100)
        await tx.credits.hold(user, "j", "j:hold", 10, space_id=space)
    async with database.write() as tx:
        await tx.spaces.leave(space, user)
        await tx.spaces.let_pay(space, owner, pays=False)
        await tx.credits.adjust_hold(user, "j", "j:measured", 12)
        if end == "settle":
            await tx.credits.settle(user, "j", "j:settle", 12, operation="t")
        else:
            assert await tx.credits.release(user, "j", "j:release") == 12
    assert await accounts(database, user, space) == (150, 0, 88 if end == "settle" else 100, 0)


async def test_a_correction_that_the_space_cannot_pay_tells_what_the_space_has(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space()
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10, space_id=space)
        with pytest.raises(InsufficientCredits) as short:
            await tx.credits.adjust_hold(user, "j", "j:measured", 101)
    assert (short.value.required, short.value.available) == (101, 100)
    assert await accounts(database, user, space) == (150, 0, 100, 10)


async def test_a_hold_that_nobody_can_pay_tells_what_the_user_has(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space()
    async with database.write() as tx:
        with pytest.raises(InsufficientCredits) as short:
            await tx.credits.hold(user, "j", "j:hold", 151, space_id=space)
    assert (short.value.required, short.value.available) == (151, 150)
    assert await accounts(database, user, space) == (150, 0, 100, 0)


async def test_a_retry_is_paid_by_whoever_pays_then(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space()
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10, space_id=space)
        await tx.credits.release(user, "j", "j:release")
        await tx.spaces.leave(space, user)
        await tx.credits.hold(user, "j", "j:hold.2", 10, space_id=space)
        charge = await tx.credits.settle(user, "j", "j:settle", 10, operation="t")
    assert charge.space_id is None
    assert await accounts(database, user, space) == (140, 0, 100, 0)


async def test_holds_of_many_members_at_once_never_overdraw_a_space(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space(30)

    async def hold(number: int) -> bool:
        async with database.write() as tx:
            await tx.credits.hold(user, f"j{number}", f"j{number}:hold", 4, space_id=space)
            return (await tx.credits.of_job(user, f"j{number}")).space_id is not None

    assert sum(await asyncio.gather(*(hold(number) for number in range(20)))) == 7
    assert await accounts(database, user, space) == (150, 52, 30, 28)


async def test_a_space_is_refunded_what_it_spent_and_no_more(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space = await new_space()
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10, space_id=space)
        await tx.credits.settle(user, "j", "j:settle", 10, operation="t")
        with pytest.raises(Conflict):
            await tx.credits.refund(space, "case 1", 11, "Sorry", space=True)
        for _ in range(2):
            found = await tx.credits.refund(space, "case 1", 10, "Sorry", space=True)
            assert (found.credits, found.total_spent) == (100, 0)
    assert await accounts(database, user, space) == (150, 0, 100, 0)


async def test_only_its_owner_decides_what_a_space_pays(
    database: Database, user: str, new_space: NewSpace
) -> None:
    space, stranger = await new_space(pays=False), str(uuid4())
    async with database.write() as tx:
        for who, where in ((user, space), (stranger, space), (user, str(uuid4()))):
            with pytest.raises(Forbidden):
                await tx.spaces.let_pay(where, who, pays=True)
        assert await tx.spaces.pays(space, user) is False
        owner = await tx.spaces.owner(space)
        assert owner is not None
        await tx.spaces.let_pay(space, owner, pays=True)
        assert await tx.spaces.pays(space, user) is True
        assert await tx.spaces.pays(space, stranger) is None
        assert await tx.spaces.owner(str(uuid4())) is None
        assert not await tx.spaces.leave(space, stranger)
