"""Broadcasts to listeners: from commits in a real database to a real socket."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.common import MetricMeter

from contracts.broadcasts import broadcast_of
from contracts.jobs import EventType, JobEvent, JobRef, JobState, Step, ToldEvent
from providers import supabase_realtime
from providers.supabase_realtime import BATCH, WAITING, Broadcaster
from store.database import Database
from store.migrations import upgrade
from tests.api.front import settings_for
from tests.fakes.supabase_realtime import FakeRealtime
from worker import broadcast

KEY = "service-key-of-a-test"


@pytest.fixture
async def realtime() -> AsyncIterator[FakeRealtime]:
    made = FakeRealtime(KEY)
    await made.wire.start()
    yield made
    await made.wire.aclose()


@pytest.fixture
def counted() -> Counter[str]:
    return Counter()


@asynccontextmanager
async def telling(
    realtime: FakeRealtime, counted: Counter[str], key: str = KEY
) -> AsyncIterator[Broadcaster]:
    def count(how: str, number: int) -> None:
        counted[how] += number

    async with Broadcaster(realtime.wire.url, SecretStr(key), count, pause=0.01) as made:
        yield made


def event(memo: str = "m", kind: str = "memo", **data: object) -> ToldEvent:
    about = JobRef(id=f"{kind}-{memo}", user_id=str(uuid4()), kind=kind, subject_id=memo)
    told = JobEvent(
        job_id=about.id, seq=1, type=EventType.PROGRESS, at="2026-01-01T00:00:00+00:00", data=data
    )
    return ToldEvent(about=about, event=told)


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.005)


async def test_a_listener_is_told_what_a_worker_commits(
    realtime: FakeRealtime, tmp_path: Path
) -> None:
    url = {"MEMORO_SUPABASE_URL": realtime.wire.url, "MEMORO_SUPABASE_SERVICE_KEY": KEY}
    settings = settings_for(tmp_path, **url)
    await upgrade(settings.database_url)
    database = Database(settings.database_url)
    memo, user = str(uuid4()), str(uuid4())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await broadcast(settings, database, MetricMeter.noop, stack)
        async with database.write() as tx:
            await tx.jobs.create(
                "j", user, kind="memo", subject_id=memo, request={}, deadline_seconds=60
            )
        await until(lambda: realtime.told)
        async with database.write() as tx:
            await tx.jobs.move("j", user, JobState.RUNNING, step=Step.PROBE)
        await until(lambda: len(realtime.told) == 2)
    first, second = realtime.told[:2]  # ended before its answer came, a message is sent again
    assert (second["topic"], second["event"]) == (f"memo-updates-{memo}", "memo-updated")
    changes = second["payload"].pop("changes")
    assert second["payload"] == {"type": "memo-updated", "memoId": memo, "source": "voicekeep"}
    assert changes.pop("updated_at") >= first["payload"]["changes"]["updated_at"]
    assert changes == {
        "jobId": "j", "kind": "memo", "state": "running", "previous": "queued", "step": "probe",
    }  # fmt: skip


async def test_without_a_project_nobody_is_told(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    async with AsyncExitStack() as stack:
        await broadcast(settings_for(tmp_path), database, MetricMeter.noop, stack)
    assert "Broadcaster" not in repr(database._committed)
    await database.close()


def test_words_and_jobs_about_no_memo_are_not_told() -> None:
    told = broadcast_of(event(state="completed", text="spoken", result={"text": "spoken"}))
    assert told is not None
    assert "spoken" not in json.dumps(told.payload)
    assert broadcast_of(event(kind="erase", state="completed")) is None
    assert broadcast_of(event(kind="speech", state="completed")) is None
    assert broadcast_of(event(kind="headline", state="completed")) is not None


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 401}, {"cut": "answer"}, {"status": 302}]
)
async def test_what_cannot_be_sent_is_counted_and_let_go(
    realtime: FakeRealtime, counted: Counter[str], fault: dict[str, object]
) -> None:
    realtime.wire.fault(**fault, undone=True)
    async with telling(realtime, counted) as broadcaster:
        broadcaster.tell([event("lost")])
        await until(lambda: counted["failed"])
        broadcaster.tell([event("told")])
        await until(lambda: counted["sent"])
    assert [message["payload"]["memoId"] for message in realtime.told] == ["told"]
    assert counted == {"failed": 1, "sent": 1}


async def test_a_mute_service_heaps_nothing_up_and_keeps_nobody_waiting(
    realtime: FakeRealtime, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supabase_realtime, "LAST_SECONDS", 0.05)
    realtime.wire.fault(hang=True, undone=True, times=5)
    async with telling(realtime, counted) as broadcaster:
        broadcaster.tell([event("first")])
        await until(lambda: realtime.wire.calls)
        for number in range(WAITING + 20):
            broadcaster.tell([event(f"m{number}")])
        assert len(broadcaster._waiting) == WAITING
    assert counted["dropped"] == 21
    assert realtime.told == []


async def test_news_of_one_job_that_waits_is_told_as_one(
    realtime: FakeRealtime, counted: Counter[str]
) -> None:
    realtime.wire.fault(hang=True, undone=False)
    async with telling(realtime, counted) as broadcaster:
        broadcaster.tell([event("first")])
        await until(lambda: realtime.told)
        broadcaster.tell([event("m", step="probe", percent=1), event("m", "headline")])
        broadcaster.tell([event("m", step="transcribe"), event("m", state="completed")])
        while counted["sent"] < 3:
            realtime.wire.release()
            await asyncio.sleep(0.005)
    both = [message["payload"]["changes"] for message in realtime.told[1:]]
    assert [(each["kind"], each.get("step")) for each in both] == [
        ("memo", "transcribe"), ("headline", None),
    ]  # fmt: skip
    assert (both[0]["state"], both[0]["percent"]) == ("completed", 1)


async def test_what_waits_at_the_end_is_still_sent(
    realtime: FakeRealtime, counted: Counter[str]
) -> None:
    async with telling(realtime, counted) as broadcaster:
        broadcaster.tell([event(f"m{number}") for number in range(2 * BATCH + 1)])
    assert len(realtime.told) == counted["sent"] == 2 * BATCH + 1
    assert [call["messages"] for call in realtime.wire.calls] == [BATCH, BATCH, 1]
