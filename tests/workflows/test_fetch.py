"""A memo whose recording is at an address: one step more, before all others."""

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.errors import MediaRejected, NotFound, Unreachable, UnsupportedMedia
from contracts.jobs import JobState
from contracts.memo import FetchedAudio, Reserved
from tests.workflows.conftest import MemoRunner
from tests.workflows.script import BLOCK, FETCHED, Script, transcript


def fetching(**answers: object) -> Script:
    return Script(**{name: [given] for name, given in answers.items()})


async def test_what_is_at_an_address_is_fetched_before_it_is_looked_into(
    memos: MemoRunner,
) -> None:
    script = fetching()
    result = await memos.run(script, memos.job(fetch=True))
    assert result.state is JobState.COMPLETED
    assert script.names()[:3] == ["reserve", "fetch", "probe"]
    # What follows stands on the stored file, whatever it was expected to be.
    assert script.asked("fetch")[0].audio_path == "u/m/audio.m4a"
    assert script.asked("probe")[0].audio_path == FETCHED
    assert script.asked("transcribe")[0].key == FETCHED
    assert "discard_work" not in script.names()


async def test_what_is_in_storage_is_not_fetched(memos: MemoRunner) -> None:
    script = fetching()
    await memos.run(script)
    assert "fetch" not in script.names()


async def test_a_retry_of_a_transcribed_memo_fetches_nothing(memos: MemoRunner) -> None:
    script = fetching(reserve=Reserved(present=True, held=3, result=transcript("old")))
    await memos.run(script, memos.job(round=2, fetch=True))
    assert "fetch" not in script.names()


@pytest.mark.parametrize(
    "failure",
    [
        NotFound("gone", code="media_not_found"),
        MediaRejected("away", code="media_unavailable"),
        UnsupportedMedia("a page"),
    ],
    ids=lambda failure: failure.code,
)
async def test_what_cannot_be_fetched_ends_free_of_charge_with_its_reason(
    memos: MemoRunner, failure: Exception
) -> None:
    script = fetching(fetch=failure)
    with pytest.raises(WorkflowFailureError) as ended:
        await memos.run(script, memos.job(fetch=True))
    cause = ended.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == getattr(failure, "code", None)
    assert script.names() == ["reserve", "fetch", "discard_work", "end"]
    [ending] = script.asked("end")
    assert (ending.state, ending.job.fetch) == (JobState.FAILED, True)


async def test_a_server_that_is_away_is_asked_again(memos: MemoRunner) -> None:
    script = fetching()
    away = Unreachable("503", code="media_unavailable", retry_after=300)
    script.answers["fetch"] = [away, away, FetchedAudio(key=FETCHED)]
    assert (await memos.run(script, memos.job(fetch=True))).state is JobState.COMPLETED
    assert len(script.asked("fetch")) == 3


async def test_a_job_that_is_cancelled_while_it_fetches_clears_up(memos: MemoRunner) -> None:
    script = fetching(fetch=BLOCK)
    async with memos.started(script, memos.job(fetch=True)) as handle:
        await script.blocked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
        history = await handle.fetch_history()
    assert isinstance(ended.value.cause, CancelledError)
    assert script.names()[-2:] == ["discard_work", "end"]
    kinds = [event.event_type for event in history.events]
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED in kinds
