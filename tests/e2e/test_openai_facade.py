"""The official client of OpenAI against us: real sockets, server, worker, and a vendor behind."""

import asyncio
import base64
import io
import json
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

import openai
import pytest
from openai import AsyncOpenAI
from temporalio.testing import WorkflowEnvironment

from store.migrations import upgrade
from tests.api.sockets import served
from tests.fakes.language_mind import ENGLISH
from tests.fakes.openai import FakeOpenAI, text_of
from tests.recordings import make
from tests.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECONDS: Final = 7
CHUNKS: Final = 3
"""Of a minute, each of at most 31 s: what fits into the 1 MB that the vendor takes here."""
FORMATS: Final[dict[Literal["mp3", "opus", "aac", "flac", "wav", "pcm"], bytes]] = {
    "mp3": b"ID3",
    "opus": b"OggS",
    "aac": b"\xff\xf1",
    "flac": b"fLaC",
    "wav": b"RIFF",
    "pcm": b"",
}
"""How a file of each begins."""


@dataclass
class Stage:
    """Somebody's client, and the vendor that works in the end."""

    client: AsyncOpenAI
    vendor: FakeOpenAI
    folder: Path

    def calls(self, path: str) -> int:
        return sum(call["path"] == f"/v1/audio/{path}" for call in self.vendor.calls)

    def recording(self, seconds: float = SECONDS) -> tuple[str, bytes]:
        """One that nobody has sent before."""
        path = self.folder / f"{uuid4()}.wav"
        tone = f"sine=frequency={200 + uuid4().int % 2000}"
        return path.name, make(path, seconds, tone).read_bytes()


@pytest.fixture(scope="module")
async def stage(
    environment: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder, vendor = tmp_path_factory.mktemp("openai"), FakeOpenAI()
    await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
    await vendor.start()
    site = Site(environment.client, folder, vendor)
    settings: dict[str, Any] = {
        "SPEECH_TIERS": "openai",
        "OPENAI_BASE_URL": vendor.base_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_API_WAIT_SECONDS": 60,
        "TEMPORAL_ADDRESS": environment.client.service_client.config.target_host,
    }
    async with (
        site.working(
            SPEECH_TIERS="openai", LANGUAGE_MODEL_TIERS="openai", OPENAI_TRANSCRIPTION_MAX_MB=1
        ),
        served(folder, temporal=True, **settings) as (front, url),
    ):
        body = {"name": "n", "scopes": ["speech", "memos:write"]}
        drawn = await front.ask("POST", "api-keys", front.user(), json=body)
        async with AsyncOpenAI(
            base_url=f"{url}/v1", api_key=drawn.json()["key"], max_retries=0
        ) as client:
            yield Stage(client, vendor, folder)
    assert await site.broken() == []
    await site.close()


async def test_a_text_is_read_in_all_six_formats_and_bought_once(stage: Stage) -> None:
    before = stage.calls("speech")
    made = {}
    for form, head in FORMATS.items():
        answer = await stage.client.audio.speech.create(
            model="gpt-4o-mini-tts",
            voice="nova",
            input="The lighthouse keeper counted seven ships.",
            response_format=form,
        )
        made[form] = answer.content
        assert answer.content.startswith(head), form
    assert stage.calls("speech") == before + 1
    with wave.open(io.BytesIO(made["wav"])) as wav:
        assert wav.readframes(wav.getnframes()) == made["pcm"]


async def test_audio_is_streamed_as_bytes_and_as_events(stage: Stage) -> None:
    asked: dict[str, Any] = {"model": "tts-1", "voice": "echo", "response_format": "pcm"}
    text, streaming = "A second text.", stage.client.audio.speech.with_streaming_response
    async with streaming.create(input=text, **asked) as answer:
        whole = b"".join([chunk async for chunk in answer.iter_bytes(1000)])
    async with streaming.create(input=text, stream_format="sse", **asked) as answer:
        lines = [line async for line in answer.iter_lines() if line]
    *deltas, done = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert b"".join(base64.b64decode(each["audio"]) for each in deltas) == whole
    assert len(whole) > 10_000
    assert done["type"] == "speech.audio.done"


async def test_a_recording_is_told_in_every_form_and_transcribed_once(stage: Stage) -> None:
    before, file, said = stage.calls("transcriptions"), stage.recording(), text_of(SECONDS)
    create = stage.client.audio.transcriptions.create
    assert (await create(model="whisper-1", file=file)).text == said
    assert await create(model="whisper-1", file=file, response_format="text") == f"{said}\n"
    assert "00:00:00,000 --> " in await create(model="whisper-1", file=file, response_format="srt")
    assert "WEBVTT" in await create(model="whisper-1", file=file, response_format="vtt")
    verbose = await create(
        model="whisper-1",
        file=file,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (verbose.text, round(verbose.duration)) == (said, SECONDS)
    assert verbose.segments is not None
    assert verbose.words is not None
    assert [word.word for word in verbose.words] == said.split()
    assert stage.calls("transcriptions") == before + 1
    diarized = await create(
        model="gpt-4o-transcribe-diarize", file=file, response_format="diarized_json"
    )
    assert " ".join(each.text for each in diarized.segments) == said
    assert stage.calls("transcriptions") == before + 2


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # all of it, by its client
async def test_a_recording_is_translated_in_every_form_by_one_call(stage: Stage) -> None:
    heard, file, said = stage.calls("transcriptions"), stage.recording(), text_of(SECONDS)
    create, asked = stage.client.audio.translations.create, {"language": "de"}
    before = len(stage.vendor.calls)
    told = await create(model="whisper-1", file=file, extra_body=asked)
    assert told.text.replace(ENGLISH, "") == said
    verbose = await create(
        model="whisper-1", file=file, extra_body=asked, response_format="verbose_json"
    )
    assert (verbose.text, verbose.language) == (told.text, "english")
    assert verbose.segments is not None
    assert " ".join(each.text for each in verbose.segments) == told.text
    assert "--> " in await create(
        model="whisper-1", file=file, extra_body=asked, response_format="srt"
    )
    original = await stage.client.audio.transcriptions.create(
        model="whisper-1", file=file, language="de"
    )
    assert original.text == said
    assert stage.calls("transcriptions") == heard + 1
    # No tier tells the language of this one: it is looked for, and found to be English.
    english = await create(model="whisper-1", file=stage.recording())
    assert english.text == said
    translations = [each for each in stage.vendor.calls[before:] if _translates(each)]
    assert len(translations) == 1


def _translates(call: dict[str, Any]) -> bool:
    return call["status"] == 200 and "translate into English" in call.get("system", "")


async def test_a_transcription_is_streamed(stage: Stage) -> None:
    stream = await stage.client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=stage.recording(), stream=True
    )
    events = [event async for event in stream]
    deltas = "".join(each.delta for each in events if each.type == "transcript.text.delta")
    assert deltas == text_of(SECONDS)
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == deltas


async def test_a_long_recording_is_streamed_while_its_last_chunk_is_still_being_heard(
    stage: Stage,
) -> None:
    before, file = stage.calls("transcriptions"), stage.recording(60)
    stage.vendor.fault(hang=True, call="audio/transcriptions", smaller=600_000)
    create = stage.client.audio.transcriptions.create
    stream = await create(model="whisper-1", file=file, stream=True)
    first = await anext(stream)
    assert first.type == "transcript.text.delta"
    await stream.close()
    stream = await create(model="whisper-1", file=file, stream=True)
    assert await anext(stream) == first, "whoever hung up is told it again"
    while stage.vendor.faults:  # until the last chunk is held back
        await asyncio.sleep(0.01)
    stage.vendor.release()
    *rest, done = [event async for event in stream]
    assert done.type == "transcript.text.done"
    deltas = [event.delta for event in (first, *rest) if event.type == "transcript.text.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == done.text
    assert stage.calls("transcriptions") == before + CHUNKS
    assert (await create(model="whisper-1", file=file)).text == done.text


async def test_who_hangs_up_and_asks_again_finds_the_same_job(stage: Stage) -> None:
    before, file = stage.calls("transcriptions"), stage.recording()
    stage.vendor.fault(latency=3.0, call="audio/transcriptions")
    hasty = stage.client.with_options(timeout=1.0).audio.transcriptions
    with pytest.raises(openai.APITimeoutError):
        await hasty.create(model="whisper-1", file=file)
    told = await stage.client.audio.transcriptions.create(model="whisper-1", file=file)
    stage.vendor.faults.clear()
    assert told.text == text_of(SECONDS)
    assert stage.calls("transcriptions") == before + 1


async def test_errors_are_of_the_classes_that_the_client_has(stage: Stage) -> None:
    speech = stage.client.audio.speech
    with pytest.raises(openai.NotFoundError) as missing:
        await speech.create(model="gpt-99", voice="nova", input="Hello")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as silent:
        await speech.create(model="tts-1", voice="nova", input=" ")
    assert (silent.value.code, silent.value.param) == ("nothing_to_say", "input")
    with pytest.raises(openai.BadRequestError) as noise:
        await stage.client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"no"))
    assert (noise.value.type, noise.value.param) == ("invalid_request_error", "file")
    with pytest.raises(openai.AuthenticationError) as stranger:
        await stage.client.with_options(api_key="vk_live_x").models.list()
    assert stranger.value.code == "invalid_api_key"
    stage.vendor.fault(status=401, times=9, undone=True, call="audio/speech")
    with pytest.raises(openai.InternalServerError) as away:
        await speech.create(model="tts-1", voice="nova", input="Nobody says this.")
    stage.vendor.faults.clear()
    assert (away.value.status_code, away.value.type) == (502, "server_error")
    again = await speech.create(model="tts-1", voice="nova", input="Nobody says this.")
    assert again.content


async def test_models_are_listed(stage: Stage) -> None:
    names = [model.id async for model in stage.client.models.list()]
    assert {"tts-1", "whisper-1"} <= set(names)
    assert (await stage.client.models.retrieve("tts-1")).id == "tts-1"
