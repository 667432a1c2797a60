from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from contracts.errors import NotFound
from contracts.memo import MemoJob
from store.database import Database

NewMemo = Callable[..., Awaitable[MemoJob]]


async def test_a_creator_is_owner_and_who_joins_is_a_member(database: Database, user: str) -> None:
    space, member, stranger = (str(uuid4()) for _ in range(3))
    async with database.write() as tx:
        await tx.spaces.create(space, user, "Team", "All of us")
        await tx.spaces.join(space, member)
        await tx.spaces.join(space, user)
        assert await tx.spaces.role(space, user) == "owner"
        assert await tx.spaces.role(space, member) == "member"
        assert await tx.spaces.role(space, stranger) is None
        assert await tx.spaces.role(str(uuid4()), user) is None


async def test_only_ones_own_memo_is_shared_and_only_with_ones_own_space(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, space, member = await new_memo(), str(uuid4()), str(uuid4())
    async with database.write() as tx:
        await tx.spaces.create(space, user, "Team", None)
        await tx.spaces.join(space, member)
        with pytest.raises(NotFound):
            await tx.spaces.link(job.memo_id, space, member)
        with pytest.raises(NotFound):
            await tx.spaces.link(job.memo_id, str(uuid4()), user)
        assert await tx.memos.find(job.memo_id, member) is None
        for _ in range(2):
            await tx.spaces.link(job.memo_id, space, user)
        assert await tx.memos.find(job.memo_id, member) is not None
        with pytest.raises(NotFound):
            await tx.spaces.unlink(job.memo_id, space, member)
        for _ in range(2):
            await tx.spaces.unlink(job.memo_id, space, user)
        assert await tx.memos.find(job.memo_id, member) is None


async def test_a_profile_is_made_when_something_is_known(database: Database, user: str) -> None:
    async with database.write() as tx:
        assert await tx.profiles.find(user) is None
        await tx.profiles.change(user, email="a@example.org")
        await tx.profiles.change(user, settings={"memoro": {"language": "de"}}, bio="Hello")
        profile = await tx.profiles.find(user)
    assert profile is not None
    assert (profile.email, profile.bio) == ("a@example.org", "Hello")
    assert profile.app_settings == {"memoro": {"language": "de"}}
