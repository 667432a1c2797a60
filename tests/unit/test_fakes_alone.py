"""Stand-ins start by themselves, count calls and fail on demand."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from smtplib import SMTP
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAT = {"model": "m", "messages": [{"role": "user", "content": "MARK-1"}]}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
CASES: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "tests.fakes.openai_language": (
        "/v1/chat/completions",
        {"authorization": "Bearer k"},
        CHAT | {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
    ),
    "tests.fakes.openai": (
        "/v1/responses",
        {"authorization": "Bearer k"},
        {"model": "m", "input": "MARK-1", "text": {"format": {"type": "x", "schema": SCHEMA}}},
    ),
    "tests.fakes.gemini": (
        "/v1/models/m:generateContent",
        {"x-goog-api-key": "k"},
        {
            "contents": [{"parts": [{"text": "MARK-1"}]}],
            "generationConfig": {"responseSchema": SCHEMA},
        },
    ),
}


SSML = (
    b'<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
    b'<voice name="en-US-AvaMultilingualNeural">Hello</voice></speak>'
)
USER = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
MAIL = {
    "channel": "email", "appId": "voicekeep", "recipient": "anna@example.com", "subject": "s",
    "body": "b", "externalId": "1",
}  # fmt: skip
BROADCAST = {"messages": [{"topic": "t", "event": "e", "payload": {}, "private": False}]}
SERVICES: dict[str, tuple[str, dict[str, str], bytes | None, int]] = {
    "tests.fakes.azure_tts": (
        "/cognitiveservices/v1",
        {
            "content-type": "application/ssml+xml",
            "ocp-apim-subscription-key": "k",
            "x-microsoft-outputformat": "raw-24khz-16bit-mono-pcm",
        },
        SSML,
        200,
    ),
    "tests.fakes.mana_credits": (
        f"/api/v1/internal/credits/balance/{USER}",
        {"x-service-key": "k"},
        None,
        200,
    ),
    "tests.fakes.supabase_realtime": (
        "/realtime/v1/api/broadcast",
        {"apikey": "k"},
        json.dumps(BROADCAST).encode(),
        202,
    ),
    "tests.fakes.notify": (
        "/api/v1/notifications/send",
        {"x-service-key": "k"},
        json.dumps(MAIL).encode(),
        200,
    ),
}


@contextmanager
def started(module: str, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", module, "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready["event"] == "ready"
            yield ready["url"]
        finally:
            process.terminate()


def post(url: str, body: Any, headers: dict[str, str]) -> str:
    request = Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - loopback
    with urlopen(request) as answer:  # noqa: S310 - likewise
        text: str = answer.read().decode()
        return text


def test_a_strangers_web_server_runs_alone_too(tmp_path: Path) -> None:
    with (
        started("tests.fakes.media_host", "--calls", str(tmp_path / "calls")) as url,
        urlopen(f"{url}/memo.wav") as answer,  # noqa: S310 - loopback
    ):
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.read(4) == b"RIFF"


@pytest.mark.parametrize("module", CASES)
def test_a_stand_in_runs_alone_answers_by_schema_and_fails_on_demand(
    module: str, tmp_path: Path
) -> None:
    path, headers, body = CASES[module]
    log = tmp_path / "calls"
    with started(module, "--calls", str(log)) as url:
        assert "MARK-1" in post(url + path, body, headers)
        post(f"{url}/__faults", {"status": 503}, {})
        with pytest.raises(OSError, match="503"):
            post(url + path, body, headers)
        assert "MARK-1" in post(url + path, body, headers)
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()] == [200, 503, 200]


@pytest.mark.parametrize("module", SERVICES)
def test_a_stand_in_of_a_service_runs_alone_and_wants_its_key(module: str) -> None:
    path, headers, body, status = SERVICES[module]
    with started(module, "--key", "k") as url:
        request = Request(url + path, body, headers)  # noqa: S310 - loopback
        with urlopen(request) as answer:  # noqa: S310 - likewise
            assert answer.status == status
        wrong = {name: "wrong" if value == "k" else value for name, value in headers.items()}
        with pytest.raises(OSError, match="401"):
            urlopen(Request(url + path, body, wrong))  # noqa: S310 - likewise


def test_a_mail_server_runs_alone_and_takes_a_mail() -> None:
    with started("tests.fakes.mail_server") as url:
        address = urlsplit(url)
        assert address.scheme == "smtp"
        with SMTP(address.hostname or "", address.port or 0, timeout=30) as mail:
            assert mail.sendmail("a@example.com", ["b@example.com"], "Subject: s\r\n\r\nb") == {}
