"""`voicekeep providers check`: what somebody with a new key tries first."""

import asyncio
import wave
from pathlib import Path

import pytest

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
    assert done.stderr == "voicekeep: Not configured: gemini\n"


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
