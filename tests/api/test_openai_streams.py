"""Transcripts that are sent while they are made: what is told early, and what when it was wrong."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from api.openai_transcript_stream import LiveTranscript
from contracts.chunks import CHUNKS
from contracts.errors import Conflict, Failure, ProviderFailure
from contracts.jobs import JobFailure, JobState, Step
from contracts.transcript import Transcript, TranscriptPart, Utterance, join_parts
from tests.api.front import Front, User, opened, wav

PATH: Final = "/v1/audio/transcriptions"


def part(number: int, *texts: str) -> TranscriptPart:
    """Ten seconds of a recording; two people take turns."""
    utterances = tuple(
        Utterance(text=text, offset=number * 10_000 + at * 1000, duration=900, speaker=1 + at % 2)
        for at, text in enumerate(texts)
    )
    return TranscriptPart(start=number * 10, end=number * 10 + 10, utterances=utterances)


PARTS: Final = (part(0, "One.", "Two."), part(1, "Three."), part(2), part(3, "Four."))
WHOLE: Final = join_parts(PARTS, 40.0)


class Recorder:
    """A memo whose job does what a test says."""

    def __init__(self, front: Front, user: User) -> None:
        self.front = front
        self.user = user

    async def begin(self) -> None:
        files = {"file": ("a.wav", wav())}
        data = {"model": "whisper-1", "stream": "true"}
        asking = asyncio.create_task(
            self.front.ask("POST", PATH, self.user, files=files, data=data)
        )
        while not self.front.starter.started:
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with self.front.database.write() as tx:
            await tx.jobs.move(self.job_id, self.user.id, JobState.RUNNING, step=Step.TRANSCRIBE)

    @property
    def job_id(self) -> str:
        return self.front.starter.started[-1][1]

    def listen(self, *, diarized: bool = False) -> AsyncGenerator[bytes, None]:
        live = LiveTranscript(self.front.services, self.job_id, self.user.id, diarized=diarized)
        return live.events()

    async def keep(self, *parts: TranscriptPart, tier: str | None = None) -> None:
        """Of a tier that hears the recording part by part; else chunks."""
        for each in parts:
            data = {"from": each.start, "to": each.end} if tier is None else {"percent": 9}
            async with self.front.database.write() as tx:
                await tx.transcripts.save_part(self.job_id, self.user.id, tier or CHUNKS, each)
                await tx.jobs.advance(
                    self.job_id, self.user.id, Step.TRANSCRIBE, tier=tier or "openai", data=data
                )

    async def save(self, transcript: Transcript = WHOLE) -> None:
        memo_id = self.front.starter.started[-1][3]["memo_id"]
        async with self.front.database.write() as tx:
            await tx.transcripts.save(self.job_id, self.user.id, memo_id, "mixed", transcript)
            await tx.jobs.advance(self.job_id, self.user.id, Step.SETTLE)

    async def end(self, state: JobState, failure: JobFailure | None = None) -> None:
        async with self.front.database.write() as tx:
            await tx.jobs.move(self.job_id, self.user.id, state, step=Step.DONE, failure=failure)


@pytest.fixture
async def recorder(data_dir: Path) -> AsyncIterator[Recorder]:
    async with opened(data_dir, OPENAI_API_WAIT_SECONDS=30) as front:
        recorder = Recorder(front, front.user())
        await recorder.begin()
        yield recorder


def told(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line.decode().removeprefix("data: "))
    return found


def text_in(lines: Sequence[bytes]) -> str:
    return "".join(told(line).get("delta", "") for line in lines)


async def taken(events: AsyncGenerator[bytes, None], count: int) -> list[bytes]:
    return [await anext(events) for _ in range(count)]


async def test_a_chunk_is_told_when_the_next_one_is_there_and_in_its_place(
    recorder: Recorder,
) -> None:
    events = recorder.listen()
    await recorder.keep(PARTS[1], PARTS[3], PARTS[0])
    early = await taken(events, 2)
    assert text_in(early) == "One. Two."
    await recorder.keep(PARTS[2])
    early += await taken(events, 1)
    assert text_in(early) == "One. Two. Three."
    await recorder.save()
    *late, done = [line async for line in events]
    assert text_in([*early, *late]) == told(done)["text"] == WHOLE.text
    assert told(done)["usage"]["seconds"] == 40


async def test_who_comes_later_is_told_at_once_what_is_there(recorder: Recorder) -> None:
    await recorder.keep(*PARTS[:2])
    first, second = recorder.listen(), recorder.listen()
    assert text_in(await taken(first, 2)) == text_in(await taken(second, 2)) == "One. Two."
    await first.aclose()
    await recorder.save()
    assert text_in([line async for line in second]) == " Three. Four."
    assert not recorder.front.services.events._watchers


async def test_speakers_are_told_with_their_turns_as_the_whole_answer_has_them(
    recorder: Recorder,
) -> None:
    events = recorder.listen(diarized=True)
    await recorder.keep(*PARTS[:2])
    lines = await taken(events, 4)
    await recorder.save()
    lines += [line async for line in events]
    turns = [each for each in map(told, lines) if each["type"] == "transcript.text.segment"]
    assert [(each["id"], each["speaker"], each["text"]) for each in turns] == [
        ("seg_0", "A", "One."), ("seg_1", "B", "Two."), ("seg_2", "A", "Three."),
        ("seg_3", "A", "Four."),
    ]  # fmt: skip
    assert text_in(lines) == WHOLE.text


async def test_a_chunk_that_nobody_could_hear_holds_back_what_comes_after_it(
    recorder: Recorder,
) -> None:
    gone = join_parts((PARTS[0], PARTS[1], PARTS[3]), 40.0)
    await recorder.keep(PARTS[0], PARTS[1], PARTS[3])
    events = recorder.listen()
    early = await taken(events, 2)
    await recorder.save(gone)
    assert text_in([*early, *[line async for line in events]]) == gone.text


async def test_a_tier_that_hears_part_by_part_is_told_so_too(recorder: Recorder) -> None:
    events = recorder.listen()
    await recorder.keep(*PARTS[:2], tier="local")
    early = await taken(events, 2)
    await recorder.save()
    assert text_in([*early, *[line async for line in events]]) == WHOLE.text


async def test_a_tier_that_gives_way_before_anything_was_told_is_not_noticed(
    recorder: Recorder,
) -> None:
    await recorder.keep(part(0, "Wrong."), tier="local")
    events = recorder.listen()
    await recorder.keep(*PARTS[:2])
    early = await taken(events, 2)
    await recorder.save()
    assert text_in([*early, *[line async for line in events]]) == WHOLE.text


async def test_a_tier_that_takes_over_after_something_was_told_is_an_error(
    recorder: Recorder,
) -> None:
    await recorder.keep(part(0, "Wrong."), part(1), tier="local")
    events = recorder.listen()
    assert text_in(await taken(events, 1)) == "Wrong."
    await recorder.keep(PARTS[0], tier="whisper")
    with pytest.raises(Conflict) as raised:
        await anext(events)
    assert raised.value.code == "transcript_changed"
    await recorder.save()
    assert text_in([line async for line in recorder.listen()]) == WHOLE.text


async def test_a_transcript_that_begins_otherwise_in_the_end_is_an_error(
    recorder: Recorder,
) -> None:
    await recorder.keep(*PARTS[:2])
    events = recorder.listen()
    await taken(events, 2)
    await recorder.save(Transcript(text="From outside.", seconds=40))
    with pytest.raises(Conflict) as raised:
        await anext(events)
    assert raised.value.code == "transcript_changed"


async def test_a_text_without_utterances_is_told_as_one(recorder: Recorder) -> None:
    await recorder.save(Transcript(text="From outside.", seconds=40))
    delta, done = [told(line) async for line in recorder.listen()]
    assert (delta["delta"], done["text"]) == ("From outside.", "From outside.")


@pytest.mark.parametrize(
    ("state", "kind"), [(JobState.FAILED, ProviderFailure), (JobState.CANCELLED, Conflict)]
)
async def test_a_job_that_ends_in_the_middle_is_told_as_what_it_ended_with(
    recorder: Recorder, state: JobState, kind: type[Failure]
) -> None:
    await recorder.keep(*PARTS[:2])
    events = recorder.listen()
    await taken(events, 2)
    failed = JobFailure(code="provider_failed", message="No tier could serve")
    await recorder.end(state, failed if state is JobState.FAILED else None)
    with pytest.raises(kind):
        await anext(events)


async def test_before_the_first_event_an_error_is_a_status_and_after_it_an_event(
    front: Front, anna: User
) -> None:
    recorder = Recorder(front, anna)
    await recorder.begin()
    files, data = {"file": ("a.wav", wav())}, {"model": "whisper-1", "stream": "true"}
    early = await front.ask("POST", PATH, anna, files=files, data=data)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "still_working")
    await recorder.keep(*PARTS[:2])
    late = await front.ask("POST", PATH, anna, files=files, data=data)
    assert (late.status_code, late.headers["Content-Type"].partition(";")[0]) == (
        200, "text/event-stream",
    )  # fmt: skip
    *deltas, error = [line for line in late.text.split("\n") if line.startswith("data: ")]
    assert text_in([line.encode() for line in deltas]) == "One. Two."
    assert told(error.encode())["error"]["code"] == "still_working"
    assert len({job_id for _, job_id, *_ in front.starter.started}) == 1
