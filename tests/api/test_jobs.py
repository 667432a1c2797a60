"""Jobs over HTTP: how far they are, what was tried, how they are cancelled."""

from contracts.errors import Unavailable
from contracts.ids import step_key
from contracts.jobs import JobState, Step
from contracts.tiers import AttemptOutcome
from tests.api.front import Front, User

RUN = JobState.RUNNING


async def test_a_new_job_is_queued_and_has_cost_nothing(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", anna)).json()
    assert (job["success"], job["id"], job["kind"]) == (True, memo["jobId"], "memo")
    assert (job["subjectId"], job["state"], job["step"]) == (memo["memoId"], "queued", "queued")
    assert (job["tier"], job["attempts"], job["result"], job["error"]) == (None, [], None, None)
    assert job["credits"] == {"held": 0, "charged": 0}
    assert job["cost"] == {
        "credits": 0, "seconds": None, "currency": "USD", "amount": "0.000000", "complete": True,
        "steps": [],
    }  # fmt: skip
    [moment] = job["timeline"]
    assert (moment["seq"], moment["type"], moment["seconds"]) == (1, "state", None)


async def test_a_job_tells_its_attempts_its_credits_and_its_timeline(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    job_id = memo["jobId"]
    await front.move(memo, RUN)
    async with front.database.write() as tx:
        await tx.credits.hold(anna.id, job_id, step_key(job_id, "hold"), 3)
        await tx.jobs.advance(
            job_id, anna.id, Step.TRANSCRIBE, tier="openai", data={"seconds": 1.5}
        )
        number = await tx.attempts.begin(job_id, anna.id, "openai", "openai", 1)
        await tx.attempts.end(
            job_id,
            anna.id,
            number,
            AttemptOutcome.FAILED,
            seconds=1.5,
            code="provider_busy",
            message="The provider is overloaded",
        )
        number = await tx.attempts.begin(job_id, anna.id, "local", "pocketsphinx", 1)
    running = (await front.ask("GET", f"jobs/{job_id}", anna)).json()
    assert (running["state"], running["step"], running["tier"]) == (
        "running", "transcribe", "openai",
    )  # fmt: skip
    failed, open_one = running["attempts"]
    assert (failed["tier"], failed["provider"], failed["seconds"]) == ("openai", "openai", 1.5)
    assert (failed["outcome"], failed["error"]) == (
        "failed", {"code": "provider_busy", "message": "The provider is overloaded"},
    )  # fmt: skip
    assert (open_one["outcome"], open_one["seconds"], open_one["error"]) == (None, None, None)
    assert running["credits"] == {"held": 3, "charged": 0}

    async with front.database.write() as tx:
        key = step_key(job_id, "settle")
        await tx.credits.settle(anna.id, job_id, key, 3, operation="transcription")
        await tx.jobs.move(
            job_id, anna.id, JobState.COMPLETED, step=Step.DONE, result={"seconds": 61.5}
        )
    done = (await front.ask("GET", f"jobs/{job_id}", anna)).json()
    assert done["credits"] == {"held": 0, "charged": 3}
    assert (done["cost"]["credits"], done["cost"]["seconds"]) == (3, 61.5)
    assert done["result"] == {"seconds": 61.5}
    assert [moment["seq"] for moment in done["timeline"]] == [1, 2, 3, 4]
    assert [moment["type"] for moment in done["timeline"]] == [
        "state", "state", "progress", "done",
    ]  # fmt: skip
    assert [moment["seconds"] for moment in done["timeline"]] == [None, None, 1.5, None]
    assert [moment["step"] for moment in done["timeline"]] == [
        "queued", "transcribe", "transcribe", "done",
    ]  # fmt: skip


async def test_a_job_shows_the_order_of_its_tiers_once_the_recording_was_looked_into(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    job_id = memo["jobId"]
    assert (await front.ask("GET", f"jobs/{job_id}", anna)).json()["tiers"] == []
    await front.move(memo, RUN)
    async with front.database.write() as tx:
        for tiers in (["local"], ["azure-batch", "openai"]):
            await tx.jobs.advance(job_id, anna.id, Step.TRANSCRIBE, data={"tiers": tiers})
        await tx.jobs.advance(job_id, anna.id, Step.TRANSCRIBE, tier="openai")
    shown = (await front.ask("GET", f"jobs/{job_id}", anna)).json()
    assert shown["tiers"] == ["azure-batch", "openai"]


async def test_a_failed_job_says_why(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, JobState.FAILED)
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", anna)).json()
    assert job["error"] == {"code": "provider_failed", "message": "No tier could serve"}


async def test_a_job_is_cancelled_through_its_workflow(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    answer = await front.ask("POST", f"jobs/{memo['jobId']}/cancel", anna)
    assert answer.status_code == 202
    assert answer.json() == {"success": True, "jobId": memo["jobId"], "state": "queued"}
    assert front.starter.cancelled == [memo["jobId"]]


async def test_a_job_that_has_ended_cannot_be_cancelled(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    await front.move(memo, RUN, JobState.COMPLETED)
    answer = await front.ask("POST", f"jobs/{memo['jobId']}/cancel", anna)
    assert (answer.status_code, answer.json()["code"]) == (409, "job_ended")
    assert front.starter.cancelled == []


async def test_cancelling_while_temporal_is_away_may_be_tried_again(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    front.starter.failure = Unavailable("Temporal does not answer", retry_after=1)
    answer = await front.ask("POST", f"jobs/{memo['jobId']}/cancel", anna)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


async def test_a_job_that_never_got_a_workflow_is_ended_by_its_cancellation(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna)
    front.starter.live.clear()
    answer = await front.ask("POST", f"jobs/{memo['jobId']}/cancel", anna)
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", anna)).json()
    assert job["state"] == "cancelled"


async def test_somebody_elses_job_is_not_found_in_any_way(
    front: Front, anna: User, ben: User
) -> None:
    memo = await front.new_memo(anna)
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
        theirs = await front.ask(method, f"jobs/{memo['jobId']}{path}", ben)
        absent = await front.ask(method, f"jobs/memo-nothing{path}", ben)
        assert theirs.status_code == absent.status_code == 404
        assert theirs.json()["error"] == absent.json()["error"] == "Not found"
    assert front.starter.cancelled == []
