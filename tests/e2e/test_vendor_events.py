"""A batch job that is waited for by the hour, and the vendor's webhook that ends the waiting."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from api.main import create_app
from contracts.jobs import JobState
from contracts.memo import MemoJob, MemoResult
from contracts.transcript import TranscriptRef
from runtime.temporal_jobs import TemporalJobs
from store.migrations import upgrade
from tests import azurite as published
from tests.azurite import Azurite
from tests.e2e.mortal import Mortal
from tests.fakes.azure import FakeAzure
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SECRET = "webhook-secret-of-a-test"
SERVICE = "service-key-of-a-test"
SECONDS = 70

Handle = WorkflowHandle[object, MemoResult]


class Waiting(Mortal):
    """A site whose only tier is batch, looked at once an hour, and its front."""

    azure: FakeAzure
    azurite: Azurite

    def environment(self) -> dict[str, str]:
        return {
            "TRANSCRIPTION_TIERS": "azure-batch",
            "AZURE_SPEECH_KEY": "one",
            "AZURE_SPEECH_ENDPOINT": self.azure.url,
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
            "AZURE_BLOB_ENDPOINT": self.azurite.url,
            "AZURE_BATCH_POLL_SECONDS": "3600",
            "AZURE_SPEECH_WEBHOOK_SECRET": SECRET,
            "SERVICE_KEY": SERVICE,
        }

    @asynccontextmanager
    async def front(self) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(self.settings(**self.environment()), jobs=TemporalJobs(self.client))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://voicekeep.test") as client,
        ):
            yield client

    async def looked(self, times: int = 1) -> str:
        """Until the vendor was asked so often how far its job is; the job's id."""
        async with asyncio.timeout(150):
            while self.counts()["status"] < times:
                await asyncio.sleep(0.05)
        (vendor_job,) = self.azure.batch.jobs
        return vendor_job

    async def done(self, client: httpx.AsyncClient, vendor_job: str) -> int:
        """What the vendor sends when its job is done; how many jobs it woke."""
        place = f"{self.azure.url}/speechtotext/transcriptions/{vendor_job}"
        body = json.dumps({"self": place}).encode()
        digest = hmac.digest(SECRET.encode(), body, hashlib.sha256)
        headers = {
            "X-MicrosoftSpeechServices-Event": "TranscriptionCompletion",
            "X-MicrosoftSpeechServices-Signature": base64.b64encode(digest).decode(),
        }
        answer = await client.post("/api/v1/webhooks/azure-speech", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        woken: int = answer.json()["woken"]
        return woken

    async def report(self, client: httpx.AsyncClient, job: MemoJob) -> httpx.Response:
        body = {
            "memoId": job.memo_id,
            "userId": job.user_id,
            "success": True,
            "transcriptionResult": {"transcript": "Words from elsewhere", "duration": 3000},
            "route": "elsewhere",
        }
        return await client.post(
            "/api/v1/internal/transcription-completed",
            json=body,
            headers={"X-Service-Key": SERVICE},
        )

    def counts(self) -> Counter[str]:
        """Calls to the vendor, by what they ask."""
        return Counter(call.get("operation", "?") for call in self.azure.calls)

    async def attempts(self, job: MemoJob) -> list[tuple[str, str, str | None]]:
        async with self.database.read() as tx:
            found = await tx.attempts.list(job.job_id, job.user_id)
        heard = [one for one in found if one.tier in {"azure-batch", "external"}]
        return [(one.tier, one.provider, one.outcome) for one in heard]

    async def spent(self, job: MemoJob) -> int:
        async with self.database.read() as tx:
            balance = await tx.credits.balance(job.user_id)
        assert balance.held == 0
        return balance.total_spent


@pytest.fixture
async def site(
    environment: WorkflowEnvironment, azurite: Azurite, tmp_path: Path
) -> AsyncIterator[Waiting]:
    azure, unused = FakeAzure(), FakeOpenAI()
    for vendor in (azure, unused):
        await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Waiting(environment.client, tmp_path, unused)
    site.azure, site.azurite = azure, azurite
    site.azure.batch.running = 0
    yield site
    await site.close()
    await azure.aclose()


async def ended(handle: Handle) -> MemoResult:
    return await asyncio.wait_for(handle.result(), 150)


async def test_the_webhook_ends_an_hours_wait_at_once(site: Waiting, tmp_path: Path) -> None:
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS))
    async with site.working(**site.environment()), site.front() as client:
        handle = await site.start(job)
        vendor_job = await site.looked()
        assert await site.done(client, vendor_job) == 1
        assert await site.done(client, vendor_job) == 0
        result = await ended(handle)
        assert await site.done(client, vendor_job) == 0
    assert (result.state, result.tier, result.charged) == (JobState.COMPLETED, "azure-batch", 3)
    # Looked for, made, looked at twice; its list of files, result and report; found and deleted.
    assert site.counts() == {
        "list": 2,
        "submit": 1,
        "status": 2,
        "files": 1,
        "content": 2,
        "delete": 1,
    }
    assert site.azure.batch.jobs == {}
    assert len((await handle.fetch_history()).events) <= 50
    assert await site.broken() == []


async def test_a_worker_killed_in_a_look_makes_that_look_again_and_no_other_call(
    site: Waiting, tmp_path: Path
) -> None:
    site.azure.batch.running = 1
    site.azure.fault(call=r"GET /speechtotext/transcriptions/[^/]+$", hang=True)
    site.settings_of_worker = site.environment()
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS))
    async with site.worker("no step", "before"), site.front() as client:
        handle = await site.start(job)
        await site.looked(1)
        site.kill()
        vendor_job = await site.looked(2)
        site.kill()  # now it only waits: nothing is made again for that
        assert await site.done(client, vendor_job) == 1
        result = await ended(handle)
    site.azure.release()
    assert (result.state, result.charged) == (JobState.COMPLETED, 3)
    assert site.counts() == {
        "list": 2,
        "submit": 1,
        "status": 3,
        "files": 1,
        "content": 2,
        "delete": 1,
    }
    assert site.azure.batch.jobs == {}
    assert await site.attempts(job) == [("azure-batch", "azure", "succeeded")]
    assert await site.broken() == []


async def test_a_report_from_outside_takes_over_and_leaves_nothing_with_the_vendor(
    site: Waiting, tmp_path: Path
) -> None:
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS))
    async with site.working(**site.environment()), site.front() as client:
        handle = await site.start(job)
        await site.looked()
        answers = await asyncio.gather(*(site.report(client, job) for _ in range(5)))
        result = await ended(handle)
        late = await site.report(client, job)
    assert {answer.json()["ignored"] for answer in answers} == {False}
    assert late.json()["ignored"] is True
    assert (result.tier, result.charged) == ("external", 3), "by the measured seconds"
    assert site.counts()["content"] == 0
    assert site.azure.batch.jobs == {}
    assert ("external", "elsewhere", "succeeded") in await site.attempts(job)
    assert await site.spent(job) == 3
    async with site.database.read() as tx:
        memo = await tx.memos.find(job.memo_id, job.user_id)
        assert await tx.outside.transcript(job.job_id, job.user_id) is None
    assert memo is not None
    assert memo.source["transcript"] == "Words from elsewhere"
    assert memo.source["transcription_route"] == "external"
    assert await site.broken() == []


async def test_a_late_success_completes_a_failed_memo_and_charges_it_once(
    site: Waiting, tmp_path: Path
) -> None:
    site.azure.batch.fail = "InternalServerError"
    site.azure.batch.waiting = 0
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS))
    async with site.working(**site.environment()), site.front() as client:
        handle = await site.start(job)
        with pytest.raises(Exception, match="failed"):
            await ended(handle)
        assert await site.spent(job) == 0
        before = len(site.azure.calls)
        answer = await site.report(client, job)
        assert answer.json()["ignored"] is False
        again: Handle = site.client.get_workflow_handle(job.job_id, result_type=MemoResult)
        async with asyncio.timeout(150):
            while await state_of(site, job) is not JobState.COMPLETED:
                await asyncio.sleep(0.05)
        result = await ended(again)
        assert (await site.report(client, job)).json()["ignored"] is True
    assert (result.tier, result.charged) == ("external", 3)
    assert len(site.azure.calls) == before
    assert await site.spent(job) == 3
    assert await site.broken() == []


async def test_what_is_recorded_first_stays_and_the_report_is_a_superseded_attempt(
    site: Waiting, tmp_path: Path
) -> None:
    site.azure.batch.waiting = 0
    job = await site.memo(make(tmp_path / "tone.wav", SECONDS))
    async with site.working(**site.environment()), site.front() as client:
        # The vendor's transcript is recorded while nobody decides, and the report comes then.
        handle = await site.start(job)
        async with asyncio.timeout(150):
            while await recorded(site, job) is None:
                await asyncio.sleep(0.01)
        answer = await site.report(client, job)
        result = await ended(handle)
    assert answer.status_code == 200
    assert (result.tier, result.charged) == ("azure-batch", 3)
    assert await site.spent(job) == 3
    outcomes = [outcome for _, _, outcome in await site.attempts(job)]
    assert outcomes in (["succeeded"], ["succeeded", "superseded"])
    assert await site.broken() == []


async def recorded(site: Waiting, job: MemoJob) -> TranscriptRef | None:
    async with site.database.read() as tx:
        return await tx.transcripts.find(job.job_id, job.user_id)


async def state_of(site: Waiting, job: MemoJob) -> JobState | None:
    async with site.database.read() as tx:
        return await tx.jobs.state(job.job_id, job.user_id)
