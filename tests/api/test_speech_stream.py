"""What a listener gets of a text that is still spoken, whatever becomes of its job."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import httpx
import pytest
from starlette.types import Message

from api.live_response import LiveResponse
from contracts import ids
from contracts.audio import MediaKind
from contracts.costs import Bill
from contracts.jobs import JobFailure, JobState, Step
from contracts.speech import PlannedVoice, SpeechOrder
from contracts.speech_division import Division, divide, told
from contracts.speech_job import KeptPart, SpeechReady
from contracts.speech_text import normalised
from store.speech_tables import EVERYBODY
from tests.api.front import Front, User
from tests.api.sockets import served

SPEECH: Final = "/v1/audio/speech"
TEXT: Final = normalised(
    "\n\n".join(f"{at}. The lighthouse keeper counted the ships that came in. " * 3 for at in "abc")
)
VOICES: Final = [
    PlannedVoice(name=name, provider=name, voice="nova", max_characters=200)
    for name in ("first", "second")
]
SAMPLES: Final = 2400


class Reading:
    """A text of a user, whose job does what a test says."""

    def __init__(self, front: Front, user: User, **fields: Any) -> None:
        self.front = front
        self.user = user
        self.scope = user.id
        self.body = {"input": TEXT, "model": "tts-1", "voice": "nova", "response_format": "pcm"}
        self.body |= fields
        self.job_id = self.file_id = ""

    async def run(self) -> None:
        """The job begins, and has told who may speak."""
        order = SpeechOrder(
            text=TEXT, voice="nova", model="tts-1", format=self.body["response_format"]
        )
        async with asyncio.timeout(10):
            while True:
                async with self.front.database.read() as tx:
                    file = await tx.speech.of_content(self.user.id, order.content_hash)
                if file is not None:
                    break
                await asyncio.sleep(0.01)
        self.job_id, self.file_id = file.job_id, file.id
        await self.move(JobState.RUNNING, data={"voices": told(VOICES)})

    async def move(self, state: JobState, **fields: Any) -> None:
        step = Step.DONE if state.final else Step.SPEAK
        async with self.front.database.write() as tx:
            await tx.jobs.move(self.job_id, self.user.id, state, step=step, **fields)

    def division(self, number: int = 0) -> Division:
        return divide(VOICES[number], TEXT)

    def samples(self, at: int, number: int = 0) -> bytes:
        return bytes([1 + at, number]) * SAMPLES

    async def keep(
        self, at: int, number: int = 0, *, stored: bool = True, telling: bool = True
    ) -> str:
        """A part is spoken; returns where its samples are."""
        part_hash, user_id = self.division(number).hashes[at], self.user.id
        key = ids.part_key(user_id, self.file_id, part_hash)
        if stored:
            await self.store(key, self.samples(at, number))
        async with self.front.database.write() as tx:
            await tx.media.add(key, user_id, kind=MediaKind.WORK, memo_id=None, job_id=self.job_id)
            part = KeptPart(hash=part_hash, key=key, samples=SAMPLES)
            await tx.speech.keep_part(self.scope, user_id, self.file_id, part)
            await tx.media.stand(key, user_id)
            if telling:
                tier = VOICES[number].name
                await tx.jobs.advance(self.job_id, user_id, Step.SPEAK, tier=tier)
        return key

    async def store(self, key: str, data: bytes) -> None:
        async def content() -> AsyncIterator[bytes]:
            yield data

        await self.front.services.files.put(key, content(), media_type="audio/x")

    async def called(self, number: int) -> None:
        """A tier is called, and has not answered."""
        voice = VOICES[number]
        async with self.front.database.write() as tx:
            await tx.attempts.begin(
                self.job_id, self.user.id, voice.name, voice.provider, 1, step=Step.SPEAK,
                bill=Bill(),
            )  # fmt: skip

    async def complete(self, number: int = 0) -> bytes:
        """The file is there; returns what is in it."""
        whole = b"".join(self.samples(at, number) for at in range(3))
        key = ids.speech_key(self.user.id, self.file_id, self.body["response_format"])
        await self.store(key, whole)
        made = SpeechReady(seconds=0.3, size=len(whole))
        tier = VOICES[number].name
        async with self.front.database.write() as tx:
            assert await tx.speech.ready(
                self.file_id, self.user.id, made, key=key, sha256="a" * 64, tier=tier,
                timings=(), keep_seconds=99,
            )  # fmt: skip
            await tx.jobs.advance(self.job_id, self.user.id, Step.ANNOUNCE, tier=tier)
        await self.move(JobState.COMPLETED)
        return whole


class Stage:
    """The API behind a socket, and clients of it."""

    def __init__(self, front: Front, url: str) -> None:
        self.front = front
        self._http = httpx.AsyncClient(base_url=url, timeout=30)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def reading(self, **fields: Any) -> AsyncIterator["tuple[Reading, Listening]"]:
        """A text whose job has begun, and somebody who listens."""
        reading = Reading(self.front, self.front.user(), **fields)
        async with self.listening(reading) as heard:
            await reading.run()
            yield reading, heard

    @asynccontextmanager
    async def listening(self, reading: Reading) -> AsyncIterator["Listening"]:
        request = self._http.build_request(
            "POST", SPEECH, json=reading.body, headers=dict(reading.user.headers)
        )
        task = asyncio.create_task(self._http.send(request, stream=True))
        try:
            yield Listening(task)
        finally:
            task.cancel()
            for answer in await asyncio.gather(task, return_exceptions=True):
                if isinstance(answer, httpx.Response):
                    await answer.aclose()


class Listening:
    """What somebody hears."""

    def __init__(self, task: "asyncio.Task[httpx.Response]") -> None:
        self._task = task
        self._chunks: AsyncIterator[bytes] | None = None

    @property
    def begun(self) -> bool:
        return self._task.done()

    async def answer(self) -> httpx.Response:
        return await self._task

    async def some(self, size: int) -> bytes:
        """At least so many bytes."""
        if self._chunks is None:
            self._chunks = (await self.answer()).aiter_bytes()
        data = b""
        while len(data) < size:
            data += await anext(self._chunks)
        return data

    async def rest(self) -> bytes:
        if self._chunks is None:
            self._chunks = (await self.answer()).aiter_bytes()
        return b"".join([chunk async for chunk in self._chunks])


@pytest.fixture
async def stage(data_dir: Path) -> AsyncIterator[Stage]:
    async with opened(data_dir) as stage:
        yield stage


@asynccontextmanager
async def opened(data_dir: Path, **settings: Any) -> AsyncIterator[Stage]:
    given = {"OPENAI_API_WAIT_SECONDS": 20, "SPEECH_PAUSE_SECONDS": 20} | settings
    async with served(data_dir, **given) as (front, url), Stage(front, url) as stage:
        yield stage


async def test_parts_are_sent_in_order_however_they_come_and_all_only_when_the_job_is_done(
    stage: Stage,
) -> None:
    async with stage.reading() as (reading, heard):
        await reading.keep(2)
        await reading.keep(0)
        size = len(reading.samples(0))
        assert await heard.some(size) == reading.samples(0)
        await reading.keep(1)
        assert await heard.some(2 * size) == reading.samples(1) + reading.samples(2)
        rest = asyncio.create_task(heard.rest())
        whole = await reading.complete()
        assert await rest == b""
        async with stage.listening(reading) as again:
            assert (await again.answer()).headers["content-length"] == str(len(whole))
            assert await again.rest() == whole


async def test_who_comes_when_half_is_spoken_hears_it_from_the_beginning(stage: Stage) -> None:
    async with stage.reading() as (reading, first):
        await reading.keep(0)
        await reading.keep(1)
        async with stage.listening(reading) as second:
            both = reading.samples(0) + reading.samples(1)
            assert await first.some(len(both)) == await second.some(len(both)) == both


@pytest.mark.slow
async def test_a_part_that_no_event_tells_is_found(stage: Stage) -> None:
    async with stage.reading() as (reading, heard):
        await reading.keep(0, telling=False)
        assert await heard.some(1) == reading.samples(0)


async def test_shared_parts_are_those_of_everybody(data_dir: Path) -> None:
    async with opened(data_dir, SPEECH_SHARE_PARTS=True) as stage, stage.reading() as made:
        reading, heard = made
        reading.scope = EVERYBODY
        await reading.keep(0)
        assert await heard.some(1) == reading.samples(0)


async def test_a_tier_that_took_over_is_heard_from_the_beginning_when_nothing_was_sent(
    stage: Stage,
) -> None:
    async with stage.reading() as (reading, heard):
        await reading.called(0)
        await reading.called(1)
        # Spoken for another text, by the tier that failed in this one.
        await reading.keep(0, telling=False)
        for at in range(3):
            await reading.keep(at, number=1)
        rest = asyncio.create_task(heard.rest())
        whole = await reading.complete(1)
        assert await rest == whole


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("voice", "voice_changed"),
        ("failed", "provider_out"),
        pytest.param("file", "voice_changed", marks=pytest.mark.slow),
        pytest.param("cancelled", "job_cancelled", marks=pytest.mark.slow),
        pytest.param("deleted", "job_cancelled", marks=pytest.mark.slow),
        pytest.param("lost", "unavailable", marks=pytest.mark.slow),
    ],
)
async def test_what_goes_wrong_after_the_first_bytes_ends_the_answer_short_and_is_told_in_events(
    what: str, code: str, data_dir: Path
) -> None:
    pause = 1.0 if what == "lost" else 20
    async with (
        opened(data_dir, SPEECH_PAUSE_SECONDS=pause) as stage,
        stage.reading() as (reading, heard),
    ):
        reading.body["stream_format"] = "sse"
        async with stage.listening(reading) as events:
            await reading.keep(0)
            assert await heard.some(1) == reading.samples(0)
            assert (await events.some(1)).startswith(b"data: ")
            await go_wrong(reading, what)
            with pytest.raises(httpx.RemoteProtocolError):
                await heard.rest()
            kind, data = (await events.rest()).decode().strip().split("\n")[-2:]
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == code


async def go_wrong(reading: Reading, what: str) -> None:
    match what:
        case "voice":
            await reading.keep(0, number=1)
        case "file":  # all of the other tier's parts were there
            await reading.complete(1)
        case "failed":
            failure = JobFailure(code="provider_out", message="No tier could serve")
            await reading.move(JobState.FAILED, failure=failure)
        case "cancelled":
            await reading.move(JobState.CANCELLED)
        case "deleted":
            path = f"speech/{reading.file_id}"
            assert (await reading.front.ask("DELETE", path, reading.user)).is_success
            await reading.move(JobState.CANCELLED)
        case _:
            assert what == "lost"


@pytest.mark.slow
async def test_a_part_whose_file_is_lost_is_waited_for(stage: Stage) -> None:
    async with stage.reading() as (reading, heard):
        key = await reading.keep(0, stored=False)
        await asyncio.sleep(0.2)
        assert not heard.begun
        await reading.store(key, reading.samples(0))
        assert await heard.some(1) == reading.samples(0)


async def test_what_has_not_begun_in_time_is_still_at_work(data_dir: Path) -> None:
    async with (
        opened(data_dir, OPENAI_API_WAIT_SECONDS=0.5) as stage,
        stage.reading() as (reading, heard),
    ):
        await reading.keep(1)
        answer = await heard.answer()
        assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
        assert stage.front.services.measures.watchers._value.get() == 0


async def test_a_job_that_ends_before_the_first_bytes_is_told_by_a_status(stage: Stage) -> None:
    async with stage.reading() as (reading, heard):
        await reading.keep(1)
        failure = JobFailure(code="provider_out", message="No tier could serve")
        await reading.move(JobState.FAILED, failure=failure)
        assert (await heard.answer()).status_code == 502


@pytest.mark.parametrize("form", ["mp3", "wav"])
async def test_beyond_the_encoders_allowed_the_file_is_waited_for(
    form: str, data_dir: Path
) -> None:
    async with (
        opened(data_dir, SPEECH_ENCODERS=0) as stage,
        stage.reading(response_format=form) as (reading, heard),
    ):
        await reading.keep(0)
        if form == "wav":  # needs none
            assert (await heard.some(45)).startswith(b"RIFF\xff\xff\xff\xffWAVE")
            return
        whole = await reading.complete()
        assert (await heard.answer()).headers["content-length"] == str(len(whole))
        assert await heard.rest() == whole


async def test_a_listener_who_takes_nothing_halts_what_is_made_and_is_left_in_the_end() -> None:
    made, closed, taken = 0, asyncio.Event(), asyncio.Semaphore(2)

    async def chunks() -> AsyncGenerator[bytes, None]:
        nonlocal made
        while True:
            made += 1
            yield b"sound"

    async def send(message: Message) -> None:
        await taken.acquire()
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def close() -> None:
        closed.set()

    sent: list[Message] = []
    answer = LiveResponse(chunks(), close, media_type="audio/pcm", pause=0.1)
    await answer({"type": "http"}, receive, send)
    assert (made, len(sent), sent[-1]["more_body"]) == (2, 2, True)
    assert closed.is_set()
