"""Language jobs against a real ledger: written once, charged once, nothing left behind."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from activities import liveness
from activities.endings import Endings
from activities.language_ports import Workbook
from activities.memo import MemoActivities
from contracts.errors import (
    Conflict,
    InsufficientCredits,
    NoSpeech,
    NotFound,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
)
from contracts.jobs import JobFailure, JobState, StaleJob, Step
from contracts.language import MemoryPrompt, ModelCall, Purpose, Usage, Use
from contracts.language_job import EndLanguage, LanguageOrder
from contracts.tiers import Attempt, AttemptOutcome
from store.database import Database
from tests.activities.writing import LINES, NewBench
from tests.fakes.ports import MemoryFiles
from tests.fakes.scripted_model import ScriptedModel


async def test_reserving_twice_holds_the_price_once(bench: NewBench) -> None:
    job = await bench(reserved=False)
    for _ in range(2):
        reserved = await job.activities.reserve_language(job.job)
        assert (reserved.present, reserved.held) == (True, 5)
    assert (await job.balance()).held == 5
    assert (await job.row()).state is JobState.RUNNING


async def test_short_of_credits_calls_no_model_and_leaves_the_job_as_it_was(
    bench: NewBench,
) -> None:
    job = await bench(reserved=False)
    dear = job.job.model_copy(update={"price": 151})
    with pytest.raises(InsufficientCredits):
        await job.activities.reserve_language(dear)
    assert (await job.row()).state is JobState.QUEUED


async def test_a_job_that_was_withdrawn_or_cancelled_is_not_begun(bench: NewBench) -> None:
    job = await bench(reserved=False)
    await job.end(JobState.CANCELLED)
    assert not (await job.activities.reserve_language(job.job)).present


async def test_an_answer_is_a_memory_charged_once_however_often_it_is_asked_for(
    bench: NewBench,
) -> None:
    job = await bench()
    first, second = await job.write(), await job.write()
    assert first == second
    assert len(job.model.requests) == 1
    (memory,) = await job.memories()
    assert (memory.id, memory.title) == (first.memory_ids[0], "Who owns the boat?")
    assert memory.content == "Answer to Who owns the boat?"
    assert memory.metadata == {
        "type": "question",
        "question": "Who owns the boat?",
        "found": True,
        "extract": False,
        "jobId": job.job.job_id,
        "engine": "one",
        "prompt": "question.1",
    }
    now = await job.balance()
    assert (now.credits, now.held, now.total_spent) == (145, 0, 5)
    row = await job.row()
    assert row.state is JobState.COMPLETED
    assert row.result is not None
    assert row.result["memoryIds"] == [memory.id]
    assert "boat" not in str(row.result) + str(row.request)
    assert await job.broken() == []


async def test_an_answer_that_nothing_was_found_is_an_answer_and_charged(bench: NewBench) -> None:
    job = await bench()
    job.model.found = False
    await job.write()
    (memory,) = await job.memories()
    assert memory.metadata["found"] is False
    assert (await job.balance()).total_spent == 5


async def test_the_model_is_given_what_was_said_in_the_language_it_was_said_in(
    bench: NewBench,
) -> None:
    job = await bench(Use.COMBINE, LanguageOrder(instruction="Be brief", role="A clerk"), memos=2)
    await job.write()
    (request,) = job.model.requests
    assert (request.language, request.instruction, request.role) == ("en-US", "Be brief", "A clerk")
    assert [source.transcript.utterances[0].text for source in request.sources] == [LINES[0]] * 2


async def test_memos_combined_are_a_new_memo_with_nothing_left_to_do(
    bench: NewBench, database: Database
) -> None:
    job = await bench(Use.COMBINE, LanguageOrder(metadata={"blueprintId": "b"}), memos=3)
    ref = await job.write()
    memo = await job.memo()
    assert ref.memo_id == memo.id == job.job.subject_id
    assert (memo.title, memo.intro, memo.job_id) == ("Both", "Two in one.", job.job.job_id)
    assert memo.source["type"] == "combined"
    assert memo.source["source_memo_ids"] == list(job.job.memo_ids)
    assert memo.source["transcript"] == "All of both."
    assert (memo.source["primary_language"], memo.source["languages"]) == ("en-US", ["en-US"])
    processing = memo.metadata["processing"]
    assert {name: each["status"] for name, each in processing.items()} == {
        "transcription": "completed",
        "headline_and_intro": "completed",
    }
    assert memo.metadata["blueprintId"] == "b"
    async with database.read() as tx:
        assert (await tx.memos.page(job.job.user_id, limit=9)).total == 4
    assert await job.broken() == []


async def test_a_memory_is_called_what_its_prompt_says_or_else_what_the_model_says(
    bench: NewBench,
) -> None:
    named = await bench(Use.MEMORY, LanguageOrder(instruction="List", title="Tasks"))
    await named.write()
    unnamed = await bench(Use.MEMORY, LanguageOrder(instruction="List"))
    await unnamed.write()
    titles = [(await job.memories())[0].title for job in (named, unnamed)]
    assert titles == ["Tasks", "Made up"]


async def test_a_blueprint_writes_its_memories_in_its_order(bench: NewBench) -> None:
    prompts = (
        MemoryPrompt(title="First", text="a", prompt_id="p1"),
        MemoryPrompt(text="b", prompt_id="p2"),
    )
    order = LanguageOrder(prompts=prompts, metadata={"blueprintId": "b"})
    job = await bench(Use.BLUEPRINT, order)
    await job.write()
    found = await job.memories()
    assert [(m.title, m.content, m.sort_order, m.metadata["promptId"]) for m in found] == [
        ("First", "a", 0, "p1"),
        ("Made up", "b", 1, "p2"),
    ]
    assert {m.metadata["blueprintId"] for m in found} == {"b"}
    assert (await job.memo()).metadata["processing"]["blueprint"]["status"] == "completed"


async def test_a_headline_is_free_and_leaves_a_title_set_by_hand(
    bench: NewBench, database: Database
) -> None:
    job = await bench(Use.HEADLINE, LanguageOrder())
    async with database.write() as tx:
        await tx.memos.patch(job.job.subject_id, job.job.user_id, title="Mine")
    await job.write()
    memo = await job.memo()
    assert (memo.title, memo.intro) == ("Mine", "One. Two.")
    told = memo.metadata["processing"]["headline_and_intro"]
    assert (told["status"], told["engine"], told["prompt"]) == ("completed", "one", "headline.1")
    assert told["charactersRead"] == told["charactersTotal"] > 0
    now = await job.balance()
    assert (now.total_spent, now.held) == (0, 0)
    assert await job.broken() == []


async def test_every_call_is_one_attempt_written_before_it_is_made(bench: NewBench) -> None:
    seen: list[Sequence[Attempt]] = []

    async def look(_: Workbook) -> None:
        seen.append(await job.attempts())

    job = await bench(model=ScriptedModel(between=look))
    await job.write()
    ((begun,),) = seen
    assert (begun.outcome, begun.step, begun.tier) == (None, "write", "gemini")
    (ended,) = await job.attempts()
    assert (ended.outcome, ended.seconds) == (AttemptOutcome.SUCCEEDED, 0.5)


async def test_the_local_engines_call_is_written_when_it_is_over(bench: NewBench) -> None:
    seen: list[Sequence[Attempt]] = []

    async def look(_: Workbook) -> None:
        seen.append(await job.attempts())

    job = await bench(model=ScriptedModel(tier="local", between=look))
    await job.write()
    assert seen == [[]]
    (ended,) = await job.attempts()
    assert (ended.outcome, ended.tier, ended.step) == (AttemptOutcome.SUCCEEDED, "local", "write")


async def test_busy_models_are_tried_again_so_often_and_no_more(bench: NewBench) -> None:
    job = await bench(model=ScriptedModel(*[ProviderBusy("429")] * 3))
    with pytest.raises(ProviderBusy) as first:
        await job.write()
    assert (first.value.final, first.value.retry_after) == (False, 3)
    with pytest.raises(ProviderFailure) as second:
        await job.write()
    assert (second.value.final, second.value.code) == (True, "provider_busy")
    await job.end(JobState.FAILED, JobFailure(code="provider_busy", message="429"))
    now = await job.balance()
    assert (now.credits, now.held) == (150, 0)
    assert [a.error_code for a in await job.attempts()] == ["provider_busy"] * 2
    assert await job.broken() == []


@pytest.mark.parametrize("failure", [ProviderOut("401"), NoSpeech("nothing was said")])
async def test_a_failure_for_good_is_one_at_once(bench: NewBench, failure: ProviderFailure) -> None:
    job = await bench(model=ScriptedModel(failure))
    with pytest.raises(type(failure)):
        await job.write()
    assert await job.memories() == []


async def test_a_call_whose_worker_died_is_closed_and_counts_as_a_try(bench: NewBench) -> None:
    job = await bench()
    call = ModelCall(
        number=1, tier="gemini", provider="scripted", engine="one", purpose=Purpose.WRITE
    )

    again = ActivityEnvironment()
    again.info = replace(again.info, attempt=2)
    async with job.database.write() as tx:
        await tx.attempts.begin_beside(
            job.job.job_id, job.job.user_id, call, round=1, step=Step.WRITE
        )
    await again.run(job.activities.write_language, job.job)
    lost, served = await job.attempts()
    assert (lost.outcome, lost.error_code) == (AttemptOutcome.FAILED, "worker_lost")
    assert served.outcome is AttemptOutcome.SUCCEEDED


async def test_a_job_that_kills_its_workers_is_given_up_without_another_call(
    bench: NewBench,
) -> None:
    job = await bench()
    call = ModelCall(
        number=1, tier="gemini", provider="scripted", engine="one", purpose=Purpose.WRITE
    )
    async with job.database.write() as tx:
        await tx.language.count_vain(job.job.job_id, job.job.user_id, 1)
        await tx.attempts.begin_beside(
            job.job.job_id, job.job.user_id, call, round=1, step=Step.WRITE
        )
    again = ActivityEnvironment()
    again.info = replace(again.info, attempt=2)
    with pytest.raises(ProviderFailure) as caught:
        await again.run(job.activities.write_language, job.job)
    assert caught.value.code == "worker_lost"
    assert [a.error_code for a in await job.attempts()] == ["worker_lost"]


async def test_what_comes_after_the_jobs_end_is_written_nowhere(bench: NewBench) -> None:
    async def cancel(_: Workbook) -> None:
        assert await job.end(JobState.CANCELLED) is JobState.CANCELLED

    job = await bench(model=ScriptedModel(between=cancel))
    with pytest.raises(Conflict):
        await job.write()
    assert await job.memories() == []
    assert [a.outcome for a in await job.attempts()] == [AttemptOutcome.SUPERSEDED]
    assert (await job.balance()).credits == 150
    assert await job.broken() == []


async def test_an_end_that_comes_after_the_answer_leaves_it(bench: NewBench) -> None:
    job = await bench()
    ref = await job.write()
    ended = await job.activities.end_language(EndLanguage(job=job.job, state=JobState.CANCELLED))
    assert (ended.state, ended.charged, ended.written) == (JobState.COMPLETED, 5, ref)
    assert (await job.balance()).total_spent == 5


async def test_a_cancelled_job_stops_its_call_within_seconds(
    bench: NewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "LOOK_SECONDS", 0.02)

    async def cancel(_: Workbook) -> None:
        await job.end(JobState.CANCELLED)
        await asyncio.sleep(30)

    job = await bench(model=ScriptedModel(between=cancel))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(job.write(), 60)


async def test_a_memo_that_is_gone_is_not_written_about(
    bench: NewBench, database: Database
) -> None:
    job = await bench()
    async with database.write() as tx:
        await tx.memos.mark_deleted(job.job.subject_id, job.job.user_id)
    with pytest.raises(NotFound):
        await job.write()
    assert job.model.requests == []


async def test_notes_are_gone_when_their_job_has_ended(bench: NewBench) -> None:
    async def note(book: Workbook) -> None:
        call = ModelCall(
            number=2, tier="gemini", provider="scripted", engine="one", purpose=Purpose.NOTES
        )
        await book.began(call)
        over = {"outcome": AttemptOutcome.SUCCEEDED, "seconds": 0.1, "usage": Usage()}
        await book.ended(call.model_copy(update=over))
        await book.keep_notes("k", "the boat")
        assert await book.notes("k") == "the boat"

    written = await bench(model=ScriptedModel(between=note))
    await written.write()
    failed = await bench(model=ScriptedModel(ProviderOut("401"), between=note))
    with pytest.raises(ProviderOut):
        await failed.write()
    assert [a.step for a in await failed.attempts()] == ["write", "notes"]
    await failed.end(JobState.FAILED)
    for job in (written, failed):
        async with job.database.read() as tx:
            assert await tx.language.notes(job.job.job_id, job.job.user_id, "k") is None
        assert await job.broken() == []


async def test_a_job_without_its_workflow_is_ended_and_holds_nothing(bench: NewBench) -> None:
    job = await bench()
    endings = Endings(job.database, MemoActivities(job.database, MemoryFiles()), job.activities)
    stale = StaleJob(
        id=job.job.job_id,
        kind=job.job.use,
        user_id=job.job.user_id,
        request=job.job.model_dump(mode="json"),
    )
    await endings.end(stale, JobState.FAILED, JobFailure(code="workflow_ended", message="x"))
    assert (await job.row()).state is JobState.FAILED
    assert (await job.balance()).held == 0
