"""Reconcile and erase: what fell between is mended, what is erased is gone."""

import pytest
from temporalio.testing import ActivityEnvironment

from activities.batch import StagingSweep
from activities.endings import Endings
from activities.erase import EraseActivities
from activities.language import LanguageActivities
from activities.memo import MemoActivities
from activities.reconcile import ReconcileActivities, ReconcileAges
from activities.transcription import TierBounds
from activities.uploads import UploadSweep
from contracts import ids
from contracts.audio import MediaKind
from contracts.errors import NotThereYet, Unavailable
from contracts.jobs import JobState, Step
from contracts.language import Use
from contracts.language_job import LanguageJob, LanguageOrder
from contracts.memo import EraseJob, EraseReceipt, Healed, MemoJob
from contracts.transcript import join_parts
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.ports import MemoryFiles, RecordingStarter, part
from tests.fakes.scripted_model import ScriptedModel

AT_ONCE = ReconcileAges(queued=0, running=0, file=0)


class Bench:
    def __init__(self, database: Database, ages: ReconcileAges = AT_ONCE) -> None:
        self.database = database
        self.files = MemoryFiles()
        self.starter = RecordingStarter()
        self.memo = MemoActivities(database, self.files)
        bounds = TierBounds(tries=2, backoff_seconds=2)
        self.language = LanguageActivities(database, ScriptedModel(), bounds)
        endings = Endings(database, self.memo, self.language)
        self.reconcile = ReconcileActivities(
            database,
            self.files,
            self.starter,
            endings,
            ages,
            uploads=UploadSweep(database, self.files),
            staged=StagingSweep({}),
        )
        self.eraser = EraseActivities(database, self.files, self.starter, endings)

    async def heal(self) -> Healed:
        return await ActivityEnvironment().run(self.reconcile.heal)

    async def erase(self, job: EraseJob) -> EraseReceipt:
        return await ActivityEnvironment().run(self.eraser.erase_memo, job)

    async def state(self, job: MemoJob) -> JobState | None:
        async with self.database.read() as tx:
            return await tx.jobs.state(job.job_id, job.user_id)


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


async def test_a_row_whose_start_was_lost_is_started_with_its_own_input(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    assert (await bench.heal()).started == 1
    assert bench.starter.started == [
        (ids.MEMO, job.job_id, job.user_id, job.model_dump(mode="json"))
    ]
    assert (await bench.heal()).started == 0


async def test_a_row_that_is_being_started_just_now_is_left_alone(
    database: Database, new_memo: NewMemo
) -> None:
    bench = Bench(database, ReconcileAges())
    await new_memo()
    assert await bench.heal() == Healed()


async def test_a_job_whose_workflow_was_ended_from_outside_fails_and_is_released(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    assert (await bench.heal()).failed == 1
    assert await bench.state(job) is JobState.FAILED
    async with bench.database.read() as tx:
        assert (await tx.credits.balance(job.user_id)).held == 0


async def test_an_address_goes_with_its_job_however_that_ends(
    bench: Bench, new_memo: NewMemo
) -> None:
    lost, ended = await new_memo(fetch=True), await new_memo(fetch=True)
    for job in (lost, ended):
        await bench.memo.reserve(job)
    async with bench.database.write() as tx:
        await tx.addresses.keep(lost.job_id, lost.user_id, "plain:x")
        await tx.addresses.keep(ended.job_id, ended.user_id, "plain:y")
        await tx.jobs.move(ended.job_id, ended.user_id, JobState.FAILED, step=Step.DONE)
    await bench.heal()
    async with bench.database.read() as tx:
        assert await tx.addresses.find(lost.job_id, lost.user_id) is None
        assert await tx.addresses.find(ended.job_id, ended.user_id) is None


async def test_a_secret_that_the_end_of_its_job_left_is_swept_and_one_in_use_stays(
    bench: Bench, new_memo: NewMemo
) -> None:
    ended, running = await new_memo(), await new_memo()
    for job in (ended, running):
        await bench.memo.reserve(job)
    bench.starter.live.add(running.job_id)
    async with bench.database.write() as tx:
        for job in (ended, running):
            await tx.secrets.keep(job.job_id, job.user_id, "sealed")
        await tx.jobs.move(ended.job_id, ended.user_id, JobState.FAILED, step=Step.DONE)
    await bench.heal()
    async with bench.database.read() as tx:
        assert await tx.secrets.find(ended.job_id, ended.user_id) is None
        assert await tx.secrets.find(running.job_id, running.user_id) == "sealed"


async def test_a_job_whose_workflow_runs_is_left_alone(bench: Bench, new_memo: NewMemo) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    bench.starter.live.add(job.job_id)
    assert await bench.heal() == Healed()
    assert await bench.state(job) is JobState.RUNNING


async def test_work_files_of_ended_jobs_and_uploads_without_memo_are_removed(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    bench.files.files |= {"u/m/work/a.wav": b"x", "u/n/audio.wav": b"y", job.audio_path: b"z"}
    async with bench.database.write() as tx:
        await tx.media.add(
            "u/m/work/a.wav", job.user_id, kind=MediaKind.WORK, memo_id=None, job_id=job.job_id
        )
        await tx.media.add(
            "u/n/audio.wav", job.user_id, kind=MediaKind.UPLOAD, memo_id=None, job_id=None
        )
    await bench.heal()
    await bench.heal()
    assert set(bench.files.files) == {job.audio_path}


async def test_a_hold_whose_job_has_ended_is_released(bench: Bench, new_memo: NewMemo) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    async with bench.database.write() as tx:
        await tx.jobs.move(job.job_id, job.user_id, JobState.CANCELLED, step=Step.DONE)
    assert (await bench.heal()).holds_released == 1
    assert (await bench.heal()).holds_released == 0
    async with bench.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
    assert (balance.credits, balance.held) == (150, 0)


async def test_temporal_away_fails_the_tick_and_mends_nothing(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    bench.starter.failure = Unavailable("Temporal does not answer")
    with pytest.raises(Unavailable):
        await bench.heal()
    assert await bench.state(job) is JobState.QUEUED


async def erase_job(bench: Bench, job: MemoJob) -> EraseJob:
    erase = EraseJob(job_id=ids.erase_job(job.memo_id), user_id=job.user_id, memo_id=job.memo_id)
    async with bench.database.write() as tx:
        await tx.jobs.create(
            erase.job_id,
            job.user_id,
            kind=ids.ERASE,
            subject_id=job.memo_id,
            request=erase.model_dump(mode="json"),
            deadline_seconds=3600,
        )
        await tx.memos.mark_deleted(job.memo_id, job.user_id)
    return erase


async def test_erasing_waits_for_the_memos_own_job_to_end(bench: Bench, new_memo: NewMemo) -> None:
    job = await new_memo()
    await bench.memo.reserve(job)
    bench.starter.live.add(job.job_id)
    erase = await erase_job(bench, job)
    with pytest.raises(NotThereYet):
        await bench.eraser.stop_memo(erase)
    assert bench.starter.cancelled == [job.job_id]


async def test_erasing_ends_a_job_that_never_got_its_workflow(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    erase = await erase_job(bench, job)
    await bench.eraser.stop_memo(erase)
    assert await bench.state(job) is JobState.CANCELLED


async def test_erasing_twice_removes_once_and_leaves_a_receipt(
    bench: Bench, new_memo: NewMemo
) -> None:
    job = await new_memo()
    bench.files.files[job.audio_path] = b"x"
    async with bench.database.write() as tx:
        transcript = join_parts([part(0, 90, "secret words")], 90)
        await tx.transcripts.save(job.job_id, job.user_id, job.memo_id, "local", transcript)
    erase = await erase_job(bench, job)
    await bench.eraser.stop_memo(erase)
    receipt = await bench.erase(erase)
    assert (receipt.files, receipt.transcripts) == (1, 1)
    await bench.erase(erase)
    assert bench.files.files == {}
    async with bench.database.read() as tx:
        found = await tx.jobs.find(erase.job_id, job.user_id)
        assert await tx.memos.find(job.memo_id, job.user_id) is None
    assert found is not None
    assert (found.state, found.result) == (JobState.COMPLETED, receipt.model_dump())


async def test_erasing_a_memo_stops_what_writes_about_it_and_forgets_what_was_asked(
    bench: Bench, database: Database, new_memo: NewMemo
) -> None:
    memo = await new_memo()
    job = LanguageJob(
        job_id=ids.language_job(Use.QUESTION, memo.memo_id),
        use=Use.QUESTION,
        user_id=memo.user_id,
        subject_id=memo.memo_id,
        memo_ids=(memo.memo_id,),
        price=5,
    )
    own = (job.job_id, job.user_id)
    async with database.write() as tx:
        await tx.jobs.create(
            *own,
            kind=job.use,
            subject_id=job.subject_id,
            request=job.model_dump(mode="json"),
            deadline_seconds=60,
        )
        await tx.language.order(job, LanguageOrder(instruction="Who owns the boat?"))
        await tx.language.keep_notes(*own, "k", "notes on the boat")
        await tx.memos.mark_deleted(memo.memo_id, memo.user_id)
    await bench.language.reserve_language(job)
    erase = EraseJob(job_id=ids.erase_job(memo.memo_id), user_id=memo.user_id, memo_id=memo.memo_id)
    bench.starter.live.add(job.job_id)
    with pytest.raises(NotThereYet):
        await ActivityEnvironment().run(bench.eraser.stop_memo, erase)
    assert job.job_id in bench.starter.cancelled
    bench.starter.live.clear()
    await ActivityEnvironment().run(bench.eraser.stop_memo, erase)
    async with database.write() as tx:
        assert await tx.jobs.state(*own) is JobState.CANCELLED
        assert (await tx.credits.balance(memo.user_id)).held == 0
        await tx.jobs.create(
            erase.job_id,
            erase.user_id,
            kind=ids.ERASE,
            subject_id=erase.memo_id,
            request=erase.model_dump(),
            deadline_seconds=60,
        )
    assert (await bench.erase(erase)).requests == 1
    async with database.read() as tx:
        assert await tx.language.order_of(*own) is None
        assert await tx.language.notes(*own, "k") is None
