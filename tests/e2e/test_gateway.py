"""A memo through somebody else's OpenAI-compatible server: LiteLLM's proxy, as it is published."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from benchmarks.stack import free_port
from contracts.jobs import JobState
from contracts.memo import MemoJob, MemoResult
from store.migrations import upgrade
from tests.fakes.openai import FakeOpenAI, text_of
from tests.gateway import KEY, Gateway, gateway_to
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = 20


class Behind(Site):
    """A site whose vendor is reached through the gateway."""

    def __init__(self, site: Site, gateway: Gateway) -> None:
        super().__init__(site.client, site.folder, site.vendor)
        self.gateway = gateway

    async def run(self, job: MemoJob, **overrides: object) -> MemoResult:
        settings = {
            "OPENAI_BASE_URL": self.gateway.base_url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_TRANSCRIPTION_MODEL": "whisper-1",
            "OPENAI_LANGUAGE_MODEL": "gpt-5-mini",
            "LANGUAGE_MODEL_TIERS": "openai,local",
            "TIER_BACKOFF_SECONDS": 0.1,
        }
        async with self.working(**settings | overrides):
            return await (await self.start(job)).result()

    async def attempts(self, job: MemoJob) -> list[tuple[str, str | None, str | None]]:
        async with self.database.read() as tx:
            found = await tx.attempts.list(job.job_id, job.user_id)
        return [(one.tier, one.outcome, one.error_code) for one in found]

    def reached(self) -> list[tuple[str, int | None]]:
        """What the server behind the gateway was asked to do, and answered."""
        calls = [call for call in self.vendor.calls if call["method"] == "POST"]
        return [(call["path"], call["status"]) for call in calls]


@pytest.fixture(scope="module")
def port() -> int:
    """Where the server behind the gateway listens."""
    return free_port()


@pytest.fixture(scope="module")
def gateway(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway_to(f"http://127.0.0.1:{port}/v1", tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
async def site(
    environment: WorkflowEnvironment, gateway: Gateway, port: int, tmp_path: Path
) -> AsyncIterator[Behind]:
    vendor = FakeOpenAI()
    await vendor.start(port=port)
    gateway.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Behind(Site(environment.client, tmp_path, vendor), gateway)
    yield site
    await site.close()


async def test_words_and_headline_come_through_a_gateway(site: Behind, tmp_path: Path) -> None:
    job = await site.memo(make(tmp_path / "tone.mp3", SECONDS))
    result = await site.run(job)
    assert (result.state, result.tier) == (JobState.COMPLETED, "openai")
    async with site.database.read() as tx:
        transcript = await tx.transcripts.load(job.job_id, job.user_id)
        memo = await tx.memos.find(job.memo_id, job.user_id)
    assert transcript.text == text_of(SECONDS)
    assert len(transcript.words) == 2 * SECONDS
    assert memo is not None
    assert memo.title == "Harbour lights at evening"
    assert site.reached() == [("/v1/audio/transcriptions", 200), ("/v1/chat/completions", 200)]
    # The gateway refuses a temperature by itself, in words of its own.
    assert site.vendor.calls[-1]["temperature"] is None


async def test_what_is_busy_behind_the_gateway_is_asked_again(site: Behind, tmp_path: Path) -> None:
    site.vendor.fault(status=429, body='{"error": {"message": "slow down"}}', call="transcriptions")
    job = await site.memo(make(tmp_path / "tone.mp3", SECONDS))
    result = await site.run(job, LANGUAGE_MODEL_TIERS="local")
    assert result.tier == "openai"
    assert (await site.attempts(job))[:2] == [
        ("openai", "failed", "provider_busy"),
        ("openai", "succeeded", None),
    ]


async def test_a_gateway_that_is_down_leaves_the_memo_to_the_next_tier(
    site: Behind, tmp_path: Path
) -> None:
    site.gateway.stop()
    job = await site.memo(make(tmp_path / "tone.mp3", SECONDS))
    tiers = {"TRANSCRIPTION_TIERS": "openai,local", "LANGUAGE_MODEL_TIERS": "local"}
    await site.run(job, **tiers)
    attempts = await site.attempts(job)
    assert attempts[:2] == [("openai", "failed", "provider_busy")] * 2
    assert attempts[2][0] == "local"
    assert site.reached() == []
