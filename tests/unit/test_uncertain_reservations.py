"""What an operator is told of reservations elsewhere, and can say of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from commands.credits import credits_probe
from contracts.errors import Unavailable
from contracts.reservations import RemoteBalance, Reservation, ReservationState
from runtime.doctor import NotInUse
from runtime.settings import load
from store.database import Database
from store.migrations import upgrade
from tests.embedded import voicekeep
from tests.fakes.mana_credits import KEY, FakeManaCredits

USER = str(uuid4())


@pytest.fixture
async def database(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path / 'voicekeep.db'}"
    await upgrade(url)
    return Database(url)


async def lose_an_answer(database: Database) -> Reservation:
    row = Reservation(
        key=f"memo-{uuid4()}:hold~0",
        user_id=USER,
        job_id="memo-1",
        round=1,
        amount=3,
        state=ReservationState.ASKED,
        before=RemoteBalance(balance=9, total_earned=9, total_spent=0),
        asked_at=datetime.now(UTC),
    )
    async with database.write() as tx:
        await tx.reservations.ask(row)
        await tx.reservations.mark(row, ReservationState.UNCERTAIN)
    return row


async def test_an_operator_lists_them_and_says_what_came_of_each(
    database: Database, tmp_path: Path
) -> None:
    first, second = await lose_an_answer(database), await lose_an_answer(database)
    told = voicekeep("credits", "uncertain", "--json", data=tmp_path)
    assert [row["key"] for row in json.loads(told.stdout)["reservations"]] == [
        first.key,
        second.key,
    ]
    found = voicekeep("credits", "found-out", "--reservation", "r-7", first.key, data=tmp_path)
    assert found.returncode == 0
    assert voicekeep("credits", "found-out", second.key, data=tmp_path).returncode == 0
    again = voicekeep("credits", "found-out", second.key, data=tmp_path)
    assert "No uncertain reservation" in again.stderr
    async with database.read() as tx:
        rows = await tx.reservations.of_job("memo-1", USER)
    assert [(row.state, row.reservation_id) for row in rows] == [
        (ReservationState.REFUNDING, "r-7"),
        (ReservationState.CLOSED, None),
    ]
    await database.close()


async def test_the_doctor_asks_the_service_and_tells_of_what_nobody_knows(
    database: Database, tmp_path: Path
) -> None:
    service = FakeManaCredits(KEY)
    url = await service.start()
    settings = load(None, DATA_DIR=tmp_path, MANA_CREDITS_URL=url, SERVICE_KEY=KEY)
    assert await credits_probe(settings) == f"{url} answers"
    await lose_an_answer(database)
    with pytest.raises(Unavailable, match="voicekeep credits uncertain"):
        await credits_probe(settings)
    with pytest.raises(Unavailable, match="401"):
        await credits_probe(load(None, DATA_DIR=tmp_path, MANA_CREDITS_URL=url, SERVICE_KEY="x"))
    with pytest.raises(NotInUse):
        await credits_probe(load(None, DATA_DIR=tmp_path))
    await service.aclose()
    await database.close()


def test_accounts_kept_elsewhere_are_not_changed_here(tmp_path: Path) -> None:
    done = voicekeep(
        *("credits", "grant", "--user", USER, "--amount", "5"),
        data=tmp_path,
        MANA_CREDITS_URL="http://127.0.0.1:9",
    )
    assert done.returncode != 0
    assert "change them there" in done.stderr
