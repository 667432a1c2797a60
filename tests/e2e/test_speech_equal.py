"""Equal texts over real sockets: one job for one user, and nothing one user learns of another's."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from store.migrations import upgrade
from tests.api.front import Front, User
from tests.api.sockets import served
from tests.fakes.openai import FakeOpenAI
from tests.site import Site
from tests.spoken import paragraphs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

TEXT: Final = "The lighthouse keeper counted seven ships."
OTHER: Final = "The lighthouse keeper counted eleven boat."
"""As long, and nobody else's."""
CONNECTIONS: Final = 40
"""Of the pool: as many requests are under way at once."""

VARYING: Final = (
    (r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "<id>"),
    (r"\b[0-9a-f]{64}\b", "<hash>"),
    (r"\b[0-9a-f]{32}\b", "<request>"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)", "<time>"),
    # How long it took, and how long and large is what was said: of the text, not of who asked.
    (
        r'"(seconds|audio_seconds|audioSeconds|size|ageSeconds|storage_used_mb)": ?[\d.]+',
        r'"\1":<n>',
    ),
)
"""What differs between any two answers."""


class Stage:
    """The API over a socket, the worker and the vendor behind it."""

    def __init__(self, site: Site, front: Front, http: httpx.AsyncClient) -> None:
        self.site = site
        self.front = front
        self.http = http

    @property
    def bought(self) -> int:
        return sum(call["path"] == "/v1/audio/speech" for call in self.site.vendor.calls)

    async def ask(self, method: str, path: str, user: User, **more: Any) -> httpx.Response:
        return await self.http.request(method, path, headers=dict(user.headers), **more)

    async def patiently(self, path: str, user: User, body: dict[str, Any]) -> httpx.Response:
        """As a client that comes again for as long as it is told to."""
        while True:
            answer = await self.ask("POST", path, user, json=body)
            if answer.status_code not in {409, 503}:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    async def spoken(self, user: User, text: str, **fields: Any) -> tuple[str, list[str]]:
        """A text, once its audio is there: its id, and all that its user was told of it."""
        body = {"text": text, "voice": "nova", "format": "wav"} | fields
        answer = await self.ask("POST", "/api/v1/speech", user, json=body)
        assert answer.status_code == 201, answer.text
        file_id = answer.json()["speech"]["id"]
        path = f"/api/v1/speech/{file_id}"
        events = await self.ask("GET", f"{path}/events", user)
        paths = (path, f"/api/v1/jobs/speech-{file_id}", "/api/v1/speech", "/user/usage")
        answers = [answer, events, *[await self.ask("GET", each, user) for each in paths]]
        return file_id, [f"{each.status_code} {_plain(each.text)}" for each in answers]

    async def audio(self, user: User, file_id: str) -> httpx.Response:
        return await self.ask("GET", f"/api/v1/speech/{file_id}/audio", user)


def _plain(text: str) -> str:
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return text


@asynccontextmanager
async def stage(
    environment: WorkflowEnvironment, folder: Path, **settings: Any
) -> AsyncIterator[Stage]:
    vendor = FakeOpenAI()
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    await vendor.start()
    site = Site(environment.client, folder, vendor)
    own: dict[str, Any] = {"SPEECH_TIERS": "openai"} | settings
    given: dict[str, Any] = {
        "OPENAI_BASE_URL": vendor.base_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_API_WAIT_SECONDS": 60,
        "EVENT_STREAM_SECONDS": 30,
        "TEMPORAL_ADDRESS": environment.client.service_client.config.target_host,
    }
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with (
        site.working(**own),
        served(folder, temporal=True, **given, **own) as (front, url),
        httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as http,
    ):
        yield Stage(site, front, http)
    assert await site.broken() == []
    await site.close()


@pytest.fixture(scope="module")
async def apart(
    environment: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """Parts serve their own user alone, as the settings have it."""
    async with stage(environment, tmp_path_factory.mktemp("apart")) as opened:
        yield opened


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
async def test_equal_misses_at_once_are_one_workflow_and_one_call(apart: Stage, count: int) -> None:
    ours = {"text": TEXT, "voice": "echo", "model": "tts-1", "format": "wav"}
    theirs = {"input": TEXT, "voice": "echo", "model": "tts-1", "response_format": "wav"}
    user, before = apart.front.user(), apart.bought
    apart.site.vendor.fault(latency=1.0, call="audio/speech")

    async def one(number: int) -> httpx.Response:
        if number % 10 == 9:  # as a client of OpenAI, which hears it
            return await apart.patiently("/v1/audio/speech", user, theirs)
        return await apart.patiently("/api/v1/speech", user, ours)

    answers = await asyncio.gather(*(one(number) for number in range(count)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    told = [answer.json() for answer in answers if "json" in answer.headers["content-type"]]
    heard = [answer.content for answer in answers if "audio" in answer.headers["content-type"]]
    assert (len(told), len(heard)) == (count - count // 10, count // 10)
    assert {len(content) for content in heard} == {len(heard[0])}
    (file_id,) = {each["speech"]["id"] for each in told}
    assert apart.bought == before + 1
    query = f"WorkflowType = 'speech' AND UserId = '{user.id}'"
    begun = [each.id async for each in apart.site.client.list_workflows(query)]
    assert begun == [f"speech-{file_id}"]


async def test_a_text_that_another_user_has_is_told_like_one_that_nobody_has(apart: Stage) -> None:
    anna, ben, cleo = (apart.front.user() for _ in range(3))
    before = apart.bought
    annas, _ = await apart.spoken(anna, TEXT)
    bens, known = await apart.spoken(ben, TEXT)
    _, unknown = await apart.spoken(cleo, OTHER)
    assert known == unknown
    assert (apart.bought, annas == bens) == (before + 3, False)
    for method in ("GET", "DELETE"):
        others, nobodys = [
            await apart.ask(method, f"/api/v1/speech/{file_id}", ben)
            for file_id in (annas, str(uuid4()))
        ]
        assert (others.status_code, _plain(others.text)) == (404, _plain(nobodys.text))
    assert (await apart.audio(anna, annas)).status_code == 200
    assert (await apart.ask("DELETE", f"/api/v1/speech/{annas}", anna)).status_code == 200
    assert (await apart.audio(ben, bens)).status_code == 200
    # What she deleted is bought anew: nothing of his serves her.
    await apart.spoken(anna, TEXT)
    assert apart.bought == before + 4


async def test_who_listens_while_lost_parts_are_spoken_once_more_hears_the_whole_text(
    apart: Stage,
) -> None:
    user, before, files = apart.front.user(), apart.bought, apart.site.files
    await apart.spoken(user, paragraphs(2), model="tts-1")
    for key in [each.key async for each in files.list(f"{user.id}/")]:
        if "/part_" in key:
            await files.delete(key)
    asked = {"input": paragraphs(3), "voice": "nova", "model": "tts-1", "response_format": "pcm"}
    heard = await apart.patiently("/v1/audio/speech", user, asked)
    assert heard.status_code == 200
    assert apart.bought == before + 2 + 1 + 2
    (told, _) = (await apart.ask("GET", "/api/v1/speech", user)).json()["speech"]
    stored = await apart.audio(user, told["id"])
    assert heard.content == stored.content
