"""From a file sent in pieces by another maker's client to a transcribed memo."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from contracts import ids
from contracts.queues import MAIN
from store.migrations import upgrade
from tests.api.front import API, User
from tests.api.processes import ApiProcess, api_processes, tus_client, user_of
from tests.api.uploading import PIECE, TUS
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

WAIT_SECONDS = 3


class Front(Site):
    """A site with the real API in front, as a process."""

    api: ApiProcess
    user: User
    http: httpx.AsyncClient

    async def begin_memo(self, path: str) -> dict[str, Any]:
        answer = await self.http.post(f"{API}/memos", json={"filePath": path, "duration": 5})
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def ended(self, memo_id: str) -> dict[str, Any]:
        """The memo, when its job has ended."""
        async with asyncio.timeout(90):
            while True:
                memo: dict[str, Any] = (await self.http.get(f"{API}/memos/{memo_id}")).json()[
                    "memo"
                ]
                if memo["status"] not in {"pending", "processing"}:
                    return memo
                await asyncio.sleep(0.1)


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Front]:
    folder = tmp_path / "data"
    async with opened(environment, folder) as front:
        yield front


@asynccontextmanager
async def opened(environment: WorkflowEnvironment, folder: Path) -> AsyncIterator[Front]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    site = Front(environment.client, folder, vendor)
    settings = {
        "TEMPORAL_ADDRESS": environment.client.service_client.config.target_host,
        "AUDIO_WAIT_SECONDS": str(WAIT_SECONDS),
    }
    # So that it never kills itself.
    (folder / "died").touch()
    async with api_processes(folder, **settings) as [site.api]:
        site.user = user_of(folder, str(uuid.uuid4()))
        site.http = httpx.AsyncClient(
            base_url=site.api.url, headers=dict(site.user.headers), timeout=30
        )
        try:
            async with site.working():
                yield site
        finally:
            await site.http.aclose()
            await site.close()


async def test_a_file_sent_by_tuspy_becomes_a_completed_memo(site: Front, tmp_path: Path) -> None:
    audio = make(tmp_path / "tone.wav", 5)
    client = await tus_client(site.api.url, site.user, audio, tmp_path / "urls.json", 20_000)
    told, _ = await client.communicate()
    path = told.decode().split()[-1]
    memo = await site.ended((await site.begin_memo(path))["memoId"])
    assert memo["status"] == "completed"
    assert memo["source"]["audio_path"] == path
    assert (site.folder / "files" / "user-uploads" / path).read_bytes() == audio.read_bytes()
    assert await site.broken() == []


async def test_a_memo_waits_for_its_upload_while_bytes_of_it_come_and_no_longer(
    site: Front, tmp_path: Path
) -> None:
    content = make(tmp_path / "tone.wav", 5).read_bytes()
    begun = [await begin(site, len(content)) for _ in range(2)]
    memos = [await site.begin_memo(upload["filePath"]) for upload in begun]
    assert await site.broken() == []
    size = len(content) // 8 + 1
    for place in range(0, len(content), size):
        # In all it takes longer than a memo waits for a file of which nothing is heard.
        await asyncio.sleep(WAIT_SECONDS / 5)
        headers = {**TUS, "Content-Type": PIECE, "Upload-Offset": str(place)}
        sent = await site.http.patch(
            begun[0]["url"], content=content[place : place + size], headers=headers
        )
        assert sent.status_code == 204
    assert (await site.ended(memos[0]["memoId"]))["status"] == "completed"
    assert (await site.ended(memos[1]["memoId"]))["status"] == "failed"
    job = (await site.http.get(f"{API}/jobs/{memos[1]['jobId']}")).json()
    assert (job["error"]["code"], job["credits"]["charged"]) == ("audio_not_found", 0)
    await site.client.execute_workflow(
        ids.RECONCILE, id=f"reconcile-{uuid.uuid4()}", task_queue=MAIN
    )
    assert await site.broken() == []


async def begin(site: Front, size: int) -> dict[str, Any]:
    body = {"filename": "a.wav", "mediaType": "audio/wav", "bytes": size}
    answer = await site.http.post(f"{API}/uploads", json=body)
    assert answer.status_code == 201
    upload: dict[str, Any] = answer.json()
    return upload
