"""Every process of a set-up killed in mid-transcription: one memo, one charge, no leftovers."""

import asyncio
import json
import uuid
from pathlib import Path

import httpx
import psutil
import pytest

from tests.embedded import running, voicekeep
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

SECONDS = 70
USER = str(uuid.uuid4())


async def finished(http: httpx.AsyncClient, job_id: str) -> dict[str, object]:
    async with asyncio.timeout(120):
        while True:
            answer = await http.get(f"/api/v1/jobs/{job_id}")
            job = answer.json()
            if answer.is_success and job["state"] not in {"queued", "running"}:
                return dict(job)
            await asyncio.sleep(0.2)


def heard(vendor: FakeOpenAI) -> int:
    """Calls that cost; the worker's look at the models when it starts is none."""
    return sum(call["method"] == "POST" for call in vendor.calls)


@pytest.mark.parametrize(
    ("name", "calls"), [("temporal", 1), ("api", 1), ("worker", 2), ("all", 2)]
)
async def test_a_process_killed_during_the_vendors_call_costs_nothing_twice(
    tmp_path: Path, name: str, calls: int
) -> None:
    vendor = FakeOpenAI()
    await vendor.start()
    vendor.fault(hang=True, call="POST")
    audio = make(tmp_path / "tone.wav", SECONDS)
    data = tmp_path / "data"
    settings = {
        "TRANSCRIPTION_TIERS": "openai",
        "OPENAI_BASE_URL": vendor.base_url,
        "OPENAI_API_KEY": "test",
        "LANGUAGE_MODEL_TIERS": "local",
        "HEARTBEAT_TIMEOUT_SECONDS": "5",
    }
    with running(data, **settings) as (up, ready):
        token = voicekeep("token", "--user", USER, data=data).stdout.strip()
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=ready["api"], headers=headers, timeout=60) as http:
            files = {"file": ("tone.wav", audio.read_bytes(), "audio/wav")}
            started = (await http.post("/api/v1/memos/upload", files=files)).json()
            async with asyncio.timeout(60):
                while not heard(vendor):
                    await asyncio.sleep(0.05)
            pids: dict[str, list[int]] = {
                key: given if isinstance(given, list) else [given]
                for key, given in ready["pids"].items()
            }
            names = list(pids) if name == "all" else [name]
            victims = [pid for each in names for pid in pids[each]]
            for victim in victims:
                psutil.Process(victim).kill()
            restarted = {(await asyncio.to_thread(up.event))["name"] for _ in victims}
            assert restarted == set(names)
            vendor.release()
            job = await finished(http, started["jobId"])
            balance = (await http.get("/api/v1/credits/balance")).json()
        assert job["state"] == "completed"
        assert (balance["credits"], balance["held"], balance["totalSpent"]) == (147, 0, 3)
        assert heard(vendor) == calls
        verified = voicekeep("doctor", "--verify", "--json", data=data)
        assert json.loads(verified.stdout) == {"ok": True, "violations": []}
    await vendor.aclose()
