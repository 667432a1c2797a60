"""What nobody has listened to for long goes, page by page; what is used meanwhile stays."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.batch import StagingSweep
from activities.endings import Endings
from activities.language import LanguageActivities
from activities.memo import MemoActivities
from activities.reconcile import ReconcileActivities, ReconcileAges
from activities.speech_expiry import SpeechExpiry
from activities.transcription import TierBounds
from activities.uploads import UploadSweep
from contracts import ids
from contracts.audio import MediaKind
from contracts.errors import Unavailable
from contracts.jobs import JobState, Step
from contracts.speech import SpeechOrder
from contracts.speech_job import Expired, KeptPart, SpeechFile, SpeechReady
from store.columns import METADATA
from store.database import Database
from store.speech_tables import EVERYBODY
from tests.fakes.ports import MemoryFiles, RecordingStarter
from tests.fakes.scripted_model import ScriptedModel

WEEK = 7 * 86_400.0
NOBODY_ASKS = ReconcileAges(queued=WEEK, running=WEEK, file=0)


class Shelf:
    """Files in storage and their rows, under a clock that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self.database = Database(f"sqlite:///{folder / 'voicekeep.db'}", clock=lambda: self.now)
        self.files: MemoryFiles = MemoryFiles()
        self.user = str(uuid4())

    async def spoken(self, text: str) -> SpeechFile:
        """A text whose audio is there, with one part of it, and whose job is over."""
        file_id, part_hash = str(uuid4()), uuid4().hex * 2
        job_id = ids.speech_job(file_id)
        key, part_key = f"{self.user}/{file_id}.mp3", f"{self.user}/{part_hash}"
        self.files.files |= {key: b"audio", part_key: b"samples"}
        made = SpeechReady(seconds=1.0, size=5)
        async with self.database.write() as tx:
            file = await tx.speech.add(
                file_id, self.user, job_id, SpeechOrder(text=text, voice="nova"), keep_seconds=WEEK
            )
            await tx.jobs.create(
                job_id, self.user, kind=ids.SPEECH, subject_id=file_id, request={},
                deadline_seconds=WEEK * 9,
            )  # fmt: skip
            await tx.jobs.move(job_id, self.user, JobState.RUNNING, step=Step.SPEAK)
            for stored in (key, part_key):
                await tx.media.add(
                    stored, self.user, kind=MediaKind.WORK, memo_id=None, job_id=job_id
                )
                await tx.media.stand(stored, self.user)
            part = KeptPart(hash=part_hash, key=part_key, samples=9)
            await tx.speech.keep_part(self.user, self.user, file_id, part)
            await tx.speech.ready(
                file_id, self.user, made, key=key, sha256=None, tier="t", timings=(),
                keep_seconds=WEEK,
            )  # fmt: skip
            await tx.jobs.move(job_id, self.user, JobState.COMPLETED, step=Step.DONE)
        return file

    async def use(self, file: SpeechFile) -> None:
        async with self.database.write() as tx:
            await tx.speech.use(file.id, self.user, keep_seconds=WEEK)

    async def tick(self, *, page: int = 200) -> Expired:
        expiry = SpeechExpiry(self.database, self.files, WEEK, page=page)
        return await ActivityEnvironment().run(expiry.expire_speech)

    async def heal(self) -> int:
        """Files that a tick of ``reconcile`` removes."""
        memo = MemoActivities(self.database, self.files)
        bounds = TierBounds(tries=2, backoff_seconds=2)
        language = LanguageActivities(self.database, ScriptedModel(), bounds)
        reconcile = ReconcileActivities(
            self.database,
            self.files,
            RecordingStarter(),
            Endings(self.database, memo, language),
            NOBODY_ASKS,
            uploads=UploadSweep(self.database, self.files),
            staged=StagingSweep({}),
        )
        return (await ActivityEnvironment().run(reconcile.heal)).files_removed

    async def ids(self) -> set[str]:
        async with self.database.read() as tx:
            return {file.id for file in await tx.speech.page(self.user, limit=99)}


class Watched(MemoryFiles):
    """Storage that lets something happen before the first file is deleted."""

    def __init__(self, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._happens: Callable[[], Awaitable[None]] | None = happens

    async def delete(self, key: str) -> bool:
        happens, self._happens = self._happens, None
        if happens is not None:
            await happens()
        return await super().delete(key)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path)
    METADATA.create_all(shelf.database.engines[0])
    yield shelf
    await shelf.database.close()


async def test_what_is_used_lives_on_and_the_rest_goes_with_its_files(shelf: Shelf) -> None:
    used, left = await shelf.spoken("used"), await shelf.spoken("left")
    shelf.now += timedelta(seconds=WEEK - 9)
    assert await shelf.tick() == Expired()
    await shelf.use(used)
    shelf.now += timedelta(seconds=18)
    assert await shelf.tick() == Expired(files=1, parts=2)
    assert await shelf.ids() == {used.id}
    assert [key for key in shelf.files.files if key.endswith(".mp3")] == [
        f"{shelf.user}/{used.id}.mp3"
    ]
    assert left.id not in str(shelf.files.files)
    assert await shelf.tick() == Expired()
    assert await shelf.heal() == 0


async def test_a_part_that_serves_everybody_goes_by_its_own_last_use_not_with_its_buyers_file(
    shelf: Shelf,
) -> None:
    file, part = await shelf.spoken("bought"), KeptPart(hash="e" * 64, key="all", samples=9)
    shelf.files.files[part.key] = b"samples"
    async with shelf.database.write() as tx:
        await tx.media.add(
            part.key, shelf.user, kind=MediaKind.WORK, memo_id=None, job_id=file.job_id
        )
        await tx.media.stand(part.key, shelf.user)
        assert await tx.speech.keep_part(EVERYBODY, shelf.user, file.id, part)
        gone = await tx.speech.remove(file.id, shelf.user) or ()
        assert part.key not in {owned.key for owned in gone}
        for owned in gone:
            await tx.media.loosen(owned.key, owned.user_id)
    shelf.now += timedelta(seconds=WEEK - 9)
    async with shelf.database.write() as tx:
        another = str(uuid4())
        assert await tx.speech.use_parts(EVERYBODY, [part.hash], another) == {part.hash}
    shelf.now += timedelta(seconds=18)
    assert await shelf.tick() == Expired()
    assert part.key in shelf.files.files
    shelf.now += timedelta(seconds=WEEK)
    assert await shelf.tick() == Expired(parts=1)
    assert await shelf.heal() == 2  # what was deleted and nobody removed
    assert shelf.files.files == {}


async def test_a_file_that_is_used_while_the_tick_goes_on_stays(shelf: Shelf) -> None:
    first = await shelf.spoken("first")
    shelf.now += timedelta(seconds=1)  # of two of one moment either may be removed first
    second = await shelf.spoken("second")
    files = Watched(lambda: shelf.use(second))
    files.files = shelf.files.files
    shelf.files = files
    shelf.now += timedelta(seconds=WEEK + 1)
    assert (await shelf.tick()).files == 1
    assert await shelf.ids() == {second.id}
    assert f"{shelf.user}/{second.id}.mp3" in files.files
    assert f"{shelf.user}/{first.id}.mp3" not in files.files


async def test_more_than_a_page_goes_in_one_tick(shelf: Shelf) -> None:
    for number in range(5):
        await shelf.spoken(f"text {number}")
    shelf.now += timedelta(seconds=WEEK + 1)
    assert await shelf.tick(page=2) == Expired(files=5, parts=5)
    assert shelf.files.files == {}


async def test_a_tick_is_told_with_the_usage_of_everybody(shelf: Shelf) -> None:
    times = []
    for _ in range(2):
        shelf.now += timedelta(hours=1)
        await shelf.tick()
        async with shelf.database.read() as tx:
            times.append((await tx.speech.usage(shelf.user, shelf.now)).cleaned_at)
    assert times == [shelf.now - timedelta(hours=1), shelf.now]


async def test_one_that_is_still_being_made_is_left_alone_however_old(shelf: Shelf) -> None:
    file_id = str(uuid4())
    order = SpeechOrder(text="slow", voice="nova")
    async with shelf.database.write() as tx:
        await tx.speech.add(file_id, shelf.user, "speech-slow", order, keep_seconds=WEEK)
    shelf.now += timedelta(seconds=9 * WEEK)
    assert await shelf.tick() == Expired()
    assert await shelf.ids() == {file_id}


async def test_a_death_between_row_and_file_is_made_good_by_reconcile(shelf: Shelf) -> None:
    async def dies() -> None:
        raise Unavailable("Storage does not answer")

    gone = await shelf.spoken("gone")
    files = Watched(dies)
    files.files = shelf.files.files
    shelf.files = files
    shelf.now += timedelta(seconds=WEEK + 1)
    with pytest.raises(Unavailable):
        await shelf.tick()
    assert await shelf.ids() == set()
    assert f"{shelf.user}/{gone.id}.mp3" in files.files
    # The next tick finds no row of it any more: its part alone.
    assert await shelf.tick() == Expired(parts=1)
    assert [*files.files] == [f"{shelf.user}/{gone.id}.mp3"]
    shelf.now += timedelta(seconds=1)
    assert await shelf.heal() == 1
    assert files.files == {}
    assert await shelf.heal() == 0
