"""The same key: the same work, once, with the same answer."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Unavailable
from tests.api.front import Front, User, opened
from tests.fakes.ports import RecordingStarter

KEY = {"Idempotency-Key": "k-1"}


async def test_the_same_key_and_request_get_the_first_answer_and_no_second_job(
    front: Front, anna: User
) -> None:
    first = await front.post_memo(anna, headers=KEY)
    again = await front.post_memo(anna, headers=KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(front.starter.started) == 1


async def test_the_order_of_fields_makes_no_other_request(front: Front, anna: User) -> None:
    path = f"{anna.id}/a/b.m4a"
    one = {"filePath": path, "duration": 5, "unknown": 1}
    other = {"duration": 5, "filePath": path}
    first = await front.ask("POST", "memos", anna, json=one, headers=KEY)
    again = await front.ask("POST", "memos", anna, json=other, headers=KEY)
    assert again.json() == first.json()


async def test_the_same_key_with_another_request_is_refused(front: Front, anna: User) -> None:
    await front.post_memo(anna, headers=KEY)
    other_body = await front.post_memo(anna, headers=KEY, duration=62)
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    body = {"filePath": f"{anna.id}/a/audio.m4a", "duration": 61}
    other_path = await front.ask("POST", "memos/process", anna, json=body, headers=KEY)
    assert other_path.status_code == 422


async def test_two_users_may_draw_the_same_key(front: Front, anna: User, ben: User) -> None:
    first = await front.post_memo(anna, headers=KEY)
    other = await front.post_memo(ben, headers=KEY)
    assert other.status_code == 201
    assert other.json()["memoId"] != first.json()["memoId"]


async def test_what_was_refused_is_judged_anew(front: Front, anna: User) -> None:
    short = await front.post_memo(anna, headers=KEY, duration=7200)
    assert short.status_code == 402
    async with front.database.write() as tx:
        await tx.credits.grant(anna.id, "top-up", 1000, "Top-up")
    assert (await front.post_memo(anna, headers=KEY, duration=7200)).status_code == 201


async def test_a_start_that_was_taken_back_frees_its_key(front: Front, anna: User) -> None:
    front.starter.failure = Unavailable("Temporal does not answer")
    assert (await front.post_memo(anna, headers=KEY)).status_code == 503
    front.starter.failure = None
    assert (await front.post_memo(anna, headers=KEY)).status_code == 201


class SlowStarter(RecordingStarter):
    """Holds the first start until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        self.entered.set()
        await self.go_on.wait()
        return await super().start(kind, job_id, user_id, request)


async def test_a_request_in_flight_is_not_done_twice(data_dir: Path) -> None:
    starter = SlowStarter()
    async with opened(data_dir, starter=starter) as front:
        anna = front.user()
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(front.post_memo(anna, headers=KEY))
            await starter.entered.wait()
            second = await front.post_memo(anna, headers=KEY)
            assert (second.status_code, second.json()["code"]) == (409, "key_in_use")
            assert second.headers["Retry-After"] == "1"
            starter.go_on.set()
        third = await front.post_memo(anna, headers=KEY)
        assert third.json() == first.result().json()
        assert len(starter.started) == 1


class Killed(BaseException):
    """Nothing after it runs, as after SIGKILL."""


class DyingStarter(RecordingStarter):
    """The process is killed in its first start."""

    dies = True

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        if self.dies:
            self.dies = False
            raise Killed
        return await super().start(kind, job_id, user_id, request)


async def test_a_process_that_died_before_its_answer_does_not_lock_the_key(
    data_dir: Path,
) -> None:
    starter = DyingStarter()
    async with opened(data_dir, starter=starter) as front:
        anna = front.user()
        with pytest.raises(Killed):
            await front.post_memo(anna, headers=KEY)
        assert (await front.post_memo(anna, headers=KEY)).json()["code"] == "key_in_use"

        let_time_pass(front, timedelta(minutes=1))
        answer = await front.post_memo(anna, headers=KEY)
        assert answer.status_code == 201
        assert [job_id for _, job_id, _, _ in starter.started] == [answer.json()["jobId"]]
        assert (await front.ask("GET", "memos", anna)).json()["total"] == 1
        assert (await front.post_memo(anna, headers=KEY)).json() == answer.json()


async def test_a_key_is_forgotten_after_a_day(front: Front, anna: User) -> None:
    first = await front.post_memo(anna, headers=KEY)
    let_time_pass(front, timedelta(hours=24, minutes=1))
    later = await front.post_memo(anna, headers=KEY, duration=62)
    assert later.status_code == 201
    assert later.json()["memoId"] != first.json()["memoId"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\t", "ümlaut"])
async def test_a_key_is_short_and_plain(front: Front, anna: User, key: str) -> None:
    answer = await front.post_memo(anna, headers={"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


def let_time_pass(front: Front, time: timedelta) -> None:
    """Set the database's clock forward."""
    front.database._clock = lambda: datetime.now(UTC) + time
