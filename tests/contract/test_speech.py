"""Files and parts of speech: equal requests have one file, and what is used does not go."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts import ids
from contracts.audio import MediaKind, OwnedKey
from contracts.paging import Cursor
from contracts.speech import SpeechOrder, Timing, TimingKind
from contracts.speech_job import KeptPart, SpeechFile, SpeechReady, SpeechState
from store.database import Database
from store.speech_tables import EVERYBODY

Opened = Callable[..., Database]
ORDER = SpeechOrder(text="The keeper counted seven ships.", voice="nova", language="en")
MADE = SpeechReady(seconds=2.5, size=999)
WEEK = 7 * 86_400.0
DAY = 86_400.0
TIMINGS = (Timing(kind=TimingKind.WORD, text="The", start=0, end=0.25),)


class Clock:
    """The clock of a database, which a test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(opened: Opened, clock: Clock) -> Database:
    return opened(clock=clock)


async def added(
    database: Database, user: str, order: SpeechOrder = ORDER, keep_seconds: float = WEEK
) -> SpeechFile:
    file_id = str(uuid4())
    async with database.write() as tx:
        job_id = ids.speech_job(file_id)
        return await tx.speech.add(file_id, user, job_id, order, keep_seconds=keep_seconds)


async def readied(database: Database, file: SpeechFile, user: str | None = None) -> bool:
    async with database.write() as tx:
        return await tx.speech.ready(
            file.id, user or file.user_id, MADE, key=f"{file.user_id}/{file.id}", sha256="a" * 64,
            tier="openai", timings=TIMINGS, keep_seconds=WEEK,
        )  # fmt: skip


async def found(database: Database, file: SpeechFile) -> SpeechFile | None:
    async with database.read() as tx:
        return await tx.speech.find(file.id, file.user_id)


def part_of(user: str, part_hash: str) -> KeptPart:
    return KeptPart(hash=part_hash, key=f"{user}/{part_hash}", samples=48_000, timings=TIMINGS)


async def kept(database: Database, scope: str, file: SpeechFile, part_hash: str) -> bool:
    async with database.write() as tx:
        part = part_of(file.user_id, part_hash)
        return await tx.speech.keep_part(scope, file.user_id, file.id, part)


async def test_what_was_asked_for_is_found_again_by_its_owner_alone(
    database: Database, user: str
) -> None:
    file, stranger = await added(database, user), str(uuid4())
    assert (file.order, file.state, file.key) == (ORDER, SpeechState.GENERATING, None)
    assert file.expires_at - file.created_at == timedelta(seconds=WEEK)
    assert await found(database, file) == file
    await readied(database, file)
    async with database.write() as tx:
        assert await tx.speech.find(file.id, stranger) is None
        assert await tx.speech.of_content(stranger, file.content_hash) is None
        assert await tx.speech.page(stranger, limit=9) == []
        assert await tx.speech.timings(file.id, stranger) == ()
        assert await tx.speech.remove(file.id, stranger) is None
        assert (await tx.speech.usage(stranger, file.created_at)).files == 0
        assert not await tx.speech.failed(file.id, stranger, "x", "x")
        assert await tx.speech.timings(file.id, user) == TIMINGS


async def test_any_number_of_equal_requests_at_once_have_one_file(
    opened: Opened, user: str
) -> None:
    processes = [opened(), opened()]
    files = await asyncio.gather(*(added(processes[at % 2], user) for at in range(12)))
    assert len({file.id for file in files}) == 1
    assert (await added(processes[0], str(uuid4()))).id != files[0].id
    louder = ORDER.model_copy(update={"speed": 2.0})
    assert (await added(processes[0], user, louder)).id != files[0].id


async def test_a_file_is_ready_once_and_a_later_failure_does_not_change_it(
    database: Database, user: str
) -> None:
    file = await added(database, user)
    assert not await readied(database, file, str(uuid4()))
    assert await readied(database, file)
    assert not await readied(database, file)
    async with database.write() as tx:
        assert not await tx.speech.failed(file.id, user, "late", "Too late")
        assert not await tx.speech.again(file.id, user, keep_seconds=WEEK)
    there = await found(database, file)
    assert there is not None
    assert (there.state, there.seconds, there.size) == (SpeechState.READY, 2.5, 999)
    assert (there.tier, there.sha256, there.error_code) == ("openai", "a" * 64, None)


async def test_a_failed_one_is_made_again_and_forgets_why_it_failed(
    database: Database, clock: Clock, user: str
) -> None:
    file = await added(database, user)
    async with database.write() as tx:
        assert not await tx.speech.again(file.id, user, keep_seconds=WEEK)
        assert await tx.speech.failed(file.id, user, "provider_out", "No tier could serve")
    assert not await readied(database, file)
    clock.pass_by(DAY)
    async with database.write() as tx:
        assert await tx.speech.again(file.id, user, keep_seconds=WEEK)
    again = await found(database, file)
    assert again is not None
    assert (again.state, again.error_code) == (SpeechState.GENERATING, None)
    assert again.expires_at == file.expires_at + timedelta(seconds=DAY)
    assert await readied(database, file)


async def test_files_are_listed_newest_first_page_by_page(
    database: Database, clock: Clock, user: str
) -> None:
    made = []
    for number in range(5):
        made.append(await added(database, user, ORDER.model_copy(update={"text": f"{number}"})))
        clock.pass_by(1)
    async with database.read() as tx:
        first = await tx.speech.page(user, limit=2)
        last = first[1]
        after = Cursor(created_at=last.created_at, id=last.id)
        rest = await tx.speech.page(user, limit=9, after=after)
    assert [file.id for file in (*first[:2], *rest)] == [file.id for file in reversed(made)]
    assert len(first) == 3


async def test_a_file_that_is_used_lives_on_and_another_goes_when_its_time_is_over(
    database: Database, clock: Clock, user: str
) -> None:
    used = await added(database, user)
    left = await added(database, user, ORDER.model_copy(update={"text": "Left alone"}))
    making = await added(database, user, ORDER.model_copy(update={"text": "Being made"}))
    for file in (used, left):
        await readied(database, file)
    clock.pass_by(WEEK - 1)
    async with database.write() as tx:
        await tx.speech.use(used.id, user, keep_seconds=WEEK)
    clock.pass_by(2)
    async with database.write() as tx:
        assert await tx.speech.expired(limit=9) == [(left.id, user)]
        assert await tx.speech.remove_expired(used.id, user) == ()
        gone = await tx.speech.remove_expired(left.id, user)
        assert await tx.speech.remove_expired(left.id, user) == ()
    assert gone == (OwnedKey(key=f"{user}/{left.id}", user_id=user),)
    assert await found(database, left) is None
    assert await found(database, used) is not None
    assert await found(database, making) is not None


async def test_a_use_between_the_look_and_the_removal_saves_the_file(
    database: Database, clock: Clock, user: str
) -> None:
    file = await added(database, user)
    await readied(database, file)
    clock.pass_by(WEEK + 1)
    async with database.read() as tx:
        assert await tx.speech.expired(limit=9) == [(file.id, user)]
    async with database.write() as tx:
        await tx.speech.use(file.id, user, keep_seconds=WEEK)
    async with database.write() as tx:
        assert await tx.speech.remove_expired(file.id, user) == ()
    assert await found(database, file) is not None


async def test_many_uses_in_a_minute_are_written_down_once(
    database: Database, clock: Clock, user: str
) -> None:
    file = await added(database, user)
    await readied(database, file)
    seen = []
    for _ in range(3):
        clock.pass_by(40)
        async with database.write() as tx:
            await tx.speech.use(file.id, user, keep_seconds=WEEK)
        there = await found(database, file)
        assert there is not None
        seen.append((there.used_at - file.used_at).total_seconds())
    assert seen == [0, 80, 80]


async def test_a_part_is_kept_once_and_serves_whoever_shares_its_scope(
    database: Database, user: str
) -> None:
    mine, shared = "a" * 64, "b" * 64
    file, theirs = await added(database, user), await added(database, str(uuid4()))
    assert await kept(database, user, file, mine)
    assert not await kept(database, user, file, mine)
    assert await kept(database, EVERYBODY, file, shared)
    async with database.write() as tx:
        scope = theirs.user_id
        assert await tx.speech.use_part(scope, mine, theirs.id) is None
        assert await tx.speech.parts(scope, [mine, shared]) == {}
        assert await tx.speech.use_parts(scope, [mine, shared], theirs.id) == frozenset()
        assert await tx.speech.use_part(user, mine, file.id) == part_of(user, mine)
        found = await tx.speech.parts(EVERYBODY, [mine, shared, shared])
        assert found == {shared: part_of(user, shared)}


async def test_removing_a_file_takes_its_own_parts_and_leaves_those_of_another(
    database: Database, user: str
) -> None:
    file = await added(database, user)
    other = await added(database, user, ORDER.model_copy(update={"text": "Another"}))
    await readied(database, file)
    own, moved, shared = ("1" * 64, "2" * 64, "3" * 64)
    for scope, part_hash in ((user, own), (user, moved), (EVERYBODY, shared)):
        await kept(database, scope, file, part_hash)
    async with database.write() as tx:
        assert await tx.speech.use_parts(user, [moved], other.id) == {moved}
    async with database.write() as tx:
        gone = await tx.speech.remove(file.id, user)
        assert await tx.speech.remove(file.id, user) is None
    assert gone == (
        OwnedKey(key=f"{user}/{file.id}", user_id=user),
        OwnedKey(key=f"{user}/{own}", user_id=user),
    )
    async with database.read() as tx:
        assert set(await tx.speech.parts(user, [own, moved])) == {moved}
        assert set(await tx.speech.parts(EVERYBODY, [shared])) == {shared}


async def test_a_part_nobody_used_for_long_goes_and_one_that_is_used_stays(
    database: Database, clock: Clock, user: str
) -> None:
    file, (old, used) = await added(database, user), ("4" * 64, "5" * 64)
    for part_hash in (old, used):
        await kept(database, user, file, part_hash)
    clock.pass_by(WEEK + 1)
    async with database.write() as tx:
        listed = await tx.speech.unused_parts(older_than_seconds=WEEK, limit=9)
        assert listed == [(user, old), (user, used)]
        await tx.speech.use_part(user, used, file.id)
        assert await tx.speech.remove_unused(user, used, older_than_seconds=WEEK) == ()
        gone = await tx.speech.remove_unused(user, old, older_than_seconds=WEEK)
    assert gone == (OwnedKey(key=f"{user}/{old}", user_id=user),)


async def test_usage_counts_what_is_ready_and_what_was_asked_for_today(
    database: Database, clock: Clock, user: str
) -> None:
    await readied(database, await added(database, user))
    clock.pass_by(2 * DAY)
    await added(database, user, ORDER.model_copy(update={"text": "Today"}))
    async with database.read() as tx:
        usage = await tx.speech.usage(user, clock.now - timedelta(hours=1))
    assert (usage.files, usage.bytes, usage.today) == (1, 999, 1)


async def test_a_file_something_stands_on_is_not_swept_until_it_is_loose_again(
    database: Database, clock: Clock, user: str
) -> None:
    async with database.write() as tx:
        await tx.media.add("k", user, kind=MediaKind.WORK, memo_id=None, job_id="speech-none")
        await tx.media.stand("k", user)
    clock.pass_by(DAY)
    async with database.write() as tx:
        assert await tx.media.abandoned(older_than_seconds=60, limit=9) == []
        await tx.media.loosen("k", str(uuid4()))
        assert await tx.media.abandoned(older_than_seconds=60, limit=9) == []
        await tx.media.loosen("k", user)
        assert [each.key for each in await tx.media.abandoned(older_than_seconds=60, limit=9)] == [
            "k"
        ]
