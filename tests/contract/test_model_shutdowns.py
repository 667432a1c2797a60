"""Shut-down dates by the vendor's own list: told once, and never in the way."""

from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.testing import capture_logs

import worker
from contracts.models import ModelServer
from providers.openai_models import announced
from runtime.settings import Settings, load
from tests.fakes.openai import FakeOpenAI

DAY = date(2027, 2, 26)


@pytest.fixture
async def vendor() -> AsyncIterator[FakeOpenAI]:
    vendor = FakeOpenAI("right")
    await vendor.start()
    yield vendor
    await vendor.aclose()


def server(vendor: FakeOpenAI, *models: str, key: str = "right") -> ModelServer:
    return ModelServer(key=SecretStr(key), url=vendor.base_url, models=models)


async def test_models_with_a_date_are_told_and_the_others_are_not(vendor: FakeOpenAI) -> None:
    servers = [server(vendor, "whisper-1", "gpt-transcribe", "mine")]
    assert await announced(servers) == [("whisper-1", DAY)]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 401},
        {"status": 302, "headers": {"location": "http://127.0.0.1:1/"}},
        {"cut": "body"},
        {"body": "{"},
        {"body": "[]"},
        {"body": "[" * 100_000},
        {"hang": True},
    ],
)
async def test_a_server_that_goes_wrong_says_nothing_and_holds_nobody_back(
    vendor: FakeOpenAI, fault: dict[str, Any]
) -> None:
    vendor.fault(**fault)
    assert await announced([server(vendor, "whisper-1")], seconds=0.5) == []
    vendor.release()
    away = ModelServer(key=SecretStr(""), url="http://127.0.0.1:1/v1", models=("whisper-1",))
    both = [away, server(vendor, "whisper-1")]
    assert await announced(both, seconds=5) == [("whisper-1", DAY)]


def settings_of(folder: Path, vendor: FakeOpenAI, **names: Any) -> Settings:
    return load(
        None,
        **{
            "DATA_DIR": folder,
            "TRANSCRIPTION_TIERS": "openai",
            "OPENAI_BASE_URL": vendor.base_url,
            "OPENAI_API_KEY": "right",
            "OPENAI_TRANSCRIPTION_MODEL": "whisper-1",
            "LANGUAGE_MODEL_TIERS": "local",
            "SPEECH_TIERS": "local",
        }
        | names,
    )


def test_a_server_of_several_tiers_is_asked_once_for_the_models_of_all(
    vendor: FakeOpenAI, tmp_path: Path
) -> None:
    tiers = {"LANGUAGE_MODEL_TIERS": "openai", "SPEECH_TIERS": "openai"}
    names = {"OPENAI_LANGUAGE_MODEL": "gpt-x", "OPENAI_SPEECH_MODELS": "tts-1,tts-1-hd"}
    own = {"OPENAI_SPEECH_MODEL": "tts-1", "OPENAI_SPEECH_BASE_URL": "http://127.0.0.1:1/v1"}
    settings = settings_of(tmp_path, vendor, **tiers, **names)
    assert [server.models for server in settings.model_servers] == [
        ("whisper-1", "gpt-x", "gpt-4o-mini-tts", "tts-1", "tts-1-hd")
    ]
    apart = settings_of(tmp_path, vendor, **tiers, **names, **own).model_servers
    assert [(server.key.get_secret_value(), server.models) for server in apart] == [
        ("right", ("whisper-1", "gpt-x")),
        ("", ("tts-1", "tts-1-hd")),
    ]


@pytest.fixture
def every_level() -> Iterator[None]:
    """Warnings are told, whatever was set up before."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("every_level")
async def test_a_worker_warns_of_the_models_of_its_tiers_alone(
    vendor: FakeOpenAI, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        await worker.warn_of_shutdowns(settings_of(tmp_path, vendor))
        await worker.warn_of_shutdowns(settings_of(tmp_path, vendor, TRANSCRIPTION_TIERS="local"))
    warned = [line for line in logs if line["event"] == "model.shutdown_announced"]
    assert [(line["model"], line["date"], line["log_level"]) for line in warned] == [
        ("whisper-1", "2027-02-26", "warning")
    ]
    assert "right" not in str(logs)
    assert len(vendor.calls) == 1
