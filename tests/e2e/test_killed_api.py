"""An API that dies between row and workflow: the memo is there, once, whoever asks again."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from contracts import ids
from contracts.jobs import JobState
from contracts.queues import MAIN
from runtime.issuer import EmbeddedIssuer
from store.migrations import upgrade
from tests.e2e.production import free_ports
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 70


class Front(Site):
    """A site with the dying API in front."""

    user = str(uuid.uuid4())

    async def open(
        self, environment: WorkflowEnvironment, when: str, settings: Mapping[str, str]
    ) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        token = EmbeddedIssuer.open(self.folder).sign(self.user)
        self.http = httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {token}"}, timeout=30
        )
        self._command = (sys.executable, "-m", "tests.faults.dying_api", str(port), when)
        self._env = {
            **os.environ,
            "DATA_DIR": str(self.folder),
            "EMBEDDED_ISSUER": "true",
            "TEMPORAL_ADDRESS": environment.client.service_client.config.target_host,
            **settings,
        }
        self._process = await self._begin()

    async def _begin(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(*self._command, env=self._env, cwd=ROOT)
        async with asyncio.timeout(60):
            while True:
                try:
                    if (await self.http.get("/health/ready")).status_code == httpx.codes.OK:
                        return process
                except httpx.TransportError:
                    await asyncio.sleep(0.1)

    async def died(self) -> None:
        """Wait for its death and start it again."""
        async with asyncio.timeout(30):
            assert await self._process.wait() != 0
        self._process = await self._begin()

    async def upload(self, audio: Path, key: str) -> httpx.Response:
        return await self.http.post(
            "/api/v1/memos/upload",
            files={"file": (audio.name, audio.read_bytes(), "audio/wav")},
            headers={"idempotency-key": key},
        )

    async def completed(self) -> dict[str, object]:
        """The only memo of the user, once it is complete."""
        async with asyncio.timeout(90):
            while True:
                memos = (await self.http.get("/api/v1/memos")).json()
                assert memos["total"] == 1
                (memo,) = memos["memos"]
                if memo["status"] == JobState.COMPLETED:
                    return dict(memo)
                await asyncio.sleep(0.2)

    async def close(self) -> None:
        await self.http.aclose()
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        await super().close()


@asynccontextmanager
async def front(
    environment: WorkflowEnvironment, folder: Path, when: str, **settings: str
) -> AsyncIterator[Front]:
    """Settings are for API and worker."""
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    site = Front(environment.client, folder, vendor)
    await site.open(environment, when, settings)
    try:
        async with site.working(**settings):
            yield site
    finally:
        await site.close()


async def whole(site: Front) -> None:
    await site.completed()
    balance = (await site.http.get("/api/v1/credits/balance")).json()
    assert (balance["credits"], balance["held"], balance["totalSpent"]) == (147, 0, 3)
    assert len(site.vendor.calls) == 1
    assert await site.broken() == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_client_that_asks_again_with_its_key_gets_the_one_memo(
    environment: WorkflowEnvironment, tmp_path: Path, when: str
) -> None:
    audio, key = make(tmp_path / "tone.wav", SECONDS), str(uuid.uuid4())
    async with front(environment, tmp_path / "data", when) as site:
        with pytest.raises(httpx.TransportError):
            await site.upload(audio, key)
        await site.died()
        async with asyncio.timeout(60):
            while (again := await site.upload(audio, key)).status_code == httpx.codes.CONFLICT:
                await asyncio.sleep(float(again.headers["retry-after"]))
        assert again.status_code == httpx.codes.CREATED
        memo = await site.completed()
        assert memo["id"] == again.json()["memoId"]
        await whole(site)


async def test_a_memo_whose_client_never_asks_again_is_started_by_reconcile(
    environment: WorkflowEnvironment, tmp_path: Path
) -> None:
    audio = make(tmp_path / "tone.wav", SECONDS)
    async with front(environment, tmp_path / "data", "before") as site:
        with pytest.raises(httpx.TransportError):
            await site.upload(audio, str(uuid.uuid4()))
        await site.died()
        started = 0
        async with asyncio.timeout(60):
            while not started:
                await asyncio.sleep(2)
                healed = await site.client.execute_workflow(
                    ids.RECONCILE, id=f"reconcile-{uuid.uuid4()}", task_queue=MAIN
                )
                started = healed["started"]
        await whole(site)
