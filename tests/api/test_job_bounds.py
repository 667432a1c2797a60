"""Bounds of what one user may have under way and spend: also for fifty requests at once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.jobs import JobState
from tests.api.front import Front, User, opened, settings_for, wav
from tests.fakes.ports import part
from tests.postgres import PostgresServer
from tests.statements import asked_of

KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Where the front keeps its rows."""
    if request.param == "sqlite":
        yield {}
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    template = request.getfixturevalue("migrated_postgres")
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        name = runner.run(server.create_database(template))
    yield {"DATABASE_URL": server.url(name)}
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(server.drop_database(name))


def counted(answers: list[httpx.Response]) -> Counter[tuple[int, str | None]]:
    return Counter((answer.status_code, answer.json().get("code")) for answer in answers)


async def test_fifty_at_once_get_no_further_than_the_bound_of_open_jobs(
    data_dir: Path, place: dict[str, Any]
) -> None:
    async with opened(data_dir, **place, MAX_OPEN_JOBS_PER_USER=3) as front:
        anna, ben = front.user(), front.user()
        answers = await asyncio.gather(*(front.post_memo(anna) for _ in range(50)))
        assert counted(answers) == {(201, None): 3, (429, "too_many_jobs"): 47}
        assert (await front.ask("GET", "memos", anna)).json()["total"] == 3
        assert len(front.starter.started) == 3
        assert (await front.post_memo(ben)).status_code == 201


async def test_fifty_at_once_get_no_further_than_the_days_budget(
    data_dir: Path, place: dict[str, Any]
) -> None:
    async with opened(data_dir, **place, DAILY_CREDIT_BUDGET=14) as front:
        anna, ben = front.user(), front.user()
        # Three credits each, of which none is held before the workflows begin.
        answers = await asyncio.gather(*(front.post_memo(anna) for _ in range(50)))
        assert counted(answers) == {(201, None): 4, (429, "daily_budget_reached"): 46}
        assert len(front.starter.started) == 4
        assert (await front.post_memo(anna, duration=30)).status_code == 201
        assert (await front.post_memo(ben)).status_code == 201


async def test_a_refusal_says_why_and_when_to_come_again(data_dir: Path) -> None:
    async with opened(data_dir, MAX_OPEN_JOBS_PER_USER=1, DAILY_CREDIT_BUDGET=6) as front:
        anna, ben = front.user(), front.user()
        await front.new_memo(anna)
        many = await front.post_memo(anna)
        dear = await front.post_memo(ben, duration=600)
        assert many.json() | {"requestId": ""} == {
            "success": False,
            "code": "too_many_jobs",
            "error": "There are 1 jobs under way already",
            "maxOpenJobs": 1,
            "requestId": "",
        }
        assert many.headers["Retry-After"] == "15"
        assert dear.json()["dailyCreditBudget"] == 6
        assert dear.json()["requiredCredits"] == 20
        assert 0 < int(dear.headers["Retry-After"]) <= 24 * 3600


async def test_a_job_that_has_ended_makes_room(data_dir: Path) -> None:
    async with opened(data_dir, MAX_OPEN_JOBS_PER_USER=1) as front:
        anna = front.user()
        memo = await front.new_memo(anna)
        assert (await front.post_memo(anna, headers=KEY)).status_code == 429
        await front.move(memo, JobState.RUNNING, JobState.COMPLETED)
        # The refused one left nothing behind: the same key is free.
        assert (await front.post_memo(anna, headers=KEY)).status_code == 201


async def test_a_lost_answer_is_given_again_although_the_bounds_are_reached(
    data_dir: Path,
) -> None:
    async with opened(data_dir, MAX_OPEN_JOBS_PER_USER=1, DAILY_CREDIT_BUDGET=3) as front:
        anna = front.user()
        first = await front.post_memo(anna, headers=KEY)
        assert (await front.post_memo(anna, headers=KEY)).json() == first.json()
        joined = await front.post_memo(anna, memoId=first.json()["memoId"])
        assert joined.status_code == 201


async def test_every_start_of_a_user_is_bounded(data_dir: Path) -> None:
    async with opened(data_dir, MAX_OPEN_JOBS_PER_USER=1) as front:
        anna = front.user()
        done = await front.new_memo(anna)
        await front.say(done, part(0, 6, "hello"))
        await front.move(done, JobState.RUNNING, JobState.COMPLETED)
        failed = await front.new_memo(anna)
        await front.move(failed, JobState.RUNNING, JobState.FAILED)
        await front.new_memo(anna)
        starts: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("POST", f"memos/{failed['memoId']}/retry-transcription", {}),
            ("POST", "memos/upload", {"files": {"file": ("a.wav", wav(), "audio/wav")}}),
            ("POST", f"memos/{done['memoId']}/question", {"json": {"question": "What?"}}),
        )
        for method, path, body in starts:
            answer = await front.ask(method, path, anna, **body)
            assert (answer.status_code, answer.json().get("code")) == (429, "too_many_jobs"), path
        erased = await front.ask("DELETE", f"memos/{done['memoId']}", anna)
        assert erased.status_code == 202


async def test_bounds_that_are_off_ask_nothing_of_the_database(front: Front, anna: User) -> None:
    await front.post_memo(anna)
    with asked_of(front.database) as asked:
        await front.new_memo(anna)
    assert not [each for each in asked.statements if "promised" in each or "'budget'" in each]
    assert settings_for(front.settings.data_dir).budgets.model_dump() == {
        "max_open_jobs": 0,
        "daily_credits": 0,
    }
