import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from contracts.credits import Balance, EntryKind, JobCredits
from contracts.errors import Conflict, InsufficientCredits
from contracts.jobs import JobState, Step
from contracts.memo import MemoJob
from store.database import Database
from store.invariants import violations

NewMemo = Callable[..., Awaitable[MemoJob]]

NEW = Balance(credits=150, held=0, total_earned=150, total_spent=0)


async def kinds(database: Database, user: str) -> list[tuple[str, int]]:
    """Kind and amount of every entry of the user, oldest first."""
    async with database.read() as tx:
        page = await tx.credits.transactions(user, limit=100)
    return [(entry.kind.value, entry.amount) for entry in reversed(page.entries)]


async def ledger_is_sound(database: Database) -> bool:
    found = [v async for v in violations(database) if v.invariant == "ledger"]
    assert found == []
    return True


async def test_a_new_user_finds_the_starting_credits_and_one_entry(
    database: Database, user: str
) -> None:
    async with database.read() as tx:
        assert await tx.credits.balance(user) == NEW
    assert await kinds(database, user) == []
    async with database.write() as tx:
        assert await tx.credits.balance(user) == NEW
        assert await tx.credits.balance(user) == NEW
    assert await kinds(database, user) == [("grant", 150)]


async def test_an_account_that_many_open_at_once_is_opened_once(
    database: Database, user: str
) -> None:
    async def look(number: int) -> Balance:
        async with database.write() as tx:
            if number % 2:
                await tx.credits.hold(user, f"j{number}", f"j{number}:hold", 1)
            return await tx.credits.balance(user)

    await asyncio.gather(*(look(number) for number in range(20)))
    assert (await kinds(database, user)).count(("grant", 150)) == 1
    assert await ledger_is_sound(database)


async def test_no_starting_credits_leave_no_entry(
    opened: Callable[..., Database], user: str
) -> None:
    database = opened(starting_credits=0)
    async with database.write() as tx:
        assert (await tx.credits.balance(user)).credits == 0
        with pytest.raises(InsufficientCredits):
            await tx.credits.hold(user, "j", "j:hold", 1)
    assert await kinds(database, user) == []


async def test_credits_are_held_then_charged(database: Database, user: str) -> None:
    async with database.write() as tx:
        assert await tx.credits.hold(user, "j", "j:hold", 10) == 10
        assert await tx.credits.of_job(user, "j") == JobCredits(held=10)
        assert (await tx.credits.balance(user)).free == 140
        assert (
            await tx.credits.settle(user, "j", "j:settle", 10, operation="transcription")
        ).amount == 10
        balance = await tx.credits.balance(user)
        assert await tx.credits.of_job(user, "j") == JobCredits(held=0, charged=10)
    assert balance == Balance(credits=140, held=0, total_earned=150, total_spent=10)
    async with database.read() as tx:
        settled = (await tx.credits.transactions(user, limit=1)).entries[0]
    assert (settled.kind, settled.balance_delta, settled.held_delta) == (EntryKind.SETTLE, -10, -10)
    assert (settled.operation, settled.job_id, settled.step) == ("transcription", "j", "settle")
    assert await ledger_is_sound(database)


async def test_the_same_hold_again_changes_nothing(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        assert await tx.credits.hold(user, "j", "j:hold", 99) == 10
        assert await tx.credits.hold(user, "j", "j:other", 99) == 10
        await tx.credits.release(user, "j", "j:release")
        assert await tx.credits.hold(user, "j", "j:hold", 10) == 0
    assert await kinds(database, user) == [("grant", 150), ("hold", 10), ("release", 10)]


async def test_a_hold_that_is_not_free_leaves_no_trace(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "a", "a:hold", 100)
        with pytest.raises(InsufficientCredits) as short:
            await tx.credits.hold(user, "b", "b:hold", 51)
        assert await tx.credits.hold(user, "c", "c:hold", 50) == 50
        assert await tx.credits.of_job(user, "b") == JobCredits()
    assert (short.value.required, short.value.available) == (51, 50)
    assert await kinds(database, user) == [("grant", 150), ("hold", 100), ("hold", 50)]
    assert await ledger_is_sound(database)


@pytest.mark.parametrize(("measured", "kind", "amount"), [(14, "hold", 4), (4, "release", 6)])
async def test_a_hold_is_corrected_once(
    database: Database, user: str, measured: int, kind: str, amount: int
) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        assert await tx.credits.adjust_hold(user, "j", "j:measured", measured) == measured
        assert await tx.credits.adjust_hold(user, "j", "j:measured", 77) == measured
        assert (await tx.credits.balance(user)).held == measured
    assert await kinds(database, user) == [("grant", 150), ("hold", 10), (kind, amount)]
    assert await ledger_is_sound(database)


async def test_a_hold_that_is_right_already_is_corrected_without_an_entry(
    database: Database, user: str
) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        assert await tx.credits.adjust_hold(user, "j", "j:measured", 10) == 10
        assert await tx.credits.adjust_hold(user, "j", "j:measured", 20) == 10
    assert await kinds(database, user) == [("grant", 150), ("hold", 10)]


async def test_a_correction_that_is_not_free_leaves_the_hold(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        with pytest.raises(InsufficientCredits) as short:
            await tx.credits.adjust_hold(user, "j", "j:measured", 161)
        assert await tx.credits.of_job(user, "j") == JobCredits(held=10)
        assert await tx.credits.release(user, "j", "j:release") == 10
    assert (short.value.required, short.value.available) == (161, 150)
    assert await ledger_is_sound(database)


async def test_a_hold_that_has_ended_is_not_corrected(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        await tx.credits.release(user, "j", "j:release")
        with pytest.raises(Conflict) as ended:
            await tx.credits.adjust_hold(user, "j", "j:measured", 12)
    assert ended.value.code == "hold_ended"


async def test_a_release_gives_everything_back_once(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        assert await tx.credits.release(user, "j", "j:release") == 10
        assert await tx.credits.release(user, "j", "j:release") == 0
        assert await tx.credits.release(user, "other", "other:release") == 0
        assert await tx.credits.balance(user) == NEW
    assert await ledger_is_sound(database)


async def test_a_job_is_charged_once_in_its_life(database: Database, user: str) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        assert (await tx.credits.settle(user, "j", "j:settle", 10, operation="t")).amount == 10
        assert (await tx.credits.settle(user, "j", "j:settle", 10, operation="t")).amount == 0
        # A later round holds anew, and finds that it has been paid for.
        await tx.credits.hold(user, "j", "j:hold.2", 6)
        assert (await tx.credits.settle(user, "j", "j:settle", 6, operation="t")).amount == 0
        assert await tx.credits.of_job(user, "j") == JobCredits(held=0, charged=10)
        assert (await tx.credits.balance(user)).credits == 140
    assert await ledger_is_sound(database)


async def test_a_job_that_was_charged_may_hold_in_any_number_of_later_rounds(
    database: Database, user: str
) -> None:
    async with database.write() as tx:
        for attempt in range(1, 5):
            await tx.credits.hold(user, "j", f"j:hold.{attempt}", 10)
            charge = await tx.credits.settle(user, "j", "j:settle", 10, operation="t")
            assert charge.amount == (10 if attempt == 1 else 0)
        assert await tx.credits.of_job(user, "j") == JobCredits(held=0, charged=10)
    assert (await kinds(database, user))[3:] == [("hold", 10), ("release", 10)] * 3
    assert await ledger_is_sound(database)


async def test_a_job_without_a_hold_is_charged_from_what_is_free(
    database: Database, user: str
) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "a", "a:hold", 100)
        with pytest.raises(InsufficientCredits):
            await tx.credits.settle(user, "j", "j:settle", 51, operation="t")
        assert await tx.credits.of_job(user, "j") == JobCredits()
        assert (await tx.credits.settle(user, "j", "j:settle", 50, operation="t")).amount == 50
    assert await ledger_is_sound(database)


async def test_a_charge_beyond_hold_and_free_credits_leaves_the_hold(
    database: Database, user: str
) -> None:
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        with pytest.raises(InsufficientCredits):
            await tx.credits.settle(user, "j", "j:settle", 151, operation="t")
        assert await tx.credits.of_job(user, "j") == JobCredits(held=10)
        assert (await tx.credits.settle(user, "j", "j:settle", 150, operation="t")).amount == 150
        assert (await tx.credits.balance(user)).credits == 0
    assert await ledger_is_sound(database)


async def test_a_grant_counts_once_per_reference(database: Database, user: str) -> None:
    async with database.write() as tx:
        assert (await tx.credits.grant(user, "invoice 1", 50, "Top-up")).credits == 200
        assert (await tx.credits.grant(user, "invoice 1", 50, "Top-up")).credits == 200
        assert (await tx.credits.grant(user, "invoice 2", 1, "Top-up")).total_earned == 201
    assert await kinds(database, user) == [("grant", 150), ("grant", 50), ("grant", 1)]
    assert await ledger_is_sound(database)


async def test_a_grant_of_one_reference_at_once_counts_once(database: Database, user: str) -> None:
    async def top_up() -> None:
        async with database.write() as tx:
            await tx.credits.grant(user, "invoice", 50, "Top-up")

    await asyncio.gather(*(top_up() for _ in range(10)))
    async with database.read() as tx:
        assert (await tx.credits.balance(user)).credits == 200


async def test_credits_of_others_are_not_touched(database: Database, user: str) -> None:
    other = str(uuid4())
    async with database.write() as tx:
        await tx.credits.hold(user, "j", "j:hold", 10)
        assert await tx.credits.release(other, "j", "j:release") == 0
        assert await tx.credits.of_job(other, "j") == JobCredits()
        with pytest.raises(Conflict):
            await tx.credits.adjust_hold(other, "j", "j:measured", 20)
        assert (await tx.credits.transactions(other, limit=5)).entries == ()
        assert await tx.credits.of_job(user, "j") == JobCredits(held=10)


async def test_a_hundred_holds_at_once_never_overdraw(database: Database, user: str) -> None:
    async def hold(number: int) -> int:
        try:
            async with database.write() as tx:
                return await tx.credits.hold(user, f"j{number}", f"j{number}:hold", 4)
        except InsufficientCredits:
            return 0

    held = await asyncio.gather(*(hold(number) for number in range(100)))
    assert sum(held) == 148
    async with database.read() as tx:
        balance = await tx.credits.balance(user)
    assert (balance.credits, balance.held) == (150, 148)
    assert await ledger_is_sound(database)


async def test_the_same_step_at_once_happens_once(database: Database, user: str) -> None:
    async def hold() -> int:
        async with database.write() as tx:
            return await tx.credits.hold(user, "j", "j:hold", 10)

    async def settle() -> int:
        async with database.write() as tx:
            charge = await tx.credits.settle(user, "j", "j:settle", 10, operation="t")
            return charge.amount

    assert await asyncio.gather(*(hold() for _ in range(10))) == [10] * 10
    assert sorted(await asyncio.gather(*(settle() for _ in range(10)))) == [0] * 9 + [10]
    assert await kinds(database, user) == [("grant", 150), ("hold", 10), ("settle", 10)]
    assert await ledger_is_sound(database)


async def test_entries_come_in_pages_newest_first(database: Database, user: str) -> None:
    async with database.write() as tx:
        for number in range(1, 6):
            await tx.credits.grant(user, str(number), number, f"Top-up {number}")
        first = await tx.credits.transactions(user, limit=4)
        second = await tx.credits.transactions(user, limit=4, after=first.next)
    assert [entry.amount for entry in (*first.entries, *second.entries)] == [5, 4, 3, 2, 1, 150]
    assert second.next is None
    assert first.entries[0].description == "Top-up 5"


async def test_holds_of_ended_and_missing_jobs_are_left_over(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    running, ended = await new_memo(running=True), await new_memo(running=True)
    async with database.write() as tx:
        for job in (running, ended):
            await tx.credits.hold(user, job.job_id, f"{job.job_id}:hold", 2)
        await tx.credits.hold(user, "gone", "gone:hold", 3)
        await tx.jobs.move(ended.job_id, user, JobState.FAILED, step=Step.DONE)
        found = await tx.credits.left_over(after="", limit=9)
        page = await tx.credits.left_over(after=found[0].job_id, limit=1)
        assert {(hold.job_id, hold.user_id, hold.amount) for hold in found} == {
            (ended.job_id, user, 2),
            ("gone", user, 3),
        }
        assert page == found[1:]
        for hold in found:
            await tx.credits.release(hold.user_id, hold.job_id, f"{hold.key}:left")
        assert await tx.credits.left_over(after="", limit=9) == []
    assert await ledger_is_sound(database)
