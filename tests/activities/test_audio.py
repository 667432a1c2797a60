"""Probe, conversion and headline: what they write, and what they leave."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.audio import AudioActivities, AudioLimits
from activities.headline import HeadlineActivities
from activities.memo import MemoActivities
from contracts.audio import MediaKind, StoredFile
from contracts.errors import (
    InsufficientCredits,
    MediaRejected,
    NotThereYet,
    ProviderBroken,
    Unavailable,
)
from contracts.memo import ConvertAudio, HeadlineMemo, MemoJob, ProbedAudio
from contracts.tiers import Capabilities, TierOffer
from contracts.transcript import join_parts
from contracts.upload_sessions import UploadSession
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.ports import FACTS, MemoryFiles, ScriptedTools, part
from tests.fakes.scripted_model import ScriptedModel

WAV_ONLY = TierOffer(
    name="local", provider="p", capabilities=Capabilities(containers=frozenset({"wav"}))
)
MP4_ONLY = TierOffer(
    name="other", provider="p", capabilities=Capabilities(containers=frozenset({"mov"}))
)


class Silence:
    async def speech_seconds(self, wav: object) -> float:
        return 0.0

    async def cutting_places(self, wav: object) -> list[tuple[float, bool, float]]:
        return [(90.0, True, 0.0)]


class Endless(Silence):
    """Looks for places until it is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = False

    async def cutting_places(self, wav: object) -> list[tuple[float, bool, float]]:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise AssertionError


class FullFiles(MemoryFiles):
    """Has no room once the cutting has begun."""

    def __init__(self, voice: Endless) -> None:
        super().__init__()
        self._voice = voice

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:
        await self._voice.begun.wait()
        raise Unavailable("There is no room")


class Bench:
    def __init__(
        self,
        database: Database,
        tools: ScriptedTools | None = None,
        *,
        voice: Silence | None = None,
        files: MemoryFiles | None = None,
    ) -> None:
        self.files = files or MemoryFiles()
        self.database = database
        self.memo = MemoActivities(database, self.files)
        self.audio = AudioActivities(
            database=database,
            files=self.files,
            tools=tools or ScriptedTools(),
            voice=voice or Silence(),
            offers=(WAV_ONLY, MP4_ONLY),
            limits=AudioLimits(max_seconds=3600),
        )

    async def ready(self, job: MemoJob) -> MemoJob:
        self.files.files[job.audio_path] = b"RIFF"
        await self.memo.reserve(job)
        return job

    async def probe(self, job: MemoJob, *, waited: float = 0, attempt: int = 1) -> ProbedAudio:
        environment = ActivityEnvironment()
        now = datetime.now(UTC)
        environment.info = dataclasses.replace(
            environment.info,
            scheduled_time=now,
            current_attempt_scheduled_time=now + timedelta(seconds=waited),
            attempt=attempt,
        )
        return await environment.run(self.audio.probe, job)


async def test_the_probe_plans_the_tiers_and_corrects_the_hold(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database)
    job = await bench.ready(await new_memo(claimed_seconds=3600))
    probed = await bench.probe(job)
    assert probed.held == 3
    assert [(tier.name, tier.convert) for tier in probed.plan] == [
        ("local", False),
        ("other", True),
    ]
    async with database.read() as tx:
        assert (await tx.credits.balance(job.user_id)).held == 3


async def test_a_longer_recording_than_claimed_needs_the_credits_before_any_vendor(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database, ScriptedTools(FACTS.model_copy(update={"seconds": 3590})))
    job = await bench.ready(await new_memo(claimed_seconds=3500))
    async with database.write() as tx:
        await tx.credits.hold(job.user_id, "another", "another:hold", 32)
    with pytest.raises(InsufficientCredits):
        await bench.probe(job)
    async with database.read() as tx:
        assert (await tx.credits.balance(job.user_id)).held == 117 + 32


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sample_rate": 1}, "audio_not_supported"),
        ({"channels": 17}, "audio_not_supported"),
        ({"seconds": 3601}, "audio_too_long"),
    ],
)
async def test_absurd_numbers_are_refused(
    database: Database, new_memo: NewMemo, changed: dict[str, float], code: str
) -> None:
    bench = Bench(database, ScriptedTools(FACTS.model_copy(update=changed)))
    job = await bench.ready(await new_memo())
    with pytest.raises(MediaRejected) as caught:
        await bench.probe(job)
    assert caught.value.code == code


async def test_a_file_on_its_way_is_asked_for_again_until_the_wait_is_over(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database)
    job = await new_memo()
    await bench.memo.reserve(job)
    with pytest.raises(NotThereYet) as first:
        await bench.probe(job)
    assert first.value.retry_after == 0.25
    with pytest.raises(NotThereYet) as later:
        await bench.probe(job, waited=59, attempt=20)
    assert later.value.retry_after == 5
    with pytest.raises(MediaRejected) as over:
        await bench.probe(job, waited=60, attempt=21)
    assert over.value.code == "audio_not_found"


async def test_a_file_that_is_being_uploaded_is_waited_for_while_bytes_of_it_come(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database)
    job = await new_memo(audio_wait_seconds=0.3)
    await bench.memo.reserve(job)
    upload = UploadSession(
        id=str(uuid4()),
        user_id=job.user_id,
        key=job.audio_path,
        media_type="audio/wav",
        length=100,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    async with database.write() as tx:
        await tx.uploads.add(upload)
    for received in (10, 20):
        async with database.write() as tx:
            moved = await tx.uploads.advance(upload, received, sniffed=True)
        assert moved is not None
        upload = moved
        with pytest.raises(NotThereYet):
            await bench.probe(job, waited=3600, attempt=900)
    await asyncio.sleep(0.35)
    with pytest.raises(MediaRejected) as over:
        await bench.probe(job, waited=3600, attempt=900)
    assert over.value.code == "audio_not_found"


async def test_a_conversion_leaves_one_work_file_however_often_it_is_done(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database)
    job = await bench.ready(await new_memo())
    order = ConvertAudio(job=job, facts=FACTS)
    converted = await ActivityEnvironment().run(bench.audio.convert, order)
    assert await ActivityEnvironment().run(bench.audio.convert, order) == converted
    assert set(bench.files.files) == {job.audio_path, converted.key}
    async with database.read() as tx:
        assert await tx.media.of_job(job.job_id, job.user_id, MediaKind.WORK) == [converted.key]
    await bench.memo.discard_work(job)
    assert set(bench.files.files) == {job.audio_path}


async def test_a_conversion_for_chunks_says_where_to_cut(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database)
    job = await bench.ready(await new_memo())
    order = ConvertAudio(job=job, facts=FACTS, chunk_seconds=40)
    converted = await ActivityEnvironment().run(bench.audio.convert, order)
    chunks = converted.chunks
    assert [chunks[0].start, *(chunk.end for chunk in chunks)] == [0, 36, 72, FACTS.seconds]
    assert converted.key in bench.files.files


async def test_a_storage_that_fails_ends_the_cutting_too(
    database: Database, new_memo: NewMemo
) -> None:
    voice = Endless()
    bench = Bench(database, voice=voice, files=FullFiles(voice))
    job = await bench.ready(await new_memo())
    order = ConvertAudio(job=job, facts=FACTS, chunk_seconds=40)
    with pytest.raises(Unavailable, match="no room"):
        await ActivityEnvironment().run(bench.audio.convert, order)
    assert voice.cancelled


async def headline_of(
    database: Database, job: MemoJob, model: ScriptedModel, text: str = "hello world"
) -> None:
    async with database.write() as tx:
        transcript = join_parts([part(0, 90, text)], 90)
        ref = await tx.transcripts.save(job.job_id, job.user_id, job.memo_id, "local", transcript)
    activities = HeadlineActivities(database, model)
    order = HeadlineMemo(job=job, transcript=ref)
    await ActivityEnvironment().run(activities.headline, order)


async def test_a_headline_is_written_on_the_memo_in_the_language_heard(
    database: Database, new_memo: NewMemo
) -> None:
    bench, model = Bench(database), ScriptedModel()
    job = await bench.ready(await new_memo())
    await headline_of(database, job, model)
    assert [request.language for request in model.requests] == ["en-US"]
    async with database.read() as tx:
        row = await tx.memos.find(job.memo_id, job.user_id)
    assert row is not None
    assert (row.title, row.intro) == ("A title", "One. Two.")


async def test_a_title_the_user_wrote_is_kept(database: Database, new_memo: NewMemo) -> None:
    bench = Bench(database)
    job = await bench.ready(await new_memo())
    async with database.write() as tx:
        await tx.memos.patch(job.memo_id, job.user_id, title="Mine")
    await headline_of(database, job, ScriptedModel())
    async with database.read() as tx:
        row = await tx.memos.find(job.memo_id, job.user_id)
    assert row is not None
    assert row.title == "Mine"


async def test_a_failed_headline_writes_nothing_over_the_old_title(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database)
    job = await bench.ready(await new_memo())
    with pytest.raises(ProviderBroken):
        await headline_of(database, job, ScriptedModel(ProviderBroken("empty")))
    async with database.read() as tx:
        row = await tx.memos.find(job.memo_id, job.user_id)
    assert row is not None
    assert row.title == "New recording"
