"""What models write, from the POST to the end: the real front, server and worker, local engines.

The recording is heard by a stand-in for a vendor; what is written about it is written by the
engine of this machine.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest

from store.migrations import upgrade
from tests.api.front import Front, User, opened
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make
from tests.site import Site, local_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SECONDS: Final = 70
KEY: Final = {"Idempotency-Key": "k-1"}


@dataclass
class World:
    """The front, its worker, and a memo of a user's that has been transcribed."""

    site: Site
    front: Front
    user: User
    memo_id: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.front.ask(method, path, self.user, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def credits(self) -> int:
        account = await self.ask("GET", "credits/balance")
        assert account["held"] == 0
        return int(account["credits"])


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("writing")
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(local_server())
        vendor = FakeOpenAI()
        await vendor.start()
        await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
        site = Site(environment.client, folder, vendor)
        stack.push_async_callback(site.close)
        await stack.enter_async_context(site.working())
        front = await stack.enter_async_context(
            opened(
                folder,
                temporal=True,
                TEMPORAL_ADDRESS=environment.client.service_client.config.target_host,
                LONG_CALL_WAIT_SECONDS=60,
            )
        )
        audio = make(folder / "tone.wav", SECONDS).read_bytes()
        yield await _transcribed(site, front, audio)


async def _transcribed(site: Site, front: Front, audio: bytes) -> World:
    user = front.user()
    memo = (await front.upload(user, audio)).json()
    handle = site.client.get_workflow_handle(memo["jobId"])
    await asyncio.wait_for(handle.result(), 60)
    return World(site, front, user, memo["memoId"])


async def test_a_question_is_answered_kept_as_a_memory_and_costs_five_credits(
    world: World,
) -> None:
    before = await world.credits()
    path, body = f"memos/{world.memo_id}/question", {"question": "What was said?"}
    told = await world.ask("POST", path, body, **KEY)

    assert told["answer"]
    assert (told["memoId"], told["question"]) == (world.memo_id, "What was said?")
    memory = (await world.ask("GET", f"memories/{told['memoryId']}"))["memory"]
    assert (memory["memo_id"], memory["content"]) == (world.memo_id, told["answer"])
    assert await world.credits() == before - 5
    assert await world.ask("POST", path, body, **KEY) == told
    assert await world.credits() == before - 5

    job = await world.ask("GET", f"jobs/{memory['metadata']['jobId']}")
    assert (job["state"], job["kind"], job["credits"]) == (
        "completed", "question", {"held": 0, "charged": 5},
    )  # fmt: skip
    assert {attempt["step"] for attempt in job["attempts"]} == {"write"}
    read = job["result"]["read"]
    assert read["characters"] == read["total"] > 0
    assert job["result"]["memoryIds"] == [told["memoryId"]]
    assert job["result"]["prompt"] is None, "the engine of this machine has no prompt file"
    assert told["answer"] not in str(job)
    assert await world.site.broken() == []


async def test_memories_combinations_and_headlines_are_written(world: World) -> None:
    before = await world.credits()
    written = await world.ask("POST", f"memos/{world.memo_id}/memories", {"prompt": "The tasks"})
    assert written["memory"]["content"]
    answer = await world.front.upload(
        world.user, make(world.site.folder / "other.wav", SECONDS).read_bytes()
    )
    other = answer.json()
    await asyncio.wait_for(world.site.client.get_workflow_handle(other["jobId"]).result(), 60)
    ids = [other["memoId"], world.memo_id]
    combined = await world.ask("POST", "memos/combine", {"memoIds": ids})
    assert combined["memo"]["source"]["source_memo_ids"] == ids
    assert combined["memo"]["title"] == combined["headline"]
    headline = await world.ask("POST", f"memos/{combined['memo']['id']}/retry-headline")
    assert headline["headline"]
    charged = 5 + 5 + 3
    assert await world.credits() == before - charged
    assert await world.site.broken() == []


async def test_a_blueprint_of_a_new_memo_writes_a_memory_by_each_of_its_prompts(
    world: World,
) -> None:
    prompts = [{"promptText": {"en": text}} for text in ("The tasks", "The decisions")]
    body = {"name": {"en": "Meeting"}, "prompts": prompts}
    made = (await world.ask("POST", "blueprints", body))["blueprint"]
    audio = make(world.site.folder / "third.wav", SECONDS).read_bytes()
    memo = (await world.front.upload(world.user, audio, blueprintId=made["id"])).json()
    client = world.site.client
    await asyncio.wait_for(client.get_workflow_handle(memo["jobId"]).result(), 60)
    blueprint_job = f"blueprint-{memo['memoId']}"
    await asyncio.wait_for(client.get_workflow_handle(blueprint_job).result(), 60)
    found = (await world.ask("GET", f"memos/{memo['memoId']}/memories"))["memories"]
    assert [memory["metadata"]["promptId"] for memory in found] == [
        prompt["id"] for prompt in made["prompts"]
    ]
    assert await world.site.broken() == []
