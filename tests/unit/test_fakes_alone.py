"""Stand-ins for language models start by themselves, count calls and fail on demand."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
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


@contextmanager
def started(module: str, log: Path) -> Iterator[str]:
    command = [sys.executable, "-m", module, "--port", "0", "--calls", str(log)]
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
        started("tests.fakes.media_host", tmp_path / "calls") as url,
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
    with started(module, log) as url:
        assert "MARK-1" in post(url + path, body, headers)
        post(f"{url}/__faults", {"status": 503}, {})
        with pytest.raises(OSError, match="503"):
            post(url + path, body, headers)
        assert "MARK-1" in post(url + path, body, headers)
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()] == [200, 503, 200]
