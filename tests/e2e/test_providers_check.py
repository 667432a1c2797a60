"""`voicekeep providers check`: what somebody with a new key tries first."""

import asyncio
import wave
from pathlib import Path
from typing import Any

import pytest

from commands.provider_checks import speech_probe, try_voices
from contracts.errors import Unavailable
from contracts.speech import SpeechOrder
from runtime.doctor import NotInUse
from runtime.settings import load
from tests.embedded import voicekeep
from tests.fakes.azure import FakeAzure
from tests.fakes.openai import FakeOpenAI
from tests.recordings import make

pytestmark = pytest.mark.e2e


async def test_each_tier_is_asked_and_what_it_heard_or_why_not_is_said(tmp_path: Path) -> None:
    openai, azure = FakeOpenAI(), FakeAzure()
    await openai.start()
    await azure.start()
    azure.fault(status=401, times=9)
    audio = make(tmp_path / "tone.wav", 5)
    settings = {
        "OPENAI_BASE_URL": openai.base_url,
        "AZURE_SPEECH_KEY": "wrong",
        "AZURE_SPEECH_ENDPOINT": azure.url,
    }
    command = ("providers", "check", "azure-fast", "openai", "--audio", str(audio))
    done = await asyncio.to_thread(voicekeep, *command, data=tmp_path / "data", **settings)
    first, second = done.stdout.splitlines()
    assert first.startswith("azure-fast ")
    assert "provider_out" in first
    assert second.startswith("openai ")
    assert second.endswith("The harbour lights were bright and quiet this evening when.")
    assert done.returncode == 1
    await openai.aclose()
    await azure.aclose()


def test_a_tier_that_is_not_configured_is_said_to_be_none(tmp_path: Path) -> None:
    audio = make(tmp_path / "tone.wav", 1)
    command = ("providers", "check", "gemini", "--audio", str(audio))
    done = voicekeep(*command, data=tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "voicekeep: Not configured: gemini; there are local\n"


async def test_each_tier_that_speaks_is_asked_and_its_voice_is_left_to_be_heard(
    tmp_path: Path,
) -> None:
    openai = FakeOpenAI()
    await openai.start()
    openai.fault(status=401, times=9, undone=True)
    settings = {"OPENAI_BASE_URL": openai.base_url, "SPEECH_TIERS": "local,openai"}
    text = "The keeper counted seven ships."
    command = ("providers", "check", "--say", text, "--voice", "nova", "--to", str(tmp_path))
    done = await asyncio.to_thread(voicekeep, *command, data=tmp_path / "data", **settings)
    first, second = done.stdout.splitlines()
    assert first.startswith("local ")
    assert first.endswith("s of speech by +f4")
    assert (second.startswith("openai "), "provider_out" in second) == (True, True)
    assert done.returncode == 1
    with wave.open(str(tmp_path / "local.wav")) as said:
        assert 1 < said.getnframes() / said.getframerate() < 10
    assert not (tmp_path / "openai.wav").exists()
    await openai.aclose()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"SPEECH_TIERS": "openai"}, "openai is in SPEECH_TIERS: set OPENAI_API_KEY"),
        ({"SPEECH_TIERS": "azure,local"}, "azure is in SPEECH_TIERS: set AZURE_SPEECH_KEY"),
        ({"SPEECH_TIERS": "gemini"}, "gemini is in SPEECH_TIERS: set GEMINI_API_KEY"),
        ({"SPEECH_TIERS": "kokoro"}, "kokoro is in SPEECH_TIERS: set KOKORO_MODEL"),
        ({"KOKORO_MODEL": "/nowhere/model.onnx"}, "kokoro: provider_out: "),
    ],
    ids=["openai", "azure", "gemini", "kokoro", "no model"],
)
async def test_the_doctor_says_what_a_tier_that_speaks_is_in_want_of(
    tmp_path: Path, names: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unavailable) as raised:
        await speech_probe(load(None, DATA_DIR=tmp_path, **names))
    assert raised.value.message.startswith(says)


async def test_the_doctor_hears_the_free_voices_and_asks_no_vendor(tmp_path: Path) -> None:
    with pytest.raises(NotInUse, match="only the local engine"):
        await speech_probe(load(None, DATA_DIR=tmp_path))
    away = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    assert (await speech_probe(load(None, DATA_DIR=tmp_path, **away))).startswith("openai, local;")


async def test_a_tier_without_its_key_is_out_and_no_crash(tmp_path: Path) -> None:
    settings = load(None, DATA_DIR=tmp_path, SPEECH_TIERS="gemini")
    order = SpeechOrder(text="Good.", voice="alloy")
    (tried,) = [each async for each in try_voices(settings, (), order, None)]
    assert tried.failure == "provider_out: gemini has no key: set GEMINI_API_KEY"
