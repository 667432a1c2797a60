"""Fetching a recording: what is written, counted, and left behind."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest
from temporalio.testing import ActivityEnvironment

from activities.fetch import FetchActivities, FetchLimits
from contracts.audio import MediaKind, StoredFile
from contracts.errors import (
    Conflict,
    Failure,
    MediaRejected,
    NotFound,
    Rejected,
    Unavailable,
    Unreachable,
    UnsupportedMedia,
)
from contracts.jobs import JobState, Step
from contracts.memo import FetchedAudio, MemoJob
from runtime.seals import Seals
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.api.front import wav
from tests.fakes.ports import MemoryFiles

URL: Final = "https://media.example/memo?signature=planted"
CUT_OFF: Final = Unreachable("cut off", code="answer_cut_off")


class OneDownload:
    """What a server sends, piece by piece; a failure among them is raised."""

    def __init__(self, pieces: Sequence[bytes | Failure]) -> None:
        self._pieces = pieces

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for piece in self._pieces:
            if isinstance(piece, Failure):
                raise piece
            yield piece


class Source:
    """Gives one answer after the other."""

    def __init__(self, *answers: Sequence[bytes | Failure] | Failure) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    @asynccontextmanager
    async def opened(self, url: str, *, max_bytes: int) -> AsyncIterator[OneDownload]:
        self.asked.append((url, max_bytes))
        answer = self._answers.pop(0)
        if isinstance(answer, Failure):
            raise answer
        yield OneDownload(answer)


class EndingFiles(MemoryFiles):
    """Storage during whose work the job ends."""

    def __init__(self, database: Database, job: MemoJob) -> None:
        super().__init__()
        self._database = database
        self._job = job

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        stored = await super().put(key, chunks, media_type=media_type)
        await end(self._database, self._job)
        return stored


async def end(database: Database, job: MemoJob) -> None:
    async with database.write() as tx:
        await tx.jobs.move(job.job_id, job.user_id, JobState.CANCELLED, step=Step.DONE)


@pytest.fixture
async def job(database: Database, new_memo: NewMemo) -> MemoJob:
    job = await new_memo(fetch=True, address_digest="d")
    async with database.write() as tx:
        await tx.media.remove(job.audio_path, job.user_id)
        await tx.addresses.keep(job.job_id, job.user_id, Seals([]).seal(URL, job.job_id))
        await tx.jobs.move(job.job_id, job.user_id, JobState.RUNNING, step=Step.FETCH)
    return job


def fetching(
    database: Database, source: Source, files: MemoryFiles | None = None, *, tries: int = 3
) -> FetchActivities:
    limits = FetchLimits(max_bytes=1_000_000, tries=tries)
    return FetchActivities(database, files or MemoryFiles(), source, Seals([]), limits)


async def run(activities: FetchActivities, job: MemoJob) -> FetchedAudio:
    return await ActivityEnvironment().run(activities.fetch, job)


async def test_a_recording_is_stored_and_told_and_its_address_forgotten(
    database: Database, job: MemoJob
) -> None:
    content, files = wav(1.0), MemoryFiles()
    source = Source([content[:10], content[10:5000], content[5000:]])
    fetched = await run(fetching(database, source, files), job)
    assert fetched == FetchedAudio(key=job.audio_path, size=len(content))
    assert source.asked == [(URL, 1_000_000)]
    assert files.files == {job.audio_path: content}
    async with database.read() as tx:
        assert await tx.addresses.find(job.job_id, job.user_id) is None
        [*_, told] = await tx.jobs.events_after({job.job_id: 0}, job.user_id)
    assert told.data["step"] == "fetch"
    assert told.data["bytes"] == len(content)
    assert "planted" not in repr(told)


async def test_a_try_whose_answer_was_lost_is_answered_without_asking_again(
    database: Database, job: MemoJob
) -> None:
    source = Source([wav(1.0)])
    await run(fetching(database, source), job)
    again = await run(fetching(database, source), job)
    assert again.key == job.audio_path
    assert len(source.asked) == 1


async def test_without_an_address_and_a_file_it_has_to_be_given_again(
    database: Database, job: MemoJob
) -> None:
    async with database.write() as tx:
        await tx.addresses.forget(job.job_id, job.user_id)
    with pytest.raises(NotFound) as gone:
        await run(fetching(database, Source()), job)
    assert gone.value.code == "media_not_found"


async def test_tries_in_vain_wait_longer_each_time_and_have_an_end(
    database: Database, job: MemoJob
) -> None:
    busy = Unreachable("answered 503", code="media_unavailable", retry_after=120)
    source = Source(CUT_OFF, [wav(1.0)[:4096], CUT_OFF], busy, CUT_OFF)
    files = MemoryFiles()
    activities = fetching(database, source, files, tries=4)
    for pause in (2, 4, 120):
        with pytest.raises(Unreachable) as away:
            await run(activities, job)
        assert (away.value.code, away.value.retry_after) == ("media_unavailable", pause)
    with pytest.raises(MediaRejected) as ended:
        await run(activities, job)
    assert ended.value.code == "media_unavailable"
    assert ended.value.message == "cut off, in 4 tries"
    assert files.files == {}


async def test_our_own_storage_being_away_is_no_try_in_vain(
    database: Database, job: MemoJob
) -> None:
    class Full(MemoryFiles):
        async def put(
            self, key: str, chunks: AsyncIterator[bytes], *, media_type: str
        ) -> StoredFile:
            raise Unavailable("no room", code="storage_full")

    for _ in range(5):
        with pytest.raises(Unavailable) as full:
            await run(fetching(database, Source([wav(1.0)]), Full(), tries=1), job)
        assert full.value.code == "storage_full"


@pytest.mark.parametrize("content", [b"", b"<html>", b"#EXTM3U\n", b"PK\x03\x04" + bytes(99)])
async def test_what_is_no_audio_is_refused_before_anything_is_stored(
    database: Database, job: MemoJob, content: bytes
) -> None:
    files = MemoryFiles()
    with pytest.raises(UnsupportedMedia):
        await run(fetching(database, Source([content]), files), job)
    assert files.files == {}
    async with database.read() as tx:
        assert await tx.media.of_job(job.job_id, job.user_id, MediaKind.WORK) == []


async def test_a_job_that_ends_while_it_fetches_keeps_no_file(
    database: Database, job: MemoJob
) -> None:
    files = EndingFiles(database, job)
    with pytest.raises(Conflict) as ended:
        await run(fetching(database, Source([wav(1.0)]), files), job)
    assert ended.value.code == "job_ended"
    assert files.files == {}
    async with database.read() as tx:
        assert await tx.media.of_job(job.job_id, job.user_id, MediaKind.WORK) == []


async def test_a_job_that_has_ended_stores_nothing(database: Database, job: MemoJob) -> None:
    await end(database, job)
    files = MemoryFiles()
    with pytest.raises(Conflict):
        await run(fetching(database, Source([wav(1.0)]), files), job)
    assert files.files == {}


async def test_an_address_that_cannot_be_opened_is_asked_for_by_nobody(
    database: Database, job: MemoJob
) -> None:
    async with database.write() as tx:
        await tx.addresses.keep(job.job_id, job.user_id, "aesgcm:gone:AAAA")
    source = Source()
    with pytest.raises(Rejected) as broken:
        await run(fetching(database, source), job)
    assert broken.value.code == "seal_broken"
    assert source.asked == []
