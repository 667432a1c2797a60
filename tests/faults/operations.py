"""What may be cut anywhere: each is done, cut, done again as its client or Temporal would do it.

Every operation has a user of its own, so one front serves any number of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import httpx
from temporalio.testing import ActivityEnvironment

from activities.batch import StagingSweep
from activities.endings import Endings
from activities.erase import EraseActivities
from activities.language import LanguageActivities
from activities.memo import MemoActivities
from activities.reconcile import ReconcileActivities, ReconcileAges
from activities.transcription import TierBounds
from activities.uploads import UploadSweep
from activities.webhooks import WebhookActivities
from contracts.ids import erase_job
from contracts.jobs import Job, JobState
from contracts.memo import EndMemo, EraseJob, MemoJob, SettleMemo
from contracts.transcript import TranscriptRef
from contracts.webhooks import (
    AttemptResult,
    Deliveries,
    Delivery,
    DeliveryJob,
    Message,
    MessageState,
    Outgoing,
    WebhookEvent,
    event_id,
)
from store.files_disk import DiskFiles
from store.invariants import violations
from tests.api.front import Front
from tests.fakes.scripted_model import ScriptedModel
from tests.faults.mortality import Fate, Killed, doomed, effect

AT_ONCE: Final = ReconcileAges(queued=0, running=0)
KEY: Final = {"Idempotency-Key": "k-1"}
BUSY_TIME: Final = timedelta(minutes=1)


class CountingSender:
    """Webhooks as effects: what was sent is sent."""

    def __init__(self, result: AttemptResult) -> None:
        self._result = result
        self.sent: list[str] = []

    async def send(self, outgoing: Outgoing) -> AttemptResult:
        effect()
        self.sent.append(outgoing.delivery.event_id)
        return self._result


class Operation(ABC):
    """One operation of one user; ``recover`` is what happens after its process has died."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.user = front.user()
        self.files = files_of(front)
        self.memos = MemoActivities(front.database, self.files)

    async def prepare(self) -> None:
        """What is there before: nothing."""
        return

    @abstractmethod
    async def act(self) -> None:
        """Do it; raises Killed."""

    async def recover(self) -> None:
        """Do it again, as Temporal does."""
        await self.act()

    @abstractmethod
    async def check(self) -> None:
        """It was done once."""

    async def listen(self) -> None:
        """Want webhooks."""
        async with self.front.database.write() as tx:
            await tx.webhook_endpoints.add(self.user.id, "https://1.1.1.1/", "plain:whsec_x")

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.front.ask(method, path, self.user, **more)

    async def ask_again(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Once the dead one's key is not busy any more."""
        self.front.database._clock = lambda: datetime.now(UTC) + BUSY_TIME
        try:
            return await self.ask(method, path, **more)
        finally:
            self.front.database._clock = lambda: datetime.now(UTC)

    async def heal(self) -> None:
        """One tick of ``reconcile``."""
        front = self.front
        healer = ReconcileActivities(
            front.database, self.files, front.starter, self.endings(), AT_ONCE,
            uploads=UploadSweep(front.database, self.files), staged=StagingSweep({}),
        )  # fmt: skip
        await ActivityEnvironment().run(healer.heal)

    def endings(self) -> Endings:
        bounds = TierBounds(tries=2, backoff_seconds=2)
        language = LanguageActivities(self.front.database, ScriptedModel(), bounds)
        return Endings(self.front.database, self.memos, language)

    @property
    def started(self) -> list[str]:
        """Jobs of the user that were started, in order."""
        return [job for _, job, user, _ in self.front.starter.started if user == self.user.id]

    async def messages(self) -> Sequence[Message]:
        async with self.front.database.read() as tx:
            found, _ = await tx.webhook_messages.page(self.user.id, limit=9)
        return found

    async def job(self, job_id: str) -> Job:
        async with self.front.database.read() as tx:
            found = await tx.jobs.find(job_id, self.user.id)
        assert found is not None
        return found

    async def account(self) -> tuple[int, int, int]:
        """Credits, held, spent."""
        async with self.front.database.read() as tx:
            found = await tx.credits.balance(self.user.id)
        return found.credits, found.held, found.total_spent


class Start(Operation):
    """A memo is begun, and its client asks again with its key."""

    async def prepare(self) -> None:
        await self.listen()

    async def act(self) -> None:
        await self.front.post_memo(self.user, headers=KEY)

    async def recover(self) -> None:
        body = {"filePath": f"{self.user.id}/a/audio.m4a", "duration": 61}
        first = await self.ask_again("POST", "memos", json=body, headers=KEY)
        again = await self.front.post_memo(self.user, headers=KEY)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()

    async def check(self) -> None:
        await self.check_memos(1)

    async def check_memos(self, count: int) -> None:
        memos = (await self.ask("GET", "memos")).json()["memos"]
        assert len(memos) == count
        jobs = [memo["jobId"] for memo in memos]
        assert self.started == jobs
        told = [message.event_id for message in await self.messages()]
        assert told == [event_id(job, WebhookEvent.MEMO_CREATED) for job in jobs]


class StartHealed(Start):
    """A memo is begun, and its client never asks again: it is there and runs, or there is none."""

    async def recover(self) -> None:
        await self.heal()

    async def check(self) -> None:
        count = (await self.ask("GET", "memos")).json()["total"]
        assert count <= 1
        await self.check_memos(count)


class Retry(Operation):
    """A failed transcription is tried again."""

    async def prepare(self) -> None:
        memo = await self.front.new_memo(self.user)
        await self.front.move(memo, JobState.RUNNING, JobState.FAILED)
        self.job_id = memo["jobId"]
        self.path = f"memos/{memo['memoId']}/retry-transcription"

    async def act(self) -> None:
        await self.ask("POST", self.path, headers=KEY)

    async def recover(self) -> None:
        answer = await self.ask_again("POST", self.path, headers=KEY)
        assert (answer.status_code, answer.json()["retryAttempt"]) == (200, 1)

    async def check(self) -> None:
        job = await self.job(self.job_id)
        assert (job.round, job.state) == (2, JobState.QUEUED)
        assert self.started == [self.job_id] * 2


class Consume(Operation):
    """Credits are charged for something done elsewhere, with a key or without."""

    headers: ClassVar[dict[str, str]] = KEY
    body: ClassVar = {"operation": "EXPORT", "amount": 10, "description": "A book"}

    async def act(self) -> None:
        await self.ask("POST", "credits/consume", json=self.body, headers=self.headers)

    async def recover(self) -> None:
        path = "credits/consume"
        answer = await self.ask_again("POST", path, json=self.body, headers=self.headers)
        assert answer.json() == {"success": True, "consumed": 10, "credits": 140}

    async def check(self) -> None:
        assert await self.account() == (140, 0, 10)


class ConsumeByBody(Consume):
    """The same without a key."""

    headers: ClassVar[dict[str, str]] = {}


class TestFire(Operation):
    """A webhook endpoint is tested."""

    __test__ = False

    async def prepare(self) -> None:
        await self.listen()
        async with self.front.database.read() as tx:
            [endpoint] = await tx.webhook_endpoints.list(self.user.id)
        self.path = f"webhook-endpoints/{endpoint.id}/test"

    async def act(self) -> None:
        await self.ask("POST", self.path, headers=KEY)

    async def recover(self) -> None:
        answer = await self.ask_again("POST", self.path, headers=KEY)
        assert answer.status_code == httpx.codes.ACCEPTED
        self.told = answer.json()["messageId"]

    async def check(self) -> None:
        [message] = await self.messages()
        assert (message.id, message.state) == (self.told, MessageState.PENDING)
        # What its writer did not send any more is due at once: `reconcile` goes by that.
        assert self.started in ([], [f"webhook-{message.id}"])


class Settle(Operation):
    """A transcript is paid for, and its memo ends."""

    async def prepare(self) -> None:
        await self.listen()
        memo = await self.front.new_memo(self.user)
        self.order = MemoJob.model_validate(self.front.starter.started[-1][3])
        await self.memos.reserve(self.order)
        await self.front.say(memo)
        self.settled = False

    async def act(self) -> None:
        job = self.order
        ref = TranscriptRef(ref=job.job_id, seconds=90, words=2, sha256="0" * 64, tier="local")
        if not self.settled:
            await self.memos.settle(SettleMemo(job=job, transcript=ref, seconds=90))
            self.settled = True  # as Temporal knows when it was told
        await self.memos.end(EndMemo(job=job, state=JobState.COMPLETED))

    async def check(self) -> None:
        assert await self.account() == (147, 0, 3)
        assert (await self.job(self.order.job_id)).state is JobState.COMPLETED
        events = (
            WebhookEvent.MEMO_CREATED, WebhookEvent.MEMO_TRANSCRIBED, WebhookEvent.MEMO_COMPLETED,
        )  # fmt: skip
        told = {message.event_id for message in await self.messages()}
        assert told == {event_id(self.order.job_id, event) for event in events}


class Deliver(Operation):
    """A webhook is sent, and what came of it is written down."""

    result: ClassVar = AttemptResult(delivered=True, status=204)
    state: ClassVar = MessageState.DELIVERED

    async def prepare(self) -> None:
        await self.listen()
        await self.front.new_memo(self.user)
        [message] = await self.messages()
        self.delivery = Delivery(
            event_id=message.event_id, endpoint_id=message.endpoint_id, user_id=self.user.id
        )
        self.sender = CountingSender(self.result)

    async def act(self) -> None:
        order = Deliveries(jobs=(DeliveryJob(delivery=self.delivery),))
        worker = WebhookActivities(self.front.database, self.sender, lambda sealed, _: sealed)
        await worker.deliver_webhooks(order)

    async def check(self) -> None:
        [message] = await self.messages()
        assert message.state is self.state
        # It was sent, and nobody knew: under the same id once more, and never after it is known.
        assert self.sender.sent in ([message.event_id], [message.event_id] * 2)
        async with self.front.database.read() as tx:
            attempts = await tx.webhook_messages.attempts(self.delivery)
        assert [attempt.number for attempt in attempts] == [1]


class DeliverToNobody(Deliver):
    """The endpoint answers 410: it is switched off with the attempt that says so."""

    result: ClassVar = AttemptResult(delivered=False, status=410, code="gone", gone=True)
    state: ClassVar = MessageState.DEAD

    async def check(self) -> None:
        await super().check()
        async with self.front.database.read() as tx:
            [endpoint] = await tx.webhook_endpoints.list(self.user.id)
        assert (endpoint.enabled, endpoint.disabled_reason) == (False, "gone")


class Erase(Operation):
    """A memo is deleted: its rows and files go, its receipt stays."""

    async def prepare(self) -> None:
        await self.listen()
        memo = (await self.front.upload(self.user)).json()
        await self.front.move(memo, JobState.RUNNING)
        await self.front.say(memo)
        await self.front.move(memo, JobState.FAILED)
        self.memo_id = memo["memoId"]
        self.erasure = EraseJob(
            job_id=erase_job(self.memo_id), user_id=self.user.id, memo_id=self.memo_id
        )

    async def act(self) -> None:
        await self.ask("DELETE", f"memos/{self.memo_id}")
        await self._work()

    async def _work(self) -> None:
        front = self.front
        eraser = EraseActivities(front.database, self.files, front.starter, self.endings())
        await eraser.stop_memo(self.erasure)
        await ActivityEnvironment().run(eraser.erase_memo, self.erasure)

    async def recover(self) -> None:
        await self.ask("DELETE", f"memos/{self.memo_id}")
        await self.heal()
        await self._work()

    async def check(self) -> None:
        assert self.started[1:] == [self.erasure.job_id]
        erasure = await self.job(self.erasure.job_id)
        receipt = erasure.result or {}
        assert (erasure.state, receipt.get("transcripts")) == (JobState.COMPLETED, 1)
        assert [path for path in self.front.stored if self.user.id in path] == []
        assert await self.messages() == ()
        assert (await self.ask("GET", f"memos/{self.memo_id}")).status_code == 404


OPERATIONS: Final = (
    *(Start, StartHealed, Retry, Consume, ConsumeByBody, TestFire),
    *(Settle, Deliver, DeliverToNobody, Erase),
)


def files_of(front: Front) -> DiskFiles:
    """Storage of a front, as a worker sees it."""
    files = front.services.files
    assert isinstance(files, DiskFiles)
    return files


async def lived_through(front: Front, kind: type[Operation], place: int | None) -> int:
    """Do it with death at a place, and look at what is left; returns its number of effects."""
    operation = kind(front)
    await operation.prepare()
    with doomed(Fate(place)) as fate, suppress(Killed):
        await operation.act()
    assert fate.dead == (place is not None and fate.count == place)
    await operation.recover()
    await operation.check()
    broken = [found async for found in violations(front.database, operation.files)]
    assert broken == [], f"{kind.__name__} at {place}"
    return fate.count
