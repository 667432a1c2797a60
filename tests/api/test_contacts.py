"""The address in a token: kept for whoever has none, at nobody's expense."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from api.contacts import Contacts
from contracts.errors import Unavailable
from store.database import Database, Transaction
from tests.api.front import Front, User
from tests.statements import asked_of


async def email_of(front: Front, user: User) -> str | None:
    async with front.database.read() as tx:
        profile = await tx.profiles.find(user.id)
    return None if profile is None else profile.email


async def written(front: Front) -> None:
    async with asyncio.timeout(60):
        while front.services.contacts._waiting.qsize():
            await asyncio.sleep(0.005)
    async with front.database.write():
        pass  # after the one that was being written


async def test_a_user_who_comes_with_an_address_can_be_written_to(front: Front) -> None:
    anna = front.user(email="Anna@Example.com")
    assert (await front.ask("GET", "memos", anna)).status_code == 200
    await written(front)
    assert await email_of(front, anna) == "anna@example.com"
    assert (await front.ask("GET", "memos", anna)).status_code == 200
    assert front.services.contacts._waiting.empty()


async def test_an_address_that_is_kept_stays(front: Front) -> None:
    anna = front.user(email="token@example.com")
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, email="own@example.com", settings={"memoro": {"a": 1}})
    await front.ask("GET", "memos", anna)
    await written(front)
    assert await email_of(front, anna) == "own@example.com"


async def test_a_profile_without_an_address_gets_it_and_keeps_the_rest(front: Front) -> None:
    anna = front.user(email="token@example.com")
    async with front.database.write() as tx:
        await tx.profiles.change(anna.id, settings={"memoro": {"a": 1}})
    await front.ask("GET", "memos", anna)
    await written(front)
    async with front.database.read() as tx:
        profile = await tx.profiles.find(anna.id)
    assert profile is not None
    assert (profile.email, profile.app_settings) == ("token@example.com", {"memoro": {"a": 1}})


@pytest.mark.parametrize("email", [None, "none", "a@example.com\r\nBcc: b@example.com"])
async def test_what_is_no_address_is_not_kept(front: Front, email: str | None) -> None:
    anna = front.user(email=email)
    with asked_of(front.database) as asked:
        assert (await front.ask("GET", "memos", anna)).status_code == 200
        await written(front)
    assert not any("profiles" in statement for statement in asked.statements)


class Away(Database):
    """A database that is away at first."""

    away = 1

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        if self.away:
            self.away -= 1
            raise Unavailable("The database does not answer now")
        async with super().write() as tx:
            yield tx


async def test_an_address_that_could_not_be_written_comes_again(front: Front) -> None:
    anna = front.user()
    database = Away(front.settings.database_url)

    async def until(done: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not done():
                await asyncio.sleep(0.005)

    async with Contacts(database) as contacts:
        contacts.note(anna.id, "anna@example.com")
        await until(lambda: anna.id not in contacts._known)
        contacts.note(anna.id, "anna@example.com")
        await until(contacts._waiting.empty)
        async with database.write():
            pass
    await database.close()
    assert await email_of(front, anna) == "anna@example.com"
