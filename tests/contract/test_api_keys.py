"""API keys as rows: what is kept, until when it works, whose it is."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from contracts.api_keys import ApiKey, Environment, Scope, draw_key
from contracts.errors import Conflict, NotFound
from store.api_keys import MOST_KEYS, USED_SECONDS
from store.database import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(opened: Callable[..., Database], clock: Clock) -> Database:
    return opened(clock=clock)


async def add(
    database: Database, user: str, *scopes: Scope, expires_at: datetime | None = None
) -> tuple[str, ApiKey]:
    """A digest, and the key that is kept."""
    _, kept = draw_key(Environment.LIVE)
    async with database.write() as tx:
        key = await tx.api_keys.add(
            user, kept, name="Import", scopes=scopes or (Scope.ADMIN,), expires_at=expires_at
        )
    return kept.digest, key


async def shown(database: Database, digest: str) -> ApiKey | None:
    async with database.read() as tx:
        return await tx.api_keys.shown(digest)


async def test_a_key_is_known_by_its_digest_and_kept_in_no_other_form(
    database: Database, user: str
) -> None:
    drawn, kept = draw_key(Environment.TEST)
    async with database.write() as tx:
        key = await tx.api_keys.add(user, kept, name="n", scopes=[Scope.SPEECH, Scope.SPEECH])
    assert (key.prefix, key.last4, key.scopes) == ("vk_test_", drawn[-4:], (Scope.SPEECH,))
    assert await shown(database, kept.digest) == key
    assert await shown(database, draw_key(Environment.TEST)[1].digest) is None
    async with database.read() as tx:
        [row] = await tx.session.rows(text("SELECT * FROM api_keys"))
    assert drawn[8:-4] not in str(row)


async def test_a_key_works_until_its_time_comes(
    database: Database, user: str, clock: Clock
) -> None:
    digest, key = await add(database, user, expires_at=NOON + timedelta(hours=1))
    lasting, _ = await add(database, user)
    clock.now = NOON + timedelta(minutes=59)
    assert await shown(database, digest) == key
    clock.now = NOON + timedelta(hours=1)
    assert await shown(database, digest) is None
    assert await shown(database, lasting) is not None
    async with database.read() as tx:
        assert key in await tx.api_keys.list(user)


async def test_a_key_is_listed_and_revoked_by_its_owner_alone(
    database: Database, user: str
) -> None:
    digest, key = await add(database, user)
    stranger = str(uuid4())
    async with database.write() as tx:
        assert await tx.api_keys.list(stranger) == []
        with pytest.raises(NotFound):
            await tx.api_keys.revoke(key.id, stranger)
        with pytest.raises(NotFound):
            await tx.api_keys.find(key.id, stranger)
        await tx.api_keys.used(key.id, stranger)
    assert await shown(database, digest) == key
    async with database.write() as tx:
        await tx.api_keys.revoke(key.id, user)
    assert await shown(database, digest) is None


async def test_of_two_that_revoke_a_key_at_once_one_does(database: Database, user: str) -> None:
    digest, key = await add(database, user)

    async def revoke() -> bool:
        try:
            async with database.write() as tx:
                await tx.api_keys.revoke(key.id, user)
        except NotFound:
            return False
        return True

    assert sorted(await asyncio.gather(*(revoke() for _ in range(4)))) == [False] * 3 + [True]
    assert await shown(database, digest) is None


async def test_a_use_is_written_once_a_minute(database: Database, user: str, clock: Clock) -> None:
    digest, key = await add(database, user)
    told = []
    for seconds in (0.0, USED_SECONDS - 1, USED_SECONDS, USED_SECONDS + 1):
        clock.now = NOON + timedelta(seconds=seconds)
        async with database.write() as tx:
            await tx.api_keys.used(key.id, user)
        found = await shown(database, digest)
        assert found is not None
        assert found.last_used_at is not None
        told.append((found.last_used_at - NOON).total_seconds())
    assert told == [0, 0, 0, USED_SECONDS + 1]


async def test_an_account_has_so_many_keys_and_no_more_however_they_are_asked_for(
    database: Database, user: str
) -> None:
    tries = (add(database, user) for _ in range(MOST_KEYS + 6))
    made = await asyncio.gather(*tries, return_exceptions=True)
    refused = [each.code for each in made if isinstance(each, Conflict)]
    assert refused == ["too_many_api_keys"] * 6
    async with database.read() as tx:
        assert len(await tx.api_keys.list(user)) == MOST_KEYS
    await add(database, str(uuid4()))
