"""The language workflow, and the blueprint of a new memo, on a real server with a virtual clock."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.errors import (
    Conflict,
    InsufficientCredits,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    Unavailable,
)
from contracts.jobs import JobFailure, JobState
from contracts.language import Use
from contracts.language_job import (
    EndLanguage,
    LanguageJob,
    LanguageReserved,
    LanguageResult,
    OrderedBlueprint,
)
from contracts.webhooks import Delivery
from tests.workflows.conftest import LanguageRunner, MemoRunner
from tests.workflows.script import BLOCK, Script, written

BUSY = ProviderBusy("429", retry_after=60)


def ending(script: Script) -> EndLanguage:
    (order,) = script.asked("end_language")
    assert isinstance(order, EndLanguage)
    return order


async def failure_of(writing: LanguageRunner, script: Script) -> str:
    with pytest.raises(WorkflowFailureError) as caught:
        await writing.run(script)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type is not None
    return cause.type


@pytest.mark.parametrize("use", list(Use))
async def test_every_use_is_reserved_and_written_and_nothing_more(
    writing: LanguageRunner, use: Use
) -> None:
    script = Script()
    result = await writing.run(script, use)
    assert script.names() == ["reserve_language", "write_language"]
    assert (result.state, result.charged, result.written) == (JobState.COMPLETED, 5, written())


async def test_what_tells_of_the_charge_is_sent_before_the_job_ends(
    writing: LanguageRunner,
) -> None:
    told = Delivery(event_id="e", endpoint_id="p", user_id="u")
    ref = written().model_copy(update={"announced": (told,)})
    script = Script(write_language=[ref])
    assert (await writing.run(script)).state is JobState.COMPLETED
    (sent,) = script.asked("deliver_webhooks")
    assert [job.delivery for job in sent.jobs] == [told]


async def test_a_job_that_was_withdrawn_ends_without_any_effect(writing: LanguageRunner) -> None:
    script = Script(reserve_language=[LanguageReserved(present=False)])
    assert (await writing.run(script)).state is JobState.CANCELLED
    assert script.names() == ["reserve_language"]


async def test_short_of_credits_fails_before_any_model_is_called(writing: LanguageRunner) -> None:
    script = Script(reserve_language=[InsufficientCredits(5, 1)])
    assert await failure_of(writing, script) == "insufficient_credits"
    assert script.names() == ["reserve_language", "end_language"]


async def test_busy_models_are_asked_again_and_then_serve(writing: LanguageRunner) -> None:
    script = Script(write_language=[BUSY, BUSY, written()])
    assert (await writing.run(script)).state is JobState.COMPLETED
    assert len(script.asked("write_language")) == 3


async def test_models_busy_once_too_often_fail_the_job_free_of_charge(
    writing: LanguageRunner,
) -> None:
    given_up = ProviderFailure("429", code="provider_busy")
    script = Script(write_language=[BUSY, BUSY, given_up])
    assert await failure_of(writing, script) == "provider_busy"
    assert len(script.asked("write_language")) == 3
    assert ending(script).state is JobState.FAILED
    assert ending(script).failure == JobFailure(code="provider_busy", message="429")


async def test_no_model_that_can_serve_fails_the_job_at_once(writing: LanguageRunner) -> None:
    script = Script(write_language=[ProviderOut("401")])
    assert await failure_of(writing, script) == "provider_out"
    assert len(script.asked("write_language")) == 1


async def test_a_database_that_is_away_for_hours_is_waited_for(writing: LanguageRunner) -> None:
    away = Unavailable("no answer", retry_after=1800)
    script = Script(
        reserve_language=[away] * 6 + [LanguageReserved(present=True, held=5)],
        write_language=[away] * 6 + [written()],
    )
    assert (await writing.run(script)).state is JobState.COMPLETED


async def test_a_cancelled_job_ends_cancelled_and_its_call_is_let_go(
    writing: LanguageRunner,
) -> None:
    script = Script(write_language=[BLOCK])
    async with writing.started(script) as handle:
        await asyncio.wait_for(script.blocked.wait(), 60)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert ending(script).state is JobState.CANCELLED


@pytest.mark.parametrize("failure", [Conflict("ended", code="job_ended"), ProviderOut("401")])
async def test_what_was_written_before_the_end_came_is_the_result(
    writing: LanguageRunner, failure: Exception
) -> None:
    stands = LanguageResult(state=JobState.COMPLETED, charged=5, written=written())
    script = Script(write_language=[failure], end_language=[stands])
    assert await writing.run(script) == stands


def blueprint_of(memo_id: str, user_id: str) -> OrderedBlueprint:
    return OrderedBlueprint(
        job=LanguageJob(
            job_id=f"blueprint-{memo_id}",
            use=Use.BLUEPRINT,
            user_id=user_id,
            subject_id=memo_id,
            memo_ids=(memo_id,),
            price=5,
        )
    )


async def test_a_memos_blueprint_is_written_by_a_job_of_its_own_before_the_memo_is_announced(
    memos: MemoRunner,
) -> None:
    job = memos.job(blueprint_id="b")
    script = Script(order_blueprint=[blueprint_of(job.memo_id, job.user_id)])
    result = await memos.run(script, job)
    assert result.state is JobState.COMPLETED
    assert sorted(script.names()[4:-1]) == [
        "headline",
        "order_blueprint",
        "reserve_language",
        "write_language",
    ]
    (order,) = script.asked("order_blueprint")
    assert (order.job.blueprint_id, order.language) == ("b", "en")


async def test_a_memo_without_a_blueprint_orders_none(memos: MemoRunner) -> None:
    script = Script()
    await memos.run(script)
    assert "order_blueprint" not in script.names()


async def test_a_blueprint_that_is_gone_costs_the_memo_nothing(memos: MemoRunner) -> None:
    script = Script(order_blueprint=[OrderedBlueprint()])
    assert (await memos.run(script, memos.job(blueprint_id="b"))).state is JobState.COMPLETED
    assert "reserve_language" not in script.names()


async def test_a_blueprint_that_cannot_be_paid_leaves_the_memo_complete(memos: MemoRunner) -> None:
    job = memos.job(blueprint_id="b")
    script = Script(
        order_blueprint=[blueprint_of(job.memo_id, job.user_id)],
        reserve_language=[InsufficientCredits(5, 1)],
    )
    assert (await memos.run(script, job)).state is JobState.COMPLETED
    failure = ending(script).failure
    assert failure is not None
    assert failure.code == "insufficient_credits"


async def test_a_blueprint_that_takes_long_goes_on_when_the_memo_is_complete(
    memos: MemoRunner,
) -> None:
    job = memos.job(blueprint_id="b")
    slow = ProviderBusy("429", retry_after=timedelta(hours=1).total_seconds())
    script = Script(
        order_blueprint=[blueprint_of(job.memo_id, job.user_id)], write_language=[slow, written()]
    )
    async with memos.started(script, job) as handle:
        assert (await handle.result()).state is JobState.COMPLETED
        child = memos.client.get_workflow_handle(f"blueprint-{job.memo_id}")
        assert (await child.result())["state"] == "completed"
        memo_closed, child_closed = [(await each.describe()).close_time for each in (handle, child)]
    assert memo_closed is not None
    assert child_closed is not None
    assert child_closed - memo_closed > timedelta(minutes=30)


async def test_cancelling_a_memo_cancels_its_blueprint(memos: MemoRunner) -> None:
    job = memos.job(blueprint_id="b")
    script = Script(
        order_blueprint=[blueprint_of(job.memo_id, job.user_id)], write_language=[BLOCK]
    )
    async with memos.started(script, job) as handle:
        await asyncio.wait_for(script.blocked.wait(), 60)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        with pytest.raises(WorkflowFailureError) as caught:
            await memos.client.get_workflow_handle(f"blueprint-{job.memo_id}").result()
    assert isinstance(caught.value.cause, CancelledError)
    assert ending(script).state is JobState.CANCELLED
